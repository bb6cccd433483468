import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { expect } from 'vitest';
import { type Client, clientSuite, type Suite } from './client-suite.js';
import { expectInjected, expectPlain, expectTunnelled } from './proofs.js';
import { bareEnvironment, isPresent, runWell, versionOf } from './run-client.js';
import type { World } from './world.js';

const executablePath = '/usr/bin/chromium';

const client: Client = {
  name: 'Chromium',
  // Chromium trusts what is in the NSS database of the home directory, and certutil is what puts it there.
  version: isPresent('certutil') ? versionOf(executablePath, ['--version'], /^Chromium (\S+)/m) : null,
  source: 'the Debian packages chromium and libnss3-tools',
  setup: '`--proxy-server`, and its dialog for the token; the NSS database of the user',
};

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What the script of the page got hold of. */
interface PageSeen {
  readonly script: boolean;
  readonly image: readonly number[];
  readonly events: readonly string[];
  readonly webSocket: string;
}

/** A home directory in which one authority is trusted, and no other of ours. */
async function homeTrusting(world: World, ca: string): Promise<string> {
  const home = path.join(world.directory, `chromium-${path.basename(path.dirname(ca))}`);
  const database = path.join(home, '.pki', 'nssdb');
  if (existsSync(database)) return home;
  mkdirSync(database, { recursive: true });
  await runWell(world, 'certutil', ['-d', `sql:${database}`, '-N', '--empty-password']);
  await runWell(world, 'certutil', ['-d', `sql:${database}`, '-A', '-t', 'C,,', '-n', 'under test', '-i', ca]);
  return home;
}

/** Loads the page at `origin` and answers what its script got hold of. */
async function visit(world: World, ca: string, origin: string, name: string): Promise<PageSeen> {
  const home = await homeTrusting(world, ca);
  const { hostname: host, port, username, password } = new URL(world.proxyUrl);
  const browser: Browser = await chromium.launch({
    executablePath,
    headless: true,
    args: flags,
    env: { ...bareEnvironment(world), HOME: home },
    proxy: { server: `http://${host}:${port}`, username, password },
  });
  try {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('requestfailed', (request) => problems.push(`${request.url()}: ${request.failure()?.errorText}`));
    page.on('pageerror', (error) => problems.push(error.message));
    const response = await page.goto(`${origin}/page/${name}`);
    expect(response?.status()).toBe(200);
    await expect.poll(() => page.evaluate('window.seen !== undefined'), { timeout: 30_000, message: problems.join('\n') }).toBe(true);
    return (await page.evaluate('window.seen')) as PageSeen;
  } finally {
    await browser.close();
  }
}

const everything: PageSeen = { script: true, image: [7, 5], events: ['1', '2'], webSocket: 'through the gate' };
const parts = ['page', 'script', 'image', 'events', 'next', 'socket'];
const title = 'a page with a script, an image, server-sent events and a WebSocket';

/** The suite of Chromium. */
export function chromiumSuite(): Suite {
  return clientSuite(client, ({ intercepted, plain, tunnel }) => {
    intercepted(title, async (world) => {
      expect(await visit(world, world.gatewayCa, world.api, 'browser')).toEqual(everything);
      for (const part of parts) await expectInjected(world, `/${part}/browser`);
      expect(world.recorded().filter(({ kind }) => kind === 'upgrade')).toMatchObject([{ path: '/socket/browser', status: 101 }]);
    });

    plain(title, async (world) => {
      expect(await visit(world, world.gatewayCa, world.plain, 'browser-plain')).toEqual(everything);
      for (const part of parts.slice(0, -1)) await expectPlain(world, `/${part}/browser-plain`);
      expect(world.recorded().filter(({ kind }) => kind === 'upgrade')).toMatchObject([
        { path: '/socket/browser-plain', scheme: 'http', status: 101 },
      ]);
    });

    tunnel(title, async (world) => {
      expect(await visit(world, world.pinnedCa, world.pinned, 'browser-pinned')).toEqual(everything);
      for (const part of parts) await expectTunnelled(world, `/${part}/browser-pinned`);
    });
  });
}

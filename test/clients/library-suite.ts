import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type AddCase, type Client, clientSuite, type Suite, type Way } from './client-suite.js';
import { expectInjected, expectPlain, expectTunnelled } from './proofs.js';
import { proxyEnvironment, runWell } from './run-client.js';
import { download, type Echo, sha256 } from './upstream/site.js';
import type { World } from './world.js';

/** An HTTP library, driven by a program that takes `METHOD URL [FILE]` and prints `{status, body}` as JSON. */
export interface Library extends Client {
  /** The program with its first arguments, when it trusts `ca`. May build what it needs. */
  command(world: World, ca: string): readonly [program: string, ...args: string[]] | Promise<readonly [program: string, ...args: string[]]>;
  /** Beside the variables that steer clients to the gateway. */
  readonly env?: Readonly<Record<string, string>>;
}

const upload = download.subarray(0, 2_000_003);

/** Sends a request with the library of a client and answers what its server saw of it. */
export async function ask(library: Library, world: World, ca: string, asked: readonly string[], env = library.env): Promise<Echo> {
  const [program, ...args] = await library.command(world, ca);
  const { stdout } = await runWell(world, program, [...args, ...asked], { env: { ...proxyEnvironment(world, ca), ...env } });
  const { status, body } = JSON.parse(stdout) as { status: number; body: string };
  expect({ status, body }).toMatchObject({ status: 200 });
  return JSON.parse(body) as Echo;
}

/** What every library has to be able to do; `more` adds what only this one does. */
export function librarySuite(library: Library, more: (cases: Readonly<Record<Way, AddCase>>) => void = () => undefined): Suite {
  const slug = library.name.replaceAll(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  const file = (world: World): string => {
    const name = path.join(world.directory, 'upload');
    writeFileSync(name, upload);
    return name;
  };
  const whole = { method: 'POST', framing: 'chunked', received: upload.length, sha256: sha256(upload) };

  return clientSuite(library, (cases) => {
    const { intercepted, plain, tunnel } = cases;
    intercepted('GET', async (world) => {
      const echo = await ask(library, world, world.gatewayCa, ['GET', `${world.api}/echo/${slug}`]);
      expect(echo).toMatchObject({ method: 'GET', host: new URL(world.api).host });
      await expectInjected(world, `/echo/${slug}`);
    });

    intercepted('an upload in chunks', async (world) => {
      expect(await ask(library, world, world.gatewayCa, ['POST', `${world.api}/echo/${slug}-upload`, file(world)])).toMatchObject(whole);
      await expectInjected(world, `/echo/${slug}-upload`);
    });

    more(cases);

    plain('GET', async (world) => {
      const echo = await ask(library, world, world.gatewayCa, ['GET', `${world.plain}/echo/${slug}-plain`]);
      expect(echo).toMatchObject({ method: 'GET', host: new URL(world.plain).host });
      await expectPlain(world, `/echo/${slug}-plain`);
    });

    plain('an upload in chunks', async (world) => {
      expect(await ask(library, world, world.gatewayCa, ['POST', `${world.plain}/echo/${slug}-plain-upload`, file(world)])).toMatchObject(whole);
      await expectPlain(world, `/echo/${slug}-plain-upload`);
    });

    tunnel('GET and an upload in chunks', async (world) => {
      await ask(library, world, world.pinnedCa, ['GET', `${world.pinned}/echo/${slug}-pinned`]);
      expect(await ask(library, world, world.pinnedCa, ['POST', `${world.pinned}/echo/${slug}-pinned-upload`, file(world)])).toMatchObject(whole);
      await expectTunnelled(world, `/echo/${slug}-pinned`);
    });
  });
}

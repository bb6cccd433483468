import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Client, clientSuite, type Suite } from './client-suite.js';
import { expectInjected, expectPlain, expectTunnelled } from './proofs.js';
import { proxyEnvironment, runWell, versionOf } from './run-client.js';
import { download, sha256 } from './upstream/site.js';
import type { World } from './world.js';

const client: Client = {
  name: 'wget',
  version: versionOf('wget', ['--version'], /^GNU Wget (\S+)/),
  source: 'the Debian package wget',
  setup: '`https_proxy`, `http_proxy`; `--ca-certificate`',
};

/** Fetches a URL into a file and answers what is in it. */
async function wget(world: World, ca: string, args: readonly string[]): Promise<Buffer> {
  const file = path.join(world.directory, 'wget');
  await runWell(world, 'wget', ['-q', '--tries=1', `--ca-certificate=${ca}`, '-O', file, ...args], { env: proxyEnvironment(world, ca) });
  return readFileSync(file);
}

/** The suite of wget. */
export function wgetSuite(): Suite {
  return clientSuite(client, ({ intercepted, plain, tunnel }) => {
    intercepted('a download of 24 MB', async (world) => {
      expect(sha256(await wget(world, world.gatewayCa, [`${world.api}/download/wget`]))).toBe(sha256(download));
      await expectInjected(world, '/download/wget');
    });

    intercepted('a post', async (world) => {
      const answer = await wget(world, world.gatewayCa, ['--post-data=a=1', `${world.api}/echo/wget`]);
      expect(JSON.parse(answer.toString())).toMatchObject({ method: 'POST', received: 3 });
      await expectInjected(world, '/echo/wget');
    });

    plain('a download of 24 MB', async (world) => {
      expect(sha256(await wget(world, world.gatewayCa, [`${world.plain}/download/wget-plain`]))).toBe(sha256(download));
      await expectPlain(world, '/download/wget-plain');
    });

    tunnel('a download of 24 MB', async (world) => {
      expect(sha256(await wget(world, world.pinnedCa, [`${world.pinned}/download/wget-pinned`]))).toBe(sha256(download));
      await expectTunnelled(world, '/download/wget-pinned');
    });
  });
}

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Client, clientSuite, type Suite } from './client-suite.js';
import { expectInjected, expectPlain, expectTunnelled } from './proofs.js';
import { proxyEnvironment, runWell, versionOf } from './run-client.js';
import type { World } from './world.js';

const client: Client = {
  name: 'git',
  version: versionOf('git', ['--version'], /^git version (\S+)/),
  source: 'the Debian package git',
  setup: '`https_proxy`, `http_proxy`; `GIT_SSL_CAINFO`',
};

/** More than git holds back to learn its length (`http.postBuffer`, 1 MiB): it goes out in chunks. */
const LARGE = 5 * 1024 * 1024;

const bare = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' };
const author = ['-c', 'user.name=Tester', '-c', 'user.email=tester@sallyport.test', '-c', 'commit.gpgsign=false', '-c', 'gc.auto=0'];

async function git(world: World, ca: string, args: readonly string[], cwd = world.directory): Promise<string> {
  const { stdout } = await runWell(world, 'git', [...author, ...args], { env: { ...proxyEnvironment(world, ca), ...bare }, cwd });
  return stdout.trim();
}

/** A repository with one commit under `root`, which takes pushes. */
async function makeRepository(world: World, root: string, name: string): Promise<void> {
  const work = path.join(world.directory, `${name}-seed`);
  mkdirSync(work);
  const local = (...args: string[]): Promise<string> => git(world, world.gatewayCa, args, work);
  await local('init', '-q', '-b', 'main');
  writeFileSync(path.join(work, 'README'), 'Hello\n');
  await local('add', '.');
  await local('commit', '-q', '-m', 'First');
  await local('clone', '-q', '--bare', '.', path.join(root, `${name}.git`));
  await local('--git-dir', path.join(root, `${name}.git`), 'config', 'http.receivepack', 'true');
}

/** Clones, commits a file of `size` random bytes, pushes it, and shows that it arrived. */
async function cloneAndPush(world: World, ca: string, origin: string, name: string, size: number): Promise<void> {
  await makeRepository(world, world.repositories, name);
  const work = path.join(world.directory, name);
  await git(world, ca, ['clone', '-q', `${origin}/${name}.git`, work]);
  writeFileSync(path.join(work, 'data'), randomBytes(size));
  await git(world, ca, ['add', '.'], work);
  await git(world, ca, ['commit', '-q', '-m', 'Second'], work);
  await git(world, ca, ['push', '-q', 'origin', 'main'], work);
  const head = await git(world, ca, ['rev-parse', 'HEAD'], work);
  expect(await git(world, ca, ['--git-dir', path.join(world.repositories, `${name}.git`), 'rev-parse', 'main'])).toBe(head);
  await git(world, ca, ['fetch', '-q', 'origin'], work);
}

/** The suite of git. */
export function gitSuite(): Suite {
  return clientSuite(client, ({ intercepted, plain, tunnel }) => {
    intercepted('clone, push and fetch', async (world) => {
      await cloneAndPush(world, world.gatewayCa, world.git, 'small', 1_000);
      await expectInjected(world, '/small.git/info/refs', world.basic);
      await expectInjected(world, '/small.git/git-upload-pack', world.basic);
      await expectInjected(world, '/small.git/git-receive-pack', world.basic);
    });

    intercepted('a push of 5 MB in chunks', async (world) => {
      await cloneAndPush(world, world.gatewayCa, world.git, 'large', LARGE);
      const pushes = await expectInjected(world, '/large.git/git-receive-pack', world.basic);
      expect(pushes.map(({ headers }) => headers['transfer-encoding'])).toContain('chunked');
    });

    plain('clone, push of 5 MB and fetch', async (world) => {
      await cloneAndPush(world, world.gatewayCa, `${world.plain}/git`, 'plain', LARGE);
      await expectPlain(world, '/git/plain.git/git-receive-pack');
    });

    tunnel('clone, push of 5 MB and fetch', async (world) => {
      await cloneAndPush(world, world.pinnedCa, `${world.pinned}/git`, 'pinned', LARGE);
      await expectTunnelled(world, '/git/pinned.git/git-receive-pack');
    });
  });
}

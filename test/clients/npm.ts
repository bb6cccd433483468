import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Client, clientSuite, type Suite } from './client-suite.js';
import { expectInjected, expectPlain, expectTunnelled } from './proofs.js';
import { proxyEnvironment, runWell, versionOf } from './run-client.js';
import { packageName, packageVersion } from './upstream/package-registry.js';
import type { World } from './world.js';

const client: Client = {
  name: 'npm',
  version: versionOf('npm', ['--version'], /^(\d\S+)/),
  source: 'nodejs.org, with Node',
  setup: '`https-proxy`, `proxy` or the variables `HTTPS_PROXY`, `HTTP_PROXY`; `cafile` or `npm_config_cafile`',
};

/** Packs a package and puts it into the registries. */
async function publish(world: World): Promise<void> {
  const source = path.join(world.directory, 'npm-source');
  mkdirSync(source, { recursive: true });
  writeFileSync(path.join(source, 'package.json'), JSON.stringify({ name: packageName, version: packageVersion, main: 'index.js' }));
  writeFileSync(path.join(source, 'index.js'), `module.exports = 'it works';\n`);
  const { stdout } = await runWell(world, 'npm', ['pack', '--silent', source]);
  const file = stdout.trim();
  world.packages.npm = { file, bytes: readFileSync(path.join(world.directory, file)) };
}

/** Installs the package from a registry with an empty cache and shows that it can be used. */
async function install(world: World, registry: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  await publish(world);
  const project = path.join(world.directory, 'npm-project');
  rmSync(project, { recursive: true, force: true });
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error', `--cache=${path.join(project, 'cache')}`];
  await runWell(world, 'npm', ['install', packageName, `--registry=${registry}/`, '--fetch-retries=0', ...quiet, ...args], {
    cwd: project,
    env: { ...env, npm_config_globalconfig: '/dev/null' },
  });
  const { stdout } = await runWell(world, process.execPath, ['-p', `require('${packageName}')`], { cwd: project });
  expect(stdout.trim()).toBe('it works');
}

/** The suite of npm. */
export function npmSuite(): Suite {
  return clientSuite(client, ({ intercepted, plain, tunnel }) => {
    const tarball = `/${packageName}/-/${packageName}-${packageVersion}.tgz`;

    intercepted('install, with npm’s own configuration', async (world) => {
      await install(world, world.npm, [`--https-proxy=${world.proxyUrl}`, `--cafile=${world.gatewayCa}`]);
      await expectInjected(world, `/${packageName}`);
      await expectInjected(world, tarball);
    });

    intercepted('install, with the environment', async (world) => {
      await install(world, world.npm, [], proxyEnvironment(world, world.gatewayCa));
      await expectInjected(world, tarball);
    });

    plain('install', async (world) => {
      await install(world, `${world.plain}/npm`, [`--proxy=${world.proxyUrl}`]);
      await expectPlain(world, `/npm${tarball}`);
    });

    tunnel('install', async (world) => {
      await install(world, `${world.pinned}/npm`, [`--https-proxy=${world.proxyUrl}`, `--cafile=${world.pinnedCa}`]);
      await expectTunnelled(world, `/npm${tarball}`);
    });
  });
}

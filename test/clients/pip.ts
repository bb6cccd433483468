import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Client, clientSuite, type Suite } from './client-suite.js';
import { cachedOr, programFile } from './program-files.js';
import { expectInjected, expectPlain, expectTunnelled } from './proofs.js';
import { proxyEnvironment, runWell, versionOf } from './run-client.js';
import { packageName, packageVersion } from './upstream/package-registry.js';
import type { World } from './world.js';

const python = cachedOr('python3', 'python', 'bin', 'python');
const moduleName = packageName.replaceAll('-', '_');
const wheel = `${moduleName}-${packageVersion}-py3-none-any.whl`;

const client: Client = {
  name: 'pip',
  version: versionOf(python, ['-m', 'pip', '--version'], /^pip (\S+)/),
  source: 'the Debian package python3-pip',
  setup: '`HTTPS_PROXY`, `HTTP_PROXY` or `--proxy`; `PIP_CERT`',
};

/** Installs the package from an index without any cache and shows that it can be used. */
async function install(world: World, index: string, ca: string, more: readonly string[] = []): Promise<void> {
  await runWell(world, python, [programFile('make_wheel.py'), moduleName, packageVersion, wheel]);
  world.packages.pypi = { file: wheel, bytes: readFileSync(path.join(world.directory, wheel)) };
  const target = path.join(world.directory, 'pip-target');
  rmSync(target, { recursive: true, force: true });
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-cache-dir', '--retries=0', '--isolated', '--no-input'];
  // Isolated, pip reads none of its own variables; the machine may set an index there.
  const args = ['-m', 'pip', 'install', ...quiet, '--cert', ca, '--index-url', `${index}/simple/`, '--target', target, ...more, packageName];
  await runWell(world, python, args, { env: { ...proxyEnvironment(world, ca), PIP_CONFIG_FILE: '/dev/null' } });
  const { stdout } = await runWell(world, python, ['-c', `import ${moduleName}; print(${moduleName}.MESSAGE)`], { env: { PYTHONPATH: target } });
  expect(stdout.trim()).toBe('it works');
}

/** The suite of pip. */
export function pipSuite(): Suite {
  return clientSuite(client, ({ intercepted, plain, tunnel }) => {
    intercepted('install', async (world) => {
      await install(world, world.pypi, world.gatewayCa);
      await expectInjected(world, `/simple/${packageName}/`, world.basic);
      await expectInjected(world, `/files/${wheel}`, world.basic);
    });

    plain('install, with `--trusted-host`', async (world) => {
      await install(world, `${world.plain}/pypi`, world.gatewayCa, ['--trusted-host', new URL(world.plain).hostname]);
      await expectPlain(world, `/pypi/files/${wheel}`);
    });

    tunnel('install', async (world) => {
      await install(world, `${world.pinned}/pypi`, world.pinnedCa);
      await expectTunnelled(world, `/pypi/files/${wheel}`);
    });
  });
}

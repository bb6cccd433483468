import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

let folder = '';

/** Runs a tool of the repository in the copy of the template. */
function run(...args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
  return { status, output: stdout + stderr };
}

const tsc = path.resolve('node_modules/typescript/bin/tsc');

/** The sdk as a registry would hand it out: its manifest, and what its build makes of the sources. */
function installSdk(): void {
  const place = path.join(folder, 'node_modules/@sallyport/sdk');
  mkdirSync(place, { recursive: true });
  const manifest = JSON.parse(readFileSync('packages/sdk/package.json', 'utf8')) as { exports: object };
  const compliance = { types: './dist/compliance/index.d.ts', default: './dist/compliance/index.js' };
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ ...manifest, exports: { ...manifest.exports, './compliance': compliance } }));
  const built = run(
    tsc,
    '-p',
    path.resolve('packages/sdk'),
    '--outDir',
    path.join(place, 'dist'),
    '--tsBuildInfoFile',
    path.join(place, 'dist/.tsbuildinfo'),
  );
  expect(built).toEqual({ status: 0, output: '' });
}

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-plugin-'));
  cpSync('examples/plugin', folder, { recursive: true });
  mkdirSync(path.join(folder, 'node_modules'));
  for (const name of ['typescript', '@types', 'undici-types'])
    symlinkSync(path.resolve('node_modules', name), path.join(folder, 'node_modules', name));
  installSdk();
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the template compiles and passes its own tests, in TypeScript and in JavaScript', { timeout: 120_000 }, () => {
  const { scripts } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { scripts: { test: string } };
  const [compile, ...tests] = scripts.test.split(' && ');
  expect(compile).toBe('tsc');
  expect(run(tsc)).toEqual({ status: 0, output: '' });
  for (const command of tests) {
    const [node, ...args] = command.split(' ');
    expect(node).toBe('node');
    const { status, output } = run('--test-reporter=tap', ...args);
    expect(output).toMatch(/^# pass [1-9]/m);
    expect(output).not.toMatch(/^\s*not ok/m);
    expect(status).toBe(0);
    expect(output).toContain('a credential depends on nothing but the context');
  }
});

test('the plugin in JavaScript has the types of a plugin', { timeout: 120_000 }, () => {
  expect(run(tsc, '-p', 'javascript')).toEqual({ status: 0, output: '' });
});

test('the test of the template notices a plugin that breaks the contract', { timeout: 120_000 }, () => {
  const file = path.join(folder, 'dist/acme.js');
  const working = readFileSync(file, 'utf8');
  writeFileSync(file, working.replace('(expires_in - 60) * 1000', '0'));
  const { status, output } = run('--test', '--test-reporter=tap', 'dist/acme.test.js');
  writeFileSync(file, working);
  expect(status).toBe(1);
  expect(output).toMatch(/not ok \d+ - a credential expires in the future/);
});

test('the plugin is as short as the documentation says', () => {
  for (const name of ['src/acme.ts', 'javascript/acme.js']) {
    const code = readFileSync(path.join('examples/plugin', name), 'utf8').trimEnd().split('\n');
    expect(code.length).toBeLessThanOrEqual(22);
  }
});

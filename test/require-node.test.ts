import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
const [major, minor] = engines.node.replace('>=', '').split('.').map(Number) as [number, number];

function requireNode(version: string): { status: number | null; stderr: string } {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
  const options = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`];
  return spawnSync(process.execPath, [...options, 'scripts/require-node.mjs'], { encoding: 'utf8' });
}

test.each([`${major}.${minor}.0`, `${major}.${minor + 1}.0`, `${major + 2}.0.0`])('the commands run on Node %s', (version) => {
  expect(requireNode(version).status).toBe(0);
});

test.each([`${major}.${minor - 1}.9`, `${major - 2}.99.0`])('the commands say that Node %s is too old, and which is needed', (version) => {
  const { status, stderr } = requireNode(version);
  expect(status).toBe(1);
  expect(stderr).toContain(`needs Node ${major}.${minor} or newer; this is Node ${version}`);
});

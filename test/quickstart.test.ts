import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('npm start prints requests that do what it says they do', { timeout: 180_000 }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/start.mjs', '--check'], { encoding: 'utf8' });
  expect(stdout + stderr).not.toContain('✗');
  expect(stdout).toContain('✓ node packages/cli/bin/sallyport.mjs run');
  expect(status).toBe(0);
});

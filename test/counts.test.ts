import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Counts, describe, readReport, sum } from '../scripts/counts.mjs';

let directory = '';

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs vitest on the given test files and counts as `npm test` does. */
function countsOf(files: Record<string, string>): Counts {
  directory = mkdtempSync(path.join(tmpdir(), 'sallyport-counts-'));
  const report = path.join(directory, 'report.json');
  for (const [name, body] of Object.entries(files)) writeFileSync(path.join(directory, name), `${body}\n`);
  const args = ['run', '--root', directory, '--globals', '--reporter=json', `--outputFile.json=${report}`];
  const { status } = spawnSync(process.execPath, [path.resolve('node_modules/vitest/vitest.mjs'), ...args], { encoding: 'utf8' });
  return readReport(report, status === 0);
}

test('counts each way in which a test can end', () => {
  const counts = countsOf({
    'tests.test.js': `test('a', () => {}); test('b', () => {}); test('c', () => { throw new Error(); }); test.skip('d', () => {}); test.todo('e');`,
    'broken.test.js': `throw new Error('this file has no tests');`,
  });
  expect(counts).toEqual({ passed: 2, failed: 2, skipped: 2 });
});

test('counts an error outside of any test', () => {
  expect(countsOf({ 'rejection.test.js': `test('a', () => { void Promise.reject(new Error()); });` })).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('counts a run without a report, or without tests, as one failure', () => {
  expect(countsOf({})).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(readReport(path.join(directory, 'missing.json'), true)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('the last line names skipped tests only when there are any', () => {
  const total = sum([
    { passed: 1, failed: 0, skipped: 0 },
    { passed: 2, failed: 1, skipped: 0 },
  ]);
  expect(describe(total)).toBe('3 passed, 1 failed');
  expect(describe({ ...total, skipped: 4 })).toBe('3 passed, 1 failed, 4 skipped');
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { capture, type Printed } from '../onboard/captured-output.test.support.js';
import { checkConfig } from './config-check.js';
import { printSchema } from './config-schema.js';

let directory: string;
let printed: Printed;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-sections-'));
  printed = capture();
});
afterEach(() => {
  printed.restore();
  rmSync(directory, { recursive: true });
});

function written(text: string): string {
  const path = join(directory, 'sallyport.yaml');
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

test('config check looks at the section of the control plane', async () => {
  expect(await checkConfig(written('control: { tasks: { concurency: 4 } }'), { output: 'json' })).toBe(2);
  expect(JSON.parse(printed.stdout())).toMatchObject({
    valid: false,
    problems: [{ line: 1, column: 21, key: 'control.tasks.concurency', message: 'unknown key, did you mean "concurrency"?' }],
  });
});

test('config check takes a file without a gateway, which has no sources', async () => {
  expect(await checkConfig(written('control: {}'), { sources: true, output: 'json' })).toBe(0);
  expect(JSON.parse(printed.stdout())).toMatchObject({ valid: true, warnings: [], sources: [] });
});

test('config schema prints both sections', async () => {
  expect(await printSchema()).toBe(0);
  const { properties } = JSON.parse(printed.stdout()) as { properties: Record<string, { properties: object }> };
  expect(Object.keys(properties)).toEqual(['gateway', 'control']);
  expect(properties.control?.properties).toHaveProperty('database');
});

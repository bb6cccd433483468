import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cliPage } from './cli-page.js';

test('docs/cli.md is what the commands are; node scripts/generate-cli-docs.mjs writes it anew after a build', () => {
  expect(readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')).toBe(cliPage());
});

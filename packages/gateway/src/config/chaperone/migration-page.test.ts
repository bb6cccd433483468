import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileAllowList } from '../../policy/allow-list.js';
import { chaperoneMetricDefinitions } from '../../record/chaperone-metric-definitions.js';
import { readChaperoneConfig } from './chaperone-config.js';
import { settings, variableOf } from './settings.js';

const page = readFileSync(join(import.meta.dirname, '../../../../../docs/migrating-from-chaperone.md'), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| '));

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-page-'));
  writeFileSync(join(directory, 'file.pem'), '');
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('docs/migrating-from-chaperone.md', () => {
  test.each(Object.keys(settings))('has a row for %s with its variable and its default', (name) => {
    const row = rows.find((one) => one.startsWith(`| \`${name}\`<br>\`${variableOf(name)}\` |`));
    expect(row).toBeDefined();
    const written = /^`(.*)`$/.exec(row?.split(' | ')[1] ?? '')?.[1] ?? '';
    const setting = settings[name as keyof typeof settings];
    expect(setting.read(written)).toEqual({ value: setting.fallback });
  });

  test('has an example that is valid', () => {
    const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const files = ['CERT_FILE', 'KEY_FILE', 'CA_FILE'].map((file) => [`CHAPERONE_SERVER_TLS_${file}`, 'file.pem']);
    const { config, warnings } = readChaperoneConfig(example.replace(/^ {3}/gm, ''), {
      path: '/etc/config.yaml',
      env: Object.fromEntries(files) as Record<string, string>,
      directory,
      exposed: false,
    });
    expect(config.gateway).toMatchObject({ plugin: { module: './acme.js' }, policy: { allow_list: { 'api.vendor.example': ['/v1/**'] } } });
    expect(warnings).toEqual([]);
  });

  test('names all metrics', () => {
    for (const name of Object.keys(chaperoneMetricDefinitions)) expect(page).toContain(`\`${name}\``);
  });

  const patterns = rows
    .slice(rows.findIndex((row) => row.startsWith('| Pattern |')) + 1)
    .filter((row) => /^\| `[*/]/.test(row))
    .slice(0, 7);
  test.each(patterns)('says of patterns what is so: %s', (row) => {
    const [[pattern], matching, others] = row
      .split('|')
      .slice(1, 4)
      .map((cell) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, text]) => text));
    const verdict = (text: string): string => {
      const isPath = pattern.startsWith('/');
      const list = compileAllowList(isPath ? { 'v.com': [pattern] } : { [pattern]: ['/'] });
      return list.decide('https', isPath ? 'v.com' : text, 443, isPath ? text : '/').verdict;
    };
    expect(matching.length).toBeGreaterThan(0);
    expect(matching.map(verdict)).toEqual(matching.map(() => 'allowed'));
    expect(others.map(verdict)).toEqual(others.map(() => 'denied'));
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorCatalogue } from './index.js';

const entries = Object.entries(errorCatalogue);

/** docs/errors.md, made from the catalogue. */
function errorsPage(): string {
  const rows = entries.map(
    ([code, { status, title, hint }]) => `| <a id="${code}"></a>\`${code}\` | ${status === 0 ? '–' : status} | ${title}. | ${hint} |`,
  );
  return [
    '# Errors',
    '',
    'A refusal is never dressed up as an answer of the upstream. It is a problem document (RFC 9457, `application/problem+json`) with the code in its',
    '`code` member and in the header `X-Sallyport-Error`; `detail` says what happened this time, `hint` what to do, `request_id` where to look in the log,',
    'and `rule` which rule decided, if one did. The same codes stand in the `error` field of [request events](events.md) and in the metrics.',
    '',
    'Codes are stable: none is renamed, and none gets another meaning. Those without a status concern the start of the gateway, or a client that is gone.',
    '',
    '| Code | Status | Meaning | What to do |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

/** The source files of the packages, tests left out. */
function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts') && !entry.parentPath.includes('/dist'))
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the error catalogue', () => {
  test.each(entries)('%s is complete', (code, { status, title, hint }) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(status === 0 || (status >= 400 && status <= 599)).toBe(true);
    expect(title).toMatch(/^[A-Z].*[^.]$/);
    expect(hint).toMatch(/^[A-Z].*\.$/);
  });

  test('has no code that nothing uses', () => {
    const packages = join(import.meta.dirname, '../..');
    const text = ['sdk', 'credentials', 'gateway', 'control', 'cli']
      .flatMap((name) => sources(join(packages, name, 'src')))
      .filter((file) => !file.endsWith('error-catalogue.ts'))
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n');
    expect(entries.map(([code]) => code).filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });

  // `npx vitest run error-catalogue -u` writes the page anew.
  test('docs/errors.md is up to date', async () => {
    await expect(errorsPage()).toMatchFileSnapshot('../../../docs/errors.md');
  });
});

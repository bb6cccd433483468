import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const documents = ['README.md', 'CONTRIBUTING.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((name) => name.endsWith('.md'));

describe.each(documents)('%s', (file) => {
  test('links only to files that exist', () => {
    const targets = [...readFileSync(file, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) => target);
    expect(targets.filter((target) => !existsSync(path.join(path.dirname(file), target)))).toEqual([]);
  });
});

describe('docs/dependencies.md', () => {
  const text = readFileSync('docs/dependencies.md', 'utf8');

  test.each(['sdk', 'credentials', 'gateway', 'control', 'cli'])('has a full line for each dependency of %s, and no other', (name) => {
    const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8')) as { dependencies?: Record<string, string> };
    const wanted = Object.keys(manifest.dependencies ?? {}).filter((dependency) => !dependency.startsWith('@sallyport/'));
    const section = text.split('\n## ').find((part) => part.split('\n')[0]?.includes(`\`@sallyport/${name}\``)) ?? '';
    const rows = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| package |'));
    expect(rows.map((row) => row.split(' | ')[0]?.slice(2)).sort()).toEqual(wanted.sort());
    for (const row of rows) expect(row).toMatch(/^\| \S+( \| [^|]{3,}){4} \|$/);
  });

  test('the gateway has at most ten', () => {
    const manifest = JSON.parse(readFileSync('packages/gateway/package.json', 'utf8')) as { dependencies: Record<string, string> };
    expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(10);
  });
});

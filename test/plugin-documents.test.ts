import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin } from '@sallyport/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { globMatch } from '../packages/credentials/src/routing/glob.js';
import { type ContractOptions, verifyContract } from '../packages/sdk/src/compliance/index.js';

let folder = '';

/** The blocks of TypeScript in a page. */
function blocks(page: string): string[] {
  return [...readFileSync(`docs/${page}`, 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
}

const examples = ['plugins.md', 'routing.md'].flatMap((page) => blocks(page).map((code, i) => ({ name: `${path.parse(page).name}-${i}`, code })));

const sources: Readonly<Record<string, string>> = {
  '@sallyport/sdk': path.resolve('packages/sdk/src/index.ts'),
  '@sallyport/sdk/compliance': path.resolve('packages/sdk/src/compliance/index.ts'),
  '@sallyport/credentials': './credentials.ts',
};

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-documents-'));
  const routing = ['mux.ts', 'static-mapping.ts', 'key-resolver.ts'].map((file) => path.resolve('packages/credentials/src/routing', file));
  const exported = [path.resolve('packages/credentials/src/index.ts'), ...routing];
  writeFileSync(path.join(folder, 'credentials.ts'), exported.map((file) => `export * from '${file}';\n`).join(''));
  for (const { name, code } of examples) {
    const local = code.replace(/ from '(@sallyport\/[^']+)'/g, (_, specifier: string) => ` from '${sources[specifier]}'`);
    writeFileSync(path.join(folder, `${name}.ts`), local);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The plugin that an example exports. */
async function exampleOf(name: string): Promise<unknown> {
  const module = (await import(/* @vite-ignore */ pathToFileURL(path.join(folder, `${name}.ts`)).href)) as { default: unknown };
  return module.default;
}

test('every example compiles', { timeout: 120_000 }, () => {
  expect(examples.length).toBeGreaterThanOrEqual(7);
  const compilerOptions = {
    noEmit: true,
    composite: false,
    incremental: false,
    allowImportingTsExtensions: true,
    typeRoots: [path.resolve('node_modules/@types')],
    noUnusedLocals: true,
    paths: { '@sallyport/sdk': [sources['@sallyport/sdk']] },
  };
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: path.resolve('tsconfig.base.json'), compilerOptions, include: ['*.ts'] }),
  );
  const { stdout } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], { encoding: 'utf8' });
  expect(stdout).toBe('');
});

describe('an example keeps the contract', () => {
  const url = 'https://login.acme.example/token';
  const contexts = [{ targetUrl: 'https://api.acme.example/v1/orders', vendorId: 'acme' }];

  test.each<[string, (exported: unknown) => Plugin, ContractOptions]>([
    ['plugins-0', (exported) => exported as Plugin, { contexts: [{ ...contexts[0], data: { TenantID: 'T-1' } }] }],
    [
      'plugins-1',
      (exported) => (exported as (options: { key: string }) => Plugin)({ key: 'the-signing-key' }),
      { contexts, secrets: ['the-signing-key'] },
    ],
    ['plugins-2', (exported) => exported as Plugin, { contexts }],
    ['plugins-3', (exported) => exported as Plugin, { contexts }],
  ])('%s', async (name, pluginOf, options) => {
    // The token endpoint of the first example, which is a name that leads nowhere.
    const fetched = globalThis.fetch;
    globalThis.fetch = (target) => {
      expect(target).toBe(url);
      return Promise.resolve(Response.json({ token: 'token-of-acme', expires_in: 3600 }));
    };
    try {
      await verifyContract(pluginOf(await exampleOf(name)), options);
    } finally {
      globalThis.fetch = fetched;
    }
  });

  test('routing-0', async () => {
    process.env.ACME_KEY = 'key-of-acme';
    try {
      await verifyContract((await exampleOf('routing-0')) as Plugin, { contexts, secrets: ['key-of-acme'] });
    } finally {
      delete process.env.ACME_KEY;
    }
  });
});

test('the table of globs says what globs do', () => {
  const [, table] = /## Globs\n\n(.*?)\n\n/s.exec(readFileSync('docs/routing.md', 'utf8')) as unknown as [string, string];
  const rows = table.split('\n').slice(2);
  expect(rows.length).toBeGreaterThanOrEqual(10);
  for (const row of rows) {
    const [pattern, matching, other] = row
      .split('|')
      .slice(1, -1)
      .map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text));
    // Rows in words name their separator, which is no example.
    if (!row.includes('any text'))
      for (const input of matching) expect([pattern[0], input, globMatch(pattern[0], input, '/')]).toEqual([pattern[0], input, true]);
    for (const input of other) expect([pattern[0], input, globMatch(pattern[0], input, '/')]).toEqual([pattern[0], input, false]);
  }
});

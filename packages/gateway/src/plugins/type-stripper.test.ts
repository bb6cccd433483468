import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { closeHosts, folderWith } from './plugin-fixtures.test.support.js';
import { typeStripper } from './type-stripper.js';

afterEach(closeHosts);

const amaro = `
exports.transformSync = (source, { mode }) => {
  const picture = '   ,-[2:1]\\n 1 | const a = 1;\\n 2 | enum A {}\\n   : ^^^^^^\\n';
  if (source.includes('enum')) throw '  x TypeScript enum is not supported in strip-only mode\\n' + picture;
  return { code: '/* ' + mode + ' */' + source.replaceAll(': number', '        ') };
};`;

test('types are stripped by what is there, and a fault names its line', async () => {
  const folder = await folderWith({ 'acme.ts': '' });
  const file = path.join(folder, 'acme.ts');
  const strip = typeStripper(file);
  expect(strip?.('export const a: number = 1;\n', file)).toMatch(/^export const a\s+= 1;\n/);
  expect(() => strip?.('const a = 1;\nconst b: = 2;\n', file)).toThrow(SyntaxError);
});

test.skipIf('stripTypeScriptTypes' in (await import('node:module')))('the tool beside the plugin comes first', async () => {
  const folder = await folderWith({
    'acme.ts': '',
    'node_modules/amaro/package.json': '{"main":"index.cjs"}',
    'node_modules/amaro/index.cjs': amaro,
  });
  const file = path.join(folder, 'acme.ts');
  const strip = typeStripper(file);
  expect(strip?.('const a: number = 1;', file)).toBe('/* strip-only */const a         = 1;');
  expect(() => strip?.('const a = 1;\nenum A {}\n', file)).toThrow(`${file}:2: TypeScript enum is not supported in strip-only mode`);
});

test.skipIf('stripTypeScriptTypes' in (await import('node:module')))(
  'a tool that cannot be loaded, or lacks the function, is passed over',
  async () => {
    const folder = await folderWith({
      'acme.ts': '',
      'node_modules/amaro/package.json': '{"main":"index.cjs"}',
      'node_modules/amaro/index.cjs': 'throw new Error("not for this Node");',
      'node_modules/typescript/package.json': '{"main":"index.cjs"}',
      'node_modules/typescript/index.cjs': 'exports.version = "7.0.0";',
    });
    await mkdir(path.join(folder, 'sub'));
    const file = path.join(folder, 'sub', 'acme.ts');
    // What is installed next to the gateway steps in.
    expect(typeStripper(file)?.('export const a: number = 1;', file)).toContain('export const a = 1;');
  },
);

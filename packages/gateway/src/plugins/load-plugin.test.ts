import { utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createPluginHost } from './create-plugin-host.js';
import { ask, closeHosts, folderWith, hostOf } from './plugin-fixtures.test.support.js';

afterEach(closeHosts);

const working = 'export default { getCredentials: () => ({ headers: { "X-Key": "k" }, expiresAt: Date.now() + 60_000 }) };';
const typed = `
import type { Nothing } from './nowhere.ts';
import { helper } from './helper.mts';
interface Options { readonly key: string; readonly nothing?: Nothing }
export default (options: Options) => ({
  getCredentials: () => ({ headers: { 'X-Key': helper(options.key as string) }, expiresAt: Date.now() + 60_000 }),
});
`;
const helper = 'export const helper = <T>(value: T): T => value satisfies T;\n';

/** In a thread, as there Node itself loads the plugin and not the tool that runs the tests. */
const load = (plugin: string, folder: string, more: object = {}) => hostOf({ plugin, folder, isolation: 'worker', ...more });

async function detailOf(plugin: string, files: Readonly<Record<string, string>>, more: object = {}): Promise<string> {
  const folder = await folderWith(files);
  const error = await load(plugin, folder, more).then(
    () => {
      throw new Error('it was loaded');
    },
    (caught: unknown) => caught as { code: string; message: string; members: unknown },
  );
  expect(error).toMatchObject({ code: 'plugin_load_failed', members: { plugin } });
  expect(error.message).toMatch(`plugin ${plugin}: `);
  return error.message.replaceAll(folder, 'FOLDER');
}

const keyOf = async (host: Awaited<ReturnType<typeof hostOf>>) => (await ask(host)).credential?.fields.lines;

describe('a plugin is found', () => {
  test.each(['./acme.mjs', './acme.js', './sub/../acme.mjs'])('by the path %s', async (name) => {
    const folder = await folderWith({ 'acme.mjs': working, 'acme.js': working });
    const host = await load(name, folder);
    expect(host).toMatchObject({ name, file: path.resolve(folder, name), methods: new Set(['getCredentials']), forwardReferences: null });
    expect(await keyOf(host)).toBe('X-Key: k\r\n');
  });

  test('by an absolute path, and inline', async () => {
    const folder = await folderWith({ 'acme.mjs': working });
    expect(await keyOf(await hostOf({ plugin: path.join(folder, 'acme.mjs') }))).toBe('X-Key: k\r\n');
  });

  test('in TypeScript, with what it imports and its options', async () => {
    const folder = await folderWith({ 'acme.ts': typed, 'helper.mts': helper });
    expect(await keyOf(await load('./acme.ts', folder, { options: { key: 'typed' } }))).toBe('X-Key: typed\r\n');
  });

  test.each([
    ['acme', { 'package.json': '{"type":"module","exports":{"types":"./x.d.ts","import":"./index.js","require":"./index.cjs"}}' }],
    ['acme', { 'package.json': '{"type":"module","exports":{".":{"node":{"default":"./index.js"}}}}' }],
    ['acme', { 'package.json': '{"type":"module","main":"index.js"}' }],
    ['@acme/plugin', { 'package.json': '{"type":"module","exports":"./index.js"}' }],
    ['@acme/plugin/sub', { 'package.json': '{"type":"module","exports":{"./sub":"./index.js"}}' }],
  ])('as the package %s: %j', async (name, manifest) => {
    const home = `node_modules/${name.replace('/sub', '')}`;
    const folder = await folderWith({
      ...Object.fromEntries(Object.entries(manifest).map(([file, content]) => [`${home}/${file}`, content])),
      [`${home}/index.js`]: working,
      [`${home}/index.cjs`]: 'throw new Error("the wrong one");',
      'config/sallyport.yaml': '',
    });
    const host = await load(name, path.join(folder, 'config'));
    expect(host.file).toBe(path.join(folder, home, 'index.js'));
    expect(await keyOf(host)).toBe('X-Key: k\r\n');
  });

  test('in CommonJS, with a default or without', async () => {
    const folder = await folderWith({
      'a.cjs': working.replace('export default', 'module.exports ='),
      'b.cjs': `Object.defineProperty(exports, '__esModule', { value: true }); ${working.replace('export default', 'exports.default =')}`,
    });
    expect(await keyOf(await load('./a.cjs', folder))).toBe('X-Key: k\r\n');
    expect(await keyOf(await load('./b.cjs', folder))).toBe('X-Key: k\r\n');
  });

  test('as an object, an instance of a class, or a function that makes one', async () => {
    class Acme {
      getCredentials() {
        return { headers: { 'X-Key': this.key() }, expiresAt: Date.now() + 60_000 };
      }
      key() {
        return 'k';
      }
    }
    expect(await keyOf(await hostOf({ plugin: new Acme() }))).toBe('X-Key: k\r\n');
    const made = await hostOf({
      plugin: (options) => Promise.resolve(Object.assign(new Acme(), { key: () => String(options.key) })),
      options: { key: 'o' },
    });
    expect(await keyOf(made)).toBe('X-Key: o\r\n');
    expect(made).toMatchObject({ name: '(passed in)', file: null });
  });

  test('with a secret among its options, which arrives in a thread as what it is', async () => {
    const { Secret } = await import('@sallyport/sdk');
    const folder = await folderWith({
      'acme.mjs': `export default ({ list: [{ key }] }) => ({
        getCredentials: () => ({ headers: { 'X-Key': key.reveal(), 'X-Shown': String(key) }, expiresAt: Date.now() + 60_000 }),
      });`,
    });
    const host = await load('./acme.mjs', folder, { options: { list: [{ key: new Secret('deep') }] } });
    expect(await keyOf(host)).toBe('X-Key: deep\r\nX-Shown: [secret]\r\n');
  });

  test('with its forward references', async () => {
    const folder = await folderWith({ 'acme.mjs': 'export default { routeRequest: () => null, forwardReferences: () => ["a", "b"] };' });
    expect((await load('./acme.mjs', folder)).forwardReferences).toEqual(['a', 'b']);
  });
});

describe('a plugin that cannot be found is refused:', () => {
  test.each([
    ['./nope.mjs', {}, 'there is no file FOLDER/nope.mjs'],
    ['./acme.js', { 'acme.ts': '' }, 'there is no file FOLDER/acme.js; did you mean acme.ts?'],
    ['./sub', { 'sub/index.js': '' }, 'FOLDER/sub is not a file'],
    ['./acme.yaml', { 'acme.yaml': '' }, 'FOLDER/acme.yaml is not a module; its name should end in .js, .mjs, .cjs, .ts, .mts'],
    ['acme', {}, 'no package of this name is installed in FOLDER or above'],
    ['acme.mjs', { 'acme.mjs': working }, 'no package of this name is installed in FOLDER or above; for the file write ./acme.mjs'],
    ['', {}, 'this is neither a path that begins with ./ nor the name of a package'],
    ['.hidden', {}, 'this is neither'],
    ['acme', { 'node_modules/acme/package.json': '{' }, 'FOLDER/node_modules/acme/package.json cannot be read as JSON'],
    ['acme', { 'node_modules/acme/package.json': '{}' }, 'the package in FOLDER/node_modules/acme has no module'],
    ['acme/sub', { 'node_modules/acme/package.json': '{"exports":"./index.js"}' }, 'the package in FOLDER/node_modules/acme has no module'],
  ])('%s', async (name, files, sentence) => {
    expect(await detailOf(name, files)).toContain(sentence);
  });
});

describe('a plugin that cannot be imported is refused:', () => {
  test.each([
    ['syntax', 'export default {\n  getCredentials( { }\n};\n', 'is not valid: FOLDER/acme.mjs:3: Unexpected token'],
    ['a missing export', 'import { nothing } from "./other.mjs";\nexport default nothing;', 'is not valid: FOLDER/acme.mjs:1: The requested module'],
    ['a missing file', 'import "./nope.mjs";', "something that it imports is missing: Cannot find module 'FOLDER/nope.mjs'"],
    ['a missing package', 'import "nope-nope";', "something that it imports is missing: Cannot find package 'nope-nope'"],
    ['an error', 'const a = 1;\nthrow new RangeError("boom " + a + "\\nmore");', 'threw at import (FOLDER/acme.mjs:2): RangeError: boom 1'],
    ['a text', 'throw "boom";', 'threw the text "boom" at import'],
    ['something else', 'throw { boom: 1 };', 'threw a object at import'],
    ['no default', 'export const getCredentials = () => null;', 'has no default export; it exports getCredentials'],
    ['nothing', '', 'has no default export; it exports nothing'],
    ['null', 'export default null;', 'its default export is null, not an object with methods'],
    ['a list', 'export default [];', 'its default export is a list'],
    ['a class', 'export default class Acme { getCredentials() {} }', 'its default export is a class; export an instance'],
    ['no methods', 'export default { name: "acme" };', 'has none of the methods getCredentials, signCsr, modifyResponse, routeRequest'],
    ['forward references only', 'export default { forwardReferences: () => [] };', 'has none of the methods'],
    ['a member', 'export default { getCredentials: "k" };', 'has a member getCredentials that is a text, not a function'],
    ['a function that throws', 'export default () => {\n  throw new Error("no key");\n};', 'its function threw (FOLDER/acme.mjs:2): Error: no key'],
    ['a function that answers nothing', 'export default () => {};', 'what its function answers is nothing, not an object with methods'],
    ['its references', 'export default { routeRequest() {}, forwardReferences: () => "x" };', 'forwardReferences answered a text instead of a list'],
    ['its references throwing', 'export default { routeRequest() {}, forwardReferences() { throw new Error("x"); } };', 'forwardReferences threw: x'],
    ['the end of the process', 'process.exit(4);', 'ended its thread while it was loaded (exit code 4)'],
  ])('%s', async (_name, content, sentence) => {
    expect(await detailOf('./acme.mjs', { 'acme.mjs': content, 'other.mjs': 'export default 1;' })).toContain(sentence);
  });

  test.each(['getCredential', 'get_credentials', 'GetCredentials', 'getCredentails', 'GETCREDENTIALS'])('a misspelled method: %s', async (name) => {
    const detail = await detailOf('./acme.mjs', { 'acme.mjs': `export default { ${name}: () => null, signCsr: () => "" };` });
    expect(detail).toContain(`has a method "${name}"; it is spelled getCredentials`);
  });

  test('but helpers beside the right method are not misspellings', async () => {
    const folder = await folderWith({ 'acme.mjs': 'export default { getCredentials: () => null, getCredential: () => null, getCredentialz: 1 };' });
    expect((await load('./acme.mjs', folder)).methods).toEqual(new Set(['getCredentials']));
  });

  test.each([
    ['const a: number = 1;\nconst b: = 2;\nexport default {};\n', /is not valid: FOLDER\/acme\.ts:2: /],
    ['const a: number = 1;\nimport "./nope.ts";\n', /missing: Cannot find module 'FOLDER\/nope\.ts'/],
  ])('TypeScript: %j', async (content, sentence) => {
    expect(await detailOf('./acme.ts', { 'acme.ts': content })).toMatch(sentence);
  });

  test('options that nobody reads', async () => {
    expect(await detailOf('./acme.mjs', { 'acme.mjs': working }, { options: { key: 1 } })).toContain(
      'takes no options: its default export is not a function',
    );
  });

  test('an object for a thread', async () => {
    await expect(hostOf({ plugin: { getCredentials: () => null }, isolation: 'worker' })).rejects.toMatchObject({
      code: 'plugin_load_failed',
      message: expect.stringContaining('cannot be handed to a thread') as string,
    });
  });
});

describe('a plugin that does not finish loading is given up:', () => {
  test.each([
    ['an await that never ends', 'await new Promise(() => {}); export default {};', 'worker', 'at import; is there an await or a loop'],
    ['the same, inline', 'await new Promise(() => {}); export default {};', 'inline', 'at import; is there an await or a loop'],
    ['a function that never answers', 'export default () => new Promise(() => {});', 'inline', 'when its function was called'],
    ['a loop', 'while (true) {}', 'worker', 'at import; is there an await or a loop'],
  ])('%s', async (_name, content, isolation, sentence) => {
    expect(await detailOf('./acme.mjs', { 'acme.mjs': content }, { isolation, loadTimeoutMs: 300 })).toContain(sentence);
  });
});

describe('a plugin that is loaded again', () => {
  const source = (key: string) => working.replace('"k"', `"${key}"`);

  test('is imported afresh when its file has changed, and only then', async () => {
    const folder = await folderWith({
      'acme.mjs': source('one').replace('export default', 'globalThis.loads = (globalThis.loads ?? 0) + 1; export default'),
    });
    const loads = () => (globalThis as { loads?: number }).loads;
    const settings = { plugin: './acme.mjs', folder };
    expect(await keyOf(await hostOf(settings))).toBe('X-Key: one\r\n');
    expect(await keyOf(await hostOf(settings))).toBe('X-Key: one\r\n');
    expect(loads()).toBe(1);
    await writeFile(path.join(folder, 'acme.mjs'), source('two'));
    // Two writes within the granularity of the clock of the file system.
    await utimes(path.join(folder, 'acme.mjs'), 1, 1);
    expect(await keyOf(await hostOf(settings))).toBe('X-Key: two\r\n');
  });

  test('is tried anew when it failed and what it imports is there now', async () => {
    const folder = await folderWith({ 'acme.mjs': `import key from './key.mjs';\n${source('one').replace('"one"', 'key')}` });
    const settings = { plugin: './acme.mjs', folder };
    await expect(createPluginHost({ ...settings, ...limits })).rejects.toMatchObject({ code: 'plugin_load_failed' });
    await writeFile(path.join(folder, 'key.mjs'), 'export default "late";');
    expect(await keyOf(await hostOf(settings))).toBe('X-Key: late\r\n');
  });

  const limits = { options: {}, isolation: 'inline', timeoutMs: 60_000, loadTimeoutMs: 60_000, bodyLimit: 1_000, onTrouble: () => {} } as const;
});

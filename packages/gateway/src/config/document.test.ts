// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { describe, expect, test } from 'vitest';
import { readDocument } from './document.js';
import { locate, plainValue, type Tree } from './document-tree.js';

const read = (text: string) =>
  readDocument(
    text,
    (name) => (name === 'SET' ? 'filled' : undefined),
    () => true,
  );

function plainValueOf(text: string): unknown {
  const { tree, findings } = read(text);
  expect(findings).toEqual([]);
  return plainValue(tree as Tree);
}

/** Line, column and message of all findings. */
function findingsOf(text: string): string[] {
  return read(text).findings.map(({ span, message }) => {
    const before = text.slice(0, span.start).split('\n');
    return `${before.length}:${(before.at(-1) as string).length + 1} ${message}`;
  });
}

describe('understands', () => {
  test.each([
    [
      'scalars of the core schema',
      'a: [1, 0x10, 1.5, true, null, ~, off, yes, 2020-01-01, "1"]',
      { a: [1, 16, 1.5, true, null, null, 'off', 'yes', '2020-01-01', '1'] },
    ],
    ['an empty value', 'a:\nb: 1', { a: null, b: 1 }],
    ['keys that are not text', '1: a\ntrue: b', { 1: 'a', true: 'b' }],
    ['block texts', 'a: |\n  x ${SET}\n  y\n', { a: 'x filled\ny\n' }],
    ['every kind of quoting', `a: ["\${SET}", '\${SET}']\nb: \${SET}\nc: $\${SET}`, { a: ['filled', 'filled'], b: 'filled', c: '${SET}' }],
    ['an alias', 'a: &x { n: 1 }\nb: [*x, *x]', { a: { n: 1 }, b: [{ n: 1 }, { n: 1 }] }],
    ['an anchor that is set again', 'a: &x 1\nb: *x\nc: &x 2\nd: *x', { a: 1, b: 1, c: 2, d: 2 }],
    ['a merge key', 'a: &x { n: 1, m: 2 }\nb:\n  <<: *x\n  n: 3', { a: { n: 1, m: 2 }, b: { n: 3, m: 2 } }],
    ['a merge of several', 'a: &x { n: 1 }\nb: &y { n: 2, m: 2 }\nc: { <<: [*x, *y] }', { a: { n: 1 }, b: { n: 2, m: 2 }, c: { n: 1, m: 2 } }],
    ['a quoted "<<" as a key', '"<<": 1', { '<<': 1 }],
    ['the 1.2 rules, whatever a directive says', '%YAML 1.1\n---\na: off', { a: 'off' }],
    ['a byte order mark and CRLF', '\ufeffa: 1\r\nb: x\r\n', { a: 1, b: 'x' }],
  ])('%s', (_, text, value) => {
    expect(plainValueOf(text)).toEqual(value);
  });
});

describe('refuses', () => {
  test.each([
    ['a tab as indentation', 'a:\n\tb: 1', ['2:1 the YAML cannot be understood here: tabs are not allowed as indentation']],
    ['an open quote', 'a: "x', ['1:6 a closing quote is missing']],
    [
      'an open bracket',
      'a: [1',
      ['1:6 the YAML cannot be understood here: flow sequence in block collection must be sufficiently indented and end with a ]'],
    ],
    ['a variable in braces without quotes', 'a: { b: ${SET} }', ['1:10 between braces or brackets, a text with ${ in it has to stand in quotes']],
    ['several documents', 'a: 1\n---\nb: 2', ['2:1 a second document starts here; one file holds one document']],
    ['tags', 'a: !thing 1', ['1:4 tags are not supported']],
    ['tags that other YAML versions know', 'a: !!binary aGk=', ['1:4 tags are not supported']],
    ['an alias without an anchor', 'a: *x', ['1:4 this alias names no anchor above it']],
    ['an alias above its anchor', 'a: *x\nb: &x 1', ['1:4 this alias names no anchor above it']],
    ['an alias inside of what it names', 'a: &x [*x]', ['1:8 this alias stands inside of what it names']],
    ['a key that is there twice', 'a: 1\nb: 2\na: 3', ['3:1 this key is there already']],
    ['every key that is there twice', 'a: { b: 1, b: 2 }\na: 3', ['1:12 this key is there already', '2:1 this key is there already']],
    ['a key that is a map', '? { a: 1 }\n: 1', ['1:3 a key has to be a plain text']],
    ['a key that JavaScript would act on', 'a: { __proto__: { b: 1 } }', ['1:6 this key cannot be used']],
    ['a merge of something else', 'a: { <<: 1 }', ['1:10 only maps can be merged']],
    ['a variable that is not set', 'a:\n  - x ${UNSET}', ['2:5 the environment variable UNSET is not set; set it, or write ${UNSET:-default}']],
  ])('%s', (_, text, findings) => {
    expect(findingsOf(text)).toEqual(findings);
  });
});

describe('is bounded', () => {
  test.each([
    ['brackets', '['.repeat(500_000), '1:65'],
    ['brackets after closing ones', `${']'.repeat(1_000)}${'['.repeat(1_000)}`, '1:1065'],
    ['braces', '{a: '.repeat(100_000), '1:257'],
    ['lists on one line', '- '.repeat(100_000), '1:129'],
    ['explicit keys', '? '.repeat(100_000), '1:129'],
    ['maps by indentation', Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), '129:129'],
  ])('nesting by %s', (_, text, position) => {
    expect(findingsOf(text)).toEqual([`${position} this is nested too deeply`]);
  });

  test('brackets in texts and comments are no nesting', () => {
    const many = '['.repeat(200);
    expect(plainValueOf(`a: "${many}" # ${many}\nb: |\n  ${many}\n`)).toEqual({ a: many, b: `${many}\n` });
  });

  test('aliases that stand for ever more', () => {
    const levels = Array.from({ length: 9 }, (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level}, `.repeat(10)}]`);
    const { findings } = read(['a0: &a0 [x, x, x, x]', ...levels].join('\n'));
    expect(findings.some(({ message }) => message === 'the aliases up to here stand for too much')).toBe(true);
  });

  test('many aliases', () => {
    expect(read(`a: &a 1\nb: [${'*a, '.repeat(100)}]`).findings).toEqual([]);
    expect(read(`a: &a 1\nb: [${'*a, '.repeat(101)}]`).findings).toHaveLength(1);
  });

  test('a hundred thousand keys are looked at in linear time', () => {
    const keys = Array.from({ length: 50_000 }, (_, index) => `k${index}: 1`).join('\n');
    expect(read(`${keys}\nk0: 2`).findings).toHaveLength(1);
  });
});

test('a path leads to its place, or as near as the file goes', () => {
  const text = 'a:\n  b: [x, { c: 1 }]\n  d:\n';
  const tree = read(text).tree as Tree;
  const at = (...path: PropertyKey[]) => {
    const { anchor, shown, node } = locate(tree, path);
    return [shown, text.slice(anchor.start, anchor.end), node === null];
  };
  expect(at('a')).toEqual(['a', 'a', false]);
  expect(at('a', 'b', 0)).toEqual(['a.b[0]', 'x', false]);
  expect(at('a', 'b', 1, 'c')).toEqual(['a.b[1].c', '1', false]);
  expect(at('a', 'd')).toEqual(['a.d', 'd', false]);
  expect(at('a', 'e', 'f')).toEqual(['a.e.f', 'a', true]);
  expect(at('a', 0, 'b')).toEqual(['a.b', 'b', false]);
  expect(at('a', 'x.y')).toEqual(['a["x.y"]', 'a', true]);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonProblem, type JsonValue, parseJson } from './json-document.js';

/** As `JSON.parse` would have it. */
function plain(value: JsonValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...(value as ReadonlyMap<string, JsonValue>)].map(([name, one]) => [name, plain(one)]));
  return Array.isArray(value) ? (value as readonly JsonValue[]).map(plain) : value;
}

function problemOf(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonProblem) return `${error.line}:${error.column} ${error.message}`;
    throw error;
  }
  return 'none';
}

function accepted(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

describe('parseJson agrees with JSON.parse', () => {
  test('about what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(plain(parseJson(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('about texts that are nearly JSON', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '"\\u00e9"',
      '"\\x"',
      '"\n"',
      '0',
      '-1.5e3',
      '01',
      '.5',
      'true',
      'nul',
      ' ',
      '\n',
      '\ufeff',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const ours = accepted(() => parseJson(text));
        // The one difference: a member that is there twice.
        if (ours || !/"a".*"a"|"b".*"b"|"\\u00e9".*"\\u00e9"/s.test(text)) expect(ours).toBe(accepted(() => JSON.parse(text)));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('what is wrong is said without quoting a value', () => {
  test.each([
    ['', '1:1 the text ends where a value is expected'],
    ['{\n  "a": secret }', '2:8 a value is expected here'],
    ['{"a": "secret', '1:7 a text in double quotes is expected here, with its control characters escaped'],
    ['{"a": "secret"', '1:15 the text ends where "}" is expected'],
    ['{"a": 1 "b": 2}', '1:9 "}" is expected here'],
    ['{"a" "secret"}', '1:6 ":" is expected here'],
    ['{"a": 1,}', '1:9 a text in double quotes is expected here, with its control characters escaped'],
    ['{"a": "secret"} x', '1:17 something follows the value'],
    ['{"a": 1,\n "a": 2}', '2:2 "a" is there twice'],
    ['['.repeat(40), '1:34 more than 32 levels deep'],
  ])('%j: %s', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  test('a member called __proto__ is a member', () => {
    expect(plain(parseJson('{"__proto__": 1}'))).toEqual(JSON.parse('{"__proto__": 1}'));
  });
});

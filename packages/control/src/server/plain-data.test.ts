import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { requirePlainData } from './plain-data.js';

function issueOf(value: unknown): unknown {
  try {
    requirePlainData(value, 'body');
    return null;
  } catch (error) {
    return error instanceof SallyportError ? (error.members.issues as unknown[])[0] : error;
  }
}

test('whatever JSON holds is plain, except NUL and halves of characters', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), (value) => {
      const text = JSON.stringify(value);
      const bad = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(text);
      expect(issueOf(value) === null).toBe(!bad);
    }),
  );
});

test.each([
  [{ a: [{ b: 'x\0' }] }, { in: 'body', path: 'a.0.b' }],
  [{ a: { 'x\ud800': 1 } }, { in: 'body', path: 'a' }],
  ['\udc00', { in: 'body', path: '' }],
])('%j is refused where it is wrong', (value, where) => {
  expect(issueOf(value)).toMatchObject(where);
});

test('no depth exhausts the stack, and 64 levels are enough for everybody', () => {
  const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);
  expect(issueOf(nested(64))).toBeNull();
  for (const depth of [65, 500_000]) expect(issueOf(nested(depth))).toMatchObject({ message: expect.stringContaining('nested') });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { damerauLevenshtein, nearestKeys, suggestion } from './nearest-key.js';

describe('the distance', () => {
  test.each([
    ['', '', 0],
    ['rules', 'rules', 0],
    ['ruls', 'rules', 1],
    ['ruless', 'rules', 1],
    ['rulas', 'rules', 1],
    ['rlues', 'rules', 1],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
    ['ca', 'abc', 3],
  ])('from %j to %j is %i', (left, right, distance) => {
    expect(damerauLevenshtein(left, right)).toBe(distance);
  });

  test('is symmetric, at most the longer length, and zero for equal texts only', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
    fc.assert(
      fc.property(word, word, (left, right) => {
        const distance = damerauLevenshtein(left, right);
        expect(damerauLevenshtein(right, left)).toBe(distance);
        expect(distance).toBeLessThanOrEqual(Math.max(left.length, right.length));
        expect(distance === 0).toBe(left === right);
      }),
    );
  });
});

test('all keys at the smallest distance are named', () => {
  expect(nearestKeys('post', ['host', 'port', 'tls'])).toEqual(['host', 'port']);
  expect(nearestKeys('Head-Size', ['head', 'head_size'])).toEqual(['head_size']);
  expect(nearestKeys('keepAlive', ['idle', 'keep_alive'])).toEqual(['keep_alive']);
  expect(nearestKeys('database', ['listeners', 'policy'])).toEqual([]);
  expect(nearestKeys('x'.repeat(1_000_000), ['listeners', 'policy'])).toEqual([]);
  expect(suggestion([])).toBe('');
  expect(suggestion(['host', 'port'])).toBe(', did you mean "host" or "port"?');
});

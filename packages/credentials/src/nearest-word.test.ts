import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { didYouMean, editDistance, nearestWords } from './nearest-word.js';

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
    expect(editDistance(left, right)).toBe(distance);
  });

  test('is symmetric, at most the longer length, and zero for equal texts only', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
    fc.assert(
      fc.property(word, word, (left, right) => {
        const distance = editDistance(left, right);
        expect(editDistance(right, left)).toBe(distance);
        expect(distance).toBeLessThanOrEqual(Math.max(left.length, right.length));
        expect(distance === 0).toBe(left === right);
      }),
    );
  });
});

describe('the nearest', () => {
  const actions = ['allow', 'deny', 'passthrough'];

  test.each([
    ['alow', actions, ['allow']],
    ['allwo', actions, ['allow']],
    ['ALLOW', actions, ['allow']],
    ['allows', actions, ['allow']],
    ['dney', actions, ['deny']],
    ['passthru', actions, ['passthrough']],
    ['pass-through', actions, ['passthrough']],
    ['block', actions, []],
    ['permit', actions, []],
    ['', actions, []],
    ['x'.repeat(1_000_000), actions, []],
    ['database', ['listeners', 'policy'], []],
    ['timeout', [], []],
    ['Head-Size', ['head', 'head_size'], ['head_size']],
    ['keepAlive', ['idle', 'keep_alive'], ['keep_alive']],
    ['methods', ['methodes', 'method', 'methods_'], ['methodes', 'method', 'methods_']],
    ['methods', ['methodse', 'metho', 'mthods'], ['methodse', 'mthods']],
    ['post', ['host', 'port', 'tls'], ['host', 'port']],
  ])('to %.20s of %j: %j', (written, words, nearest) => {
    expect(nearestWords(written, words)).toEqual(nearest);
  });
});

test('what is near goes to the end of a message', () => {
  expect(didYouMean([])).toBe('');
  expect(didYouMean(['host'])).toBe(', did you mean "host"?');
  expect(didYouMean(['host', 'port'])).toBe(', did you mean "host" or "port"?');
});

import { describe, expect, it } from 'vitest';
import { nearestWord } from './nearest-word.js';

describe('nearestWord', () => {
  const words = ['allow', 'deny', 'passthrough'];

  it.each([
    ['alow', 'allow'],
    ['allwo', 'allow'],
    ['ALLOW', 'allow'],
    ['allows', 'allow'],
    ['dney', 'deny'],
    ['passthru', 'passthrough'],
    ['pass-through', 'passthrough'],
    ['block', null],
    ['permit', null],
    ['', null],
    ['x'.repeat(100_000), null],
  ])('finds for %.20s: %s', (word, nearest) => {
    expect(nearestWord(word, words)).toBe(nearest);
  });

  it('prefers the nearer of two', () => {
    expect(nearestWord('methods', ['method', 'methods_', 'methodes'])).toBe('method');
    expect(nearestWord('timeout', [])).toBeNull();
  });
});

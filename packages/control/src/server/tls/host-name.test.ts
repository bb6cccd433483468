import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isHostName } from './host-name.js';

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/);

test('host names are recognised', () => {
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), (labels) => {
      expect(isHostName(labels.join('.'))).toBe(true);
    }),
  );
});

test('whatever is recognised is a name that URLs take as it is, and one that leads nowhere in a folder', () => {
  const texts = fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9./\\_ -]{0,40}$/), fc.stringMatching(/^[ax0-9.-]{1,8}$/));
  fc.assert(
    fc.property(texts, (text) => {
      // What follows `xn--` may be no Punycode; an authority would say so.
      if (!isHostName(text) || text.includes('xn--')) return;
      expect(new URL(`https://${text}/`).hostname).toBe(text);
      expect(text).toMatch(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/);
      expect(text).not.toContain('..');
    }),
  );
});

test.each([
  '',
  '.',
  'a..b',
  'a.',
  '.a',
  '-a',
  'a-',
  'A',
  'a_b',
  'a/b',
  '1.2.3.4',
  'a.1',
  'a.0x1f',
  'a.0x',
  '*.a',
  'é',
  `${'a'.repeat(64)}.b`,
  'ab.'.repeat(90),
])('%j is none', (text) => {
  expect(isHostName(text)).toBe(false);
});

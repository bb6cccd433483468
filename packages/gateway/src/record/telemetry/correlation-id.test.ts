import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { spanIdOf, traceIdOf } from './correlation-id.js';

describe('the trace of a correlation id', () => {
  test.each([
    ['a UUID', '550e8400-e29b-41d4-a716-446655440000', '550e8400e29b41d4a716446655440000'],
    ['a UUID in upper case', '550E8400-E29B-41D4-A716-446655440000', '550e8400e29b41d4a716446655440000'],
    ['32 digits', '550e8400e29b41d4a716446655440000', '550e8400e29b41d4a716446655440000'],
    // The published values of FNV-1a.
    ['anything else', 'a', 'd228cb696f1a8caf78912b704e4a8964'],
    ['anything longer', 'foobar', '343e1662793c64bf6f0d3597ba446f18'],
  ])('%s', (_, id, trace) => {
    expect(traceIdOf(id)).toBe(trace);
  });

  test('is an id whatever the text, and so is the span', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(traceIdOf(text)).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
        expect(spanIdOf(text)).toMatch(/^(?!0+$)[0-9a-f]{16}$/);
      }),
    );
    expect(traceIdOf('0'.repeat(32))).not.toMatch(/^0+$/);
  });
});

// The published values of FNV-1a.
test.each([
  ['', 'cbf29ce484222325'],
  ['a', 'af63dc4c8601ec8c'],
  ['foobar', '85944171f73967e8'],
])('the span of %j', (text, span) => {
  expect(spanIdOf(text)).toBe(span);
});

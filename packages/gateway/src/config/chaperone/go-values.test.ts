// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what is filled in.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandVariables, parseAddress, parseGoBool, parseGoDuration } from './go-values.js';

describe('parseGoDuration', () => {
  it.each([
    ['0', 0],
    ['-0', -0],
    ['500ms', 500],
    ['30s', 30_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['2.s', 2_000],
    ['+5s', 5_000],
    ['-5s', -5_000],
    ['100us', 0.1],
    ['100µs', 0.1],
    ['100μs', 0.1],
    ['1s1s', 2_000],
    ['1m0.5s', 60_500],
  ])('%s is %d ms', (text, expected) => {
    expect(parseGoDuration(text)).toBeCloseTo(expected, 6);
  });

  it.each(['', '-', '30', 's', '.s', '1d', '1 s', ' 1s', '1s ', '1S', '1e3s', '--1s', '1s-1s', '1,5s', '5m s', `${'1s'.repeat(33)}`])(
    '%j is none',
    (text) => {
      expect(parseGoDuration(text)).toBeNull();
    },
  );

  it('adds up whatever parts there are', () => {
    const part = fc.tuple(fc.nat(9_999), fc.constantFrom(['h', 3_600_000], ['m', 60_000], ['s', 1_000], ['ms', 1]) as fc.Arbitrary<[string, number]>);
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const text = parts.map(([count, [unit]]) => `${count}${unit}`).join('');
        expect(parseGoDuration(text)).toBe(parts.reduce((sum, [count, [, factor]]) => sum + count * factor, 0));
      }),
    );
  });
});

describe('parseGoBool', () => {
  it.each(['1', 't', 'T', 'TRUE', 'true', 'True'])('%s is true', (text) => expect(parseGoBool(text)).toBe(true));
  it.each(['0', 'f', 'F', 'FALSE', 'false', 'False'])('%s is false', (text) => expect(parseGoBool(text)).toBe(false));
  it.each(['', 'yes', 'on', 'tRUE', ' true', '2'])('%j is neither', (text) => expect(parseGoBool(text)).toBeNull());
});

describe('parseAddress', () => {
  it.each([
    [':443', { host: null, port: 443 }],
    ['127.0.0.1:9090', { host: '127.0.0.1', port: 9090 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:65535', { host: '::1', port: 65535 }],
    ['[]:1', { host: null, port: 1 }],
  ])('%s', (text, expected) => expect(parseAddress(text)).toEqual(expected));

  it.each(['', '443', 'localhost', ':', ':http', ':65536', ':-1', '::1:443', '[::1]', 'a:1:2', ':4 '])('%j is none', (text) => {
    expect(parseAddress(text)).toBeNull();
  });
});

describe('expandVariables', () => {
  const variables: Readonly<Record<string, string>> = { TOKEN: 's3cret', EMPTY: '', NESTED: '$TOKEN', a: 'lower' };
  const variable = (name: string): string | undefined => variables[name];

  it.each([
    ['plain', 'plain', null],
    ['${TOKEN}', 's3cret', 'TOKEN'],
    ['$TOKEN', 's3cret', 'TOKEN'],
    ['x-${TOKEN}-$a', 'x-s3cret-lower', null],
    ['$NESTED', '$TOKEN', 'NESTED'],
    ['pa$$word', 'pa$word', null],
    ['5$', '5$', null],
    ['$5', '$5', null],
    ['$-$', '$-$', null],
    ['$${TOKEN}', '${TOKEN}', null],
  ])('%s', (text, expected, only) => {
    expect(expandVariables(text, variable)).toEqual({ text: expected, only });
  });

  it.each([
    ['$MISSING', 'the environment variable MISSING is not set'],
    ['${EMPTY}', 'the environment variable EMPTY is not set or empty'],
    ['pa$word', 'an environment variable that it names'],
    ['${', 'not followed by the name'],
    ['${a-b}', 'not followed by the name'],
    ['${}', 'not followed by the name'],
  ])('%s: %s', (text, said) => {
    expect(expandVariables(text, variable)).toEqual({ problem: expect.stringContaining(said) });
  });

  it('leaves every text without a dollar as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('$')),
        (text) => {
          expect(expandVariables(text, variable)).toEqual({ text, only: null });
        },
      ),
    );
  });
});

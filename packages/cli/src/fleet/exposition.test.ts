import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseExposition, type Sample } from './exposition.js';

const all = (text: string): { name: string; labels: object; value: number }[] =>
  parseExposition(text, () => true).map(({ name, labels, value }) => ({ name, labels: Object.fromEntries(labels), value }));

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
const number = (value: number): string =>
  Number.isNaN(value) ? 'NaN' : value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : Object.is(value, -0) ? '-0' : String(value);

const labelName = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/);
const samples = fc.array(
  fc.record({
    name: fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,12}$/),
    labels: fc.uniqueArray(fc.tuple(labelName, fc.string({ unit: 'binary' })), { selector: ([name]) => name, maxLength: 6 }),
    value: fc.double(),
  }),
);

describe('the text format of Prometheus', () => {
  test('what was written is what is read', () => {
    fc.assert(
      fc.property(samples, fc.boolean(), (written, timestamps) => {
        const lines = written.map(({ name, labels, value }) => {
          const inner = labels.map(([label, text]) => `${label}="${escaped(text)}"`).join(',');
          return `${name}${labels.length === 0 ? '' : `{${inner}}`} ${number(value)}${timestamps ? ' 1700000000000' : ''}`;
        });
        const read: Sample[] = parseExposition(`# HELP x y\n# TYPE x counter\n\n${lines.join('\n')}\n`, () => true);
        expect(read.map(({ name, labels, value }) => ({ name, labels: [...labels], value }))).toEqual(written);
      }),
    );
  });

  test('anything else is an error with a code, never another one', () => {
    const pieces = fc.array(fc.constantFrom('a', '{', '}', '"', '\\', 'n', ',', '=', ' ', '\t', '1', '+Inf', 'e', '.', '-', '\n', '#', 'é'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          pieces.map((parts) => parts.join('')),
        ),
        (text) => {
          try {
            parseExposition(text, () => true);
          } catch (error) {
            expect(error).toBeInstanceOf(SallyportError);
            expect(error).toHaveProperty('code', 'fleet_metrics_invalid');
          }
        },
      ),
    );
  });

  test.each([
    ['a 1', { name: 'a', labels: {}, value: 1 }],
    ['a{} 1', { name: 'a', labels: {}, value: 1 }],
    ['  a { x = "1" , y="2", }  .5e3  -17 \r', { name: 'a', labels: { x: '1', y: '2' }, value: 500 }],
    ['a{x="}\\"{\\\\\\n"} -Infinity', { name: 'a', labels: { x: '}"{\\\n' }, value: -Infinity }],
    ['a{x="1"}2', { name: 'a', labels: { x: '1' }, value: 2 }],
  ])('%s', (line, sample) => {
    expect(all(line)).toEqual([sample]);
  });

  test.each([
    ['1a 1', 'begin with the name'],
    ['a1', 'a space is missing'],
    ['a{x="1" 1', 'a comma is missing'],
    ['a{x="1",,y="2"} 1', 'not of the form'],
    ['a{x="1"y="2"} 1', 'a comma is missing'],
    ['a{x=1} 1', 'not of the form'],
    ['a{x="\\t"} 1', 'not of the form'],
    ['a{x="1",x="2"} 1', 'there twice'],
    ['a one', 'end in a number'],
    ['a', 'a space is missing'],
    ['a ', 'end in a number'],
    ['a 1 2 3', 'end in a number'],
    ['a 0x10', 'end in a number'],
    ['a constructor', 'end in a number'],
    [`a{${Array.from({ length: 65 }, (_, index) => `l${index}="x"`).join(',')}} 1`, 'more than 64 labels'],
  ])('refuses %s', (line, why) => {
    expect(() => all(`ok 1\n${line}`)).toThrow(`Line 2 of the metrics cannot be read: `);
    expect(() => all(line)).toThrow(why);
  });

  test('has an end', () => {
    expect(() => parseExposition('a 1\n'.repeat(100_001), () => false)).toThrow('more than 100000 samples');
  });
});

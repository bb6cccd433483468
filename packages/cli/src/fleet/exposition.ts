import { SallyportError } from '@sallyport/sdk';

/** One line of metrics. */
export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

const MOST_SAMPLES = 100_000;
const MOST_LABELS = 64;

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*)"[ \t]*/y;
/** The value, and a timestamp that nobody here needs. */
const VALUE = /[ \t]*([^ \t]+)(?:[ \t]+-?[0-9]+)?[ \t]*$/y;
const NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i;
const SPECIAL: Readonly<Record<string, number>> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, infinity: Number.POSITIVE_INFINITY };

/**
 * Reads the text format of Prometheus (version 0.0.4), and answers the samples that are wanted. Every line is checked, wanted or not. Errors:
 * `fleet_metrics_invalid` with the number of the line, also for more than 100,000 samples.
 */
export function parseExposition(text: string, wanted: (name: string) => boolean): Sample[] {
  const samples: Sample[] = [];
  let count = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (/^[ \t]*(?:#|$)/.test(line)) continue;
    count += 1;
    if (count > MOST_SAMPLES) throw wrong(index, `there are more than ${MOST_SAMPLES} samples`);
    const sample = parseLine(line, index);
    if (wanted(sample.name)) samples.push(sample);
  }
  return samples;
}

function parseLine(line: string, index: number): Sample {
  NAME.lastIndex = /^[ \t]*/.exec(line)?.[0].length ?? 0;
  const name = NAME.exec(line)?.[0];
  if (name === undefined) throw wrong(index, 'it does not begin with the name of a metric');
  let at = NAME.lastIndex;
  const brace = /[ \t]*\{/y;
  brace.lastIndex = at;
  const labels = new Map<string, string>();
  if (brace.test(line)) at = readLabels(line, brace.lastIndex, { labels, index });
  else if (line[at] !== ' ' && line[at] !== '\t') throw wrong(index, 'a space is missing behind the name');
  VALUE.lastIndex = at;
  const value = toNumber(VALUE.exec(line)?.[1] ?? '');
  if (value === null) throw wrong(index, 'it does not end in a number');
  return { name, labels, value };
}

/** Reads from behind `{` and answers where what follows `}` begins. */
function readLabels(line: string, start: number, { labels, index }: { labels: Map<string, string>; index: number }): number {
  let at = start;
  for (;;) {
    const end = /[ \t]*\}/y;
    end.lastIndex = at;
    if (end.test(line)) return end.lastIndex;
    LABEL.lastIndex = at;
    const [whole, name = '', value = ''] = LABEL.exec(line) ?? [];
    if (whole === undefined) throw wrong(index, 'a label is not of the form name="value"');
    if (labels.has(name)) throw wrong(index, `the label ${name} is there twice`);
    if (labels.size === MOST_LABELS) throw wrong(index, `there are more than ${MOST_LABELS} labels`);
    labels.set(
      name,
      value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
    );
    at += whole.length;
    if (line[at] === ',') at += 1;
    else if (line[at] !== '}') throw wrong(index, 'a comma is missing between two labels');
  }
}

function toNumber(text: string): number | null {
  if (NUMBER.test(text)) return Number(text);
  const [, sign = '', word = ''] = /^([+-]?)([a-z]+)$/i.exec(text) ?? [];
  const special = Object.hasOwn(SPECIAL, word.toLowerCase()) ? SPECIAL[word.toLowerCase()] : undefined;
  if (special === undefined) return null;
  return sign === '-' ? -special : special;
}

function wrong(index: number, why: string): SallyportError {
  return new SallyportError('fleet_metrics_invalid', { detail: `Line ${index + 1} of the metrics cannot be read: ${why}.` });
}

/** Numbers from a seed: uniform integers in [0, bound). The same seed gives the same numbers on every machine (mulberry32). */
export type Random = (bound: number) => number;

export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const INSERTED = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '=',
  '"',
  '\\',
  '0',
  '1',
  'f',
  'x',
  '-',
  '+',
  '\x0b',
  '\x7f',
  '\x80',
  '\xff',
  '\r\n ',
  '\n\n',
  '\r\n\r\n',
];
const TOKENS = [
  ['GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'CONNECT', 'PRI', 'get'],
  ['HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 '],
  [
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'Host',
    'Content-Length ',
    'Content_Length',
    'Transfer-Encoding\t',
    'Upgrade',
    'Expect',
    'Trailer',
    'TE',
  ],
  ['chunked', 'identity', 'gzip, chunked', 'chunked, chunked', ' chunked', 'chunked ', 'Chunked', 'xchunked', 'close', 'keep-alive', 'upgrade'],
  ['0', '5', '3', '10', '00', '0x5', '-1', '+5', '5, 5', '5 ', 'a', 'A', '1e1', '18446744073709551615', '9007199254740993', 'ffffffffffffffff'],
  ['200', '204', '304', '100', '101', '2000', '99'],
];

/** The input with one to four changes, each of a kind that parsers are known to differ about. Text is Latin-1. */
export function mutate(text: string, others: readonly string[], random: Random): string {
  let mutant = text;
  for (let left = 1 + random(4); left > 0; left--) mutant = changed(mutant, others, random);
  return mutant;
}

function changed(text: string, others: readonly string[], random: Random): string {
  const at = random(text.length + 1);
  const to = Math.min(text.length, at + 1 + random(12));
  switch (random(11)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << random(8))) + text.slice(at + 1);
    case 1:
    case 2:
      return text.slice(0, at) + pick(INSERTED, random) + text.slice(at);
    case 3:
      return text.slice(0, at) + text.slice(at + 1);
    case 4:
      return text.slice(0, at) + text.slice(to);
    case 5:
      return text.slice(0, to) + text.slice(at);
    case 6:
      return withLines(text, (lines) => {
        lines.splice(random(lines.length), 0, lines[random(lines.length)]);
      });
    case 7:
      return withLines(text, (lines) => {
        const [one, other] = [random(lines.length), random(lines.length)];
        [lines[one], lines[other]] = [lines[other], lines[one]];
      });
    case 8:
      return withToken(text, random);
    case 9: {
      const other = pick(others, random);
      return text.slice(0, at) + other.slice(random(other.length));
    }
    default:
      return random(3) === 0 ? text.slice(0, at) : text.slice(0, at) + text.slice(at, to).toUpperCase() + text.slice(to);
  }
}

/** Puts one word of a kind in the place of another of that kind. */
function withToken(text: string, random: Random): string {
  const kind = TOKENS[random(TOKENS.length)];
  const present = kind.filter((token) => text.includes(token));
  if (present.length === 0) return text;
  const old = pick(present, random);
  const places = text.split(old);
  const place = 1 + random(places.length - 1);
  return places.slice(0, place).join(old) + pick(kind, random) + places.slice(place).join(old);
}

function withLines(text: string, change: (lines: string[]) => void): string {
  const lines = text.split(/(?<=\r\n)/);
  change(lines);
  return lines.join('');
}

function pick(from: readonly string[], random: Random): string {
  return from[random(from.length)];
}

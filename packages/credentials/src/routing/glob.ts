/** A compiled glob. Matching is linear in the length of the input; nothing in a pattern or an input makes it try anything again. */
export interface Glob {
  readonly pattern: string;
  /** The one text that the pattern matches; null when it has a wildcard. */
  readonly literal: string | null;
  /** What every matching input begins with; may be empty. */
  readonly prefix: string;
  /** What every matching input ends with; may be empty. */
  readonly suffix: string;
  matches(input: string): boolean;
}

/**
 * Compiles a glob over the segments between separators. The separator is one character, such as `/` in paths and `.` in host names.
 *
 * - `*` is one or more characters inside one segment: `microsoft-*` does not match `microsoft-`.
 * - `**` as a whole segment is any number of segments, none included: over `/`, `/v1/**` matches `/v1`, `/v1/` and `/v1/a/b`, not `/v12`;
 *   over `.`, `**.v.com` matches `v.com` and `a.b.v.com`, not `av.com`, and `a.**.b` matches `a.b` and `a.x.y.b`, not `a`.
 * - `**` next to other text is nothing, or any characters up to a border of segments: `a**b` matches `ab` and `a/b`, not `axb`;
 *   `/v1**` matches `/v12` and `/v1/x`.
 *
 * Everything else, `?` and brackets included, is literal and case-sensitive.
 */
export function compileGlob(pattern: string, separator: string): Glob {
  if (separator.length !== 1 || separator === '*')
    throw new RangeError(`a glob separator is one character other than "*": ${JSON.stringify(separator)}`);
  const tokens = tokenize(pattern, separator);
  const first = tokens[0];
  const last = tokens[tokens.length - 1];
  if (tokens.length === 1 && typeof first === 'string') {
    return { pattern, literal: first, prefix: first, suffix: first, matches: (input) => input === first };
  }
  const prefix = typeof first === 'string' ? first : '';
  const suffix = typeof last === 'string' ? last : '';
  const middle = tokens.slice(prefix === '' ? 0 : 1, suffix === '' ? tokens.length : -1);
  return {
    pattern,
    literal: null,
    prefix,
    suffix,
    // What differs differs at an end nearly always, and asking there allocates nothing.
    matches: (input) =>
      input.length >= prefix.length + suffix.length &&
      input.startsWith(prefix) &&
      input.endsWith(suffix) &&
      reaches(middle, input, separator, prefix.length, input.length - suffix.length),
  };
}

/** True when the whole input matches the glob; see `compileGlob` for what a glob may say. */
export function globMatch(pattern: string, input: string, separator: string): boolean {
  return compileGlob(pattern, separator).matches(input);
}

/** Text is itself. */
type Token = string | Wildcard;

/**
 * `characters` is a single star. The others are double stars: `segments-behind` is one with the separator in front of it, `segments-before` one at the
 * very front with the separator behind it, `anything` the whole pattern, `glued` one next to other text.
 */
type Wildcard = { readonly wildcard: 'characters' | 'segments-behind' | 'segments-before' | 'anything' | 'glued' };

const CHARACTERS: Wildcard = { wildcard: 'characters' };
const SEGMENTS_BEHIND: Wildcard = { wildcard: 'segments-behind' };
const SEGMENTS_BEFORE: Wildcard = { wildcard: 'segments-before' };
const ANYTHING: Wildcard = { wildcard: 'anything' };
const GLUED: Wildcard = { wildcard: 'glued' };

/** The tokens of a pattern: at least one, and never two texts in a row. */
function tokenize(pattern: string, separator: string): readonly Token[] {
  // Any number of segments twice is any number of segments.
  const segments = pattern.split(separator).filter((segment, i, all) => segment !== '**' || all[i - 1] !== '**');
  if (segments.length === 1 && segments[0] === '**') return [ANYTHING];
  const tokens: Token[] = [];
  let text = '';
  const push = (wildcard: Wildcard): void => {
    if (text !== '') tokens.push(text);
    text = '';
    tokens.push(wildcard);
  };
  for (const [i, segment] of segments.entries()) {
    if (segment === '**') {
      push(i === 0 ? SEGMENTS_BEFORE : SEGMENTS_BEHIND);
      continue;
    }
    if (i > 0 && !(i === 1 && segments[0] === '**')) text += separator;
    for (const [part] of segment.matchAll(/\*\*|\*|[^*]+/g)) {
      if (part === '**') push(GLUED);
      else if (part === '*') push(CHARACTERS);
      else text += part;
    }
  }
  if (text !== '' || tokens.length === 0) tokens.push(text);
  return tokens;
}

/** True when the tokens lead from `start` to exactly `end`. Follows all ways at once, token by token, as a set of positions in the input. */
function reaches(tokens: readonly Token[], input: string, separator: string, start: number, end: number): boolean {
  const [only] = tokens;
  if (tokens.length === 1 && typeof only !== 'string') return leadsTo(only, input, separator, start, end);
  let here = new Uint8Array(end + 1);
  let next = new Uint8Array(end + 1);
  here[start] = 1;
  for (const token of tokens) {
    next.fill(0);
    if (typeof token === 'string') stepText(token, input, here, next, end);
    else if (token === CHARACTERS) stepCharacters(input, separator, here, next, end);
    else stepSegments(token, input, separator, here, next, end);
    [here, next] = [next, here];
  }
  return here[end] === 1;
}

/** The same for a single wildcard, as in most globs, without the sets. */
function leadsTo(token: Wildcard, input: string, separator: string, start: number, end: number): boolean {
  if (token === CHARACTERS) return start < end && !input.slice(start, end).includes(separator);
  return start === end || (mayGoOn(token, input, separator, start) && isBorder(token, input, separator, end));
}

function stepText(text: string, input: string, here: Uint8Array, next: Uint8Array, end: number): void {
  for (let at = 0; at + text.length <= end; at++) {
    if (here[at] === 1 && input.startsWith(text, at)) next[at + text.length] = 1;
  }
}

function stepCharacters(input: string, separator: string, here: Uint8Array, next: Uint8Array, end: number): void {
  for (let at = 1; at <= end; at++) {
    if (input[at - 1] !== separator && (here[at - 1] === 1 || next[at - 1] === 1)) next[at] = 1;
  }
}

/** A double star leads from a position to itself, and if it may go on from there, to every border behind it. */
function stepSegments(token: Wildcard, input: string, separator: string, here: Uint8Array, next: Uint8Array, end: number): void {
  let goesOn = false;
  for (let at = 0; at <= end; at++) {
    if (here[at] === 1 || (goesOn && isBorder(token, input, separator, at))) next[at] = 1;
    if (here[at] === 1 && mayGoOn(token, input, separator, at)) goesOn = true;
  }
}

/** Whether a double star may stand for more than nothing here. */
function mayGoOn(token: Wildcard, input: string, separator: string, at: number): boolean {
  return token !== SEGMENTS_BEHIND || input[at] === separator;
}

/** Whether what a double star stands for may end here. */
function isBorder(token: Wildcard, input: string, separator: string, at: number): boolean {
  const beginsSegment = input[at - 1] === separator;
  const endsSegment = at === input.length || input[at] === separator;
  switch (token.wildcard) {
    case 'segments-before':
      return beginsSegment;
    case 'segments-behind':
      return endsSegment;
    default:
      return token === ANYTHING || beginsSegment || endsSegment;
  }
}

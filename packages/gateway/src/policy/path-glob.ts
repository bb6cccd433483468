import { SallyportError } from '@sallyport/sdk';

/** The literal pieces between the stars of one segment; a single piece is a segment without a star. */
type Segment = readonly string[];

const NO_MATCH = -1;

/**
 * Compiles a path glob. `*` stands for one or more characters inside one segment (`/v1/cust*`), `**` as a whole segment for zero or more segments
 * (`/v1/**` matches `/v1`, `/v1/` and `/v1/a/b`, not `/v12`). Everything else is literal and case-sensitive.
 * The matcher's work is linear in the length of the path for a given glob, and it allocates nothing.
 * Throws `config_invalid` when the glob does not begin with `/` or glues `**` to other text.
 */
export function compilePathGlob(glob: string): (path: string) => boolean {
  const groups = parseGlob(glob);
  const first = groups[0];
  if (groups.length === 1) return (path) => path.startsWith('/') && matchGroup(path, 0, first) === path.length;
  const last = groups[groups.length - 1];
  const middle = groups.slice(1, -1);
  return (path) => {
    if (!path.startsWith('/')) return false;
    let at = matchGroup(path, 0, first);
    // Between two `**`, the leftmost match leaves most to what follows: nothing ever has to be tried again.
    for (const group of middle) at = at === NO_MATCH ? at : findGroup(path, at, group);
    if (at === NO_MATCH) return false;
    const start = startOfLast(path, last.length);
    return start >= at && matchGroup(path, start, last) === path.length;
  };
}

/**
 * How narrow a glob is: a larger number is more specific. Literal characters count most; of two globs with equally many,
 * the one without wildcards comes before the one with `*`, and that before the one with `**`.
 */
export function globSpecificity(glob: string): number {
  const literals = glob.replaceAll('*', '').length;
  return literals * 3 + (glob.includes('**') ? 0 : glob.includes('*') ? 1 : 2);
}

/** The segments, split into groups at every `**`. */
function parseGlob(glob: string): readonly (readonly Segment[])[] {
  if (!glob.startsWith('/')) throw invalid(glob, 'it has to begin with "/"');
  const groups: Segment[][] = [[]];
  for (const segment of glob.slice(1).split('/')) {
    if (segment === '**') groups.push([]);
    else if (segment.includes('**')) throw invalid(glob, '"**" stands for whole segments, so there has to be a "/" on both sides of it');
    else groups[groups.length - 1].push(segment.split('*'));
  }
  return groups;
}

// A position is the index of the `/` in front of a segment, or the length of the path when no segment is left.

/** The position behind the segments of the group when they stand at `at`, one after the other. */
function matchGroup(path: string, at: number, group: readonly Segment[]): number {
  for (const segment of group) {
    if (at === path.length) return NO_MATCH;
    const end = endOfSegment(path, at);
    if (!matchSegment(path, at + 1, end, segment)) return NO_MATCH;
    at = end;
  }
  return at;
}

/** The position behind the leftmost place at or behind `at` where the group matches. */
function findGroup(path: string, at: number, group: readonly Segment[]): number {
  for (; ; at = endOfSegment(path, at)) {
    const behind = matchGroup(path, at, group);
    if (behind !== NO_MATCH || at === path.length) return behind;
  }
}

function matchSegment(path: string, start: number, end: number, pieces: Segment): boolean {
  const first = pieces[0];
  if (pieces.length === 1) return end - start === first.length && path.startsWith(first, start);
  const last = pieces[pieces.length - 1];
  const lastStart = end - last.length;
  if (lastStart <= start + first.length || !path.startsWith(first, start) || !path.startsWith(last, lastStart)) return false;
  let at = start + first.length;
  for (let i = 1; i < pieces.length - 1; i++) {
    // Every star takes at least one character.
    let found = at + 1;
    while (found + pieces[i].length < lastStart && !path.startsWith(pieces[i], found)) found++;
    if (found + pieces[i].length >= lastStart) return false;
    at = found + pieces[i].length;
  }
  return true;
}

function endOfSegment(path: string, at: number): number {
  const next = path.indexOf('/', at + 1);
  return next === -1 ? path.length : next;
}

/** The position of the last `count` segments, −1 when there are fewer. */
function startOfLast(path: string, count: number): number {
  let at = path.length;
  for (let i = 0; i < count; i++) {
    // At 0 there is nothing in front; `lastIndexOf` with a negative start would look at index 0 again.
    if (at === 0) return NO_MATCH;
    at = path.lastIndexOf('/', at - 1);
  }
  return at;
}

function invalid(glob: string, what: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `The path glob ${JSON.stringify(glob)} cannot be read: ${what}`,
    hint: 'Write a path such as /v1/users/* or /v1/**: a "*" stays inside one segment, a "**" spans segments.',
  });
}

const PATTERN = /^\/[\x21-\x7e]*$/;
// Servers disagree about these: dot segments, encoded dots, slashes and backslashes, parameters, empty segments, escapes of escapes.
const DIRTY = /[^\x21-\x7e]|[\\;?#]|\/\/|%(?:2e|2f|5c|25|3b|00)|%(?![0-9a-f]{2})|\/\.{1,2}(?:\/|$)/i;
const LONGEST = 1024;

/** A path pattern in parts: literal segments and `null` for a `*`; `tail` when it ends in `/**`, which stands for any number of segments, none included. */
export interface PathPattern {
  readonly segments: readonly (string | null)[];
  readonly tail: boolean;
}

/** Reads `/repos/*\/issues/**`: a `*` is one whole segment, `**` only the last one. Null when the text is not of that form. */
export function parsePathPattern(text: string): PathPattern | null {
  if (text.length > LONGEST || !PATTERN.test(text) || DIRTY.test(text)) return null;
  const parts = text.slice(1).split('/');
  const tail = parts.at(-1) === '**';
  const body = tail ? parts.slice(0, -1) : parts;
  if (body.some((part) => part !== '*' && part.includes('*'))) return null;
  return { segments: body.map((part) => (part === '*' ? null : part)), tail };
}

/** The text that `parsePathPattern` reads. */
export function formatPathPattern({ segments, tail }: PathPattern): string {
  return `/${[...segments.map((segment) => segment ?? '*'), ...(tail ? ['**'] : [])].join('/')}`;
}

/** The segments of a request path, or null when servers may read it in more than one way; no pattern matches such a path. */
export function pathSegments(path: string): readonly string[] | null {
  return path[0] !== '/' || DIRTY.test(path) ? null : path.slice(1).split('/');
}

/** Whether a path, in segments, is one of those that the pattern names. */
export function patternMatches({ segments, tail }: PathPattern, path: readonly string[]): boolean {
  if (tail ? path.length < segments.length : path.length !== segments.length) return false;
  return segments.every((segment, index) => segment === null || segment === path[index]);
}

/** The paths that both patterns name, which is one pattern again, or null when there is none. */
export function intersectPatterns(a: PathPattern, b: PathPattern): PathPattern | null {
  const [long, short] = a.segments.length >= b.segments.length ? [a, b] : [b, a];
  if (long.segments.length !== short.segments.length && !short.tail) return null;
  const segments: (string | null)[] = [];
  for (const [index, segment] of long.segments.entries()) {
    const other = short.segments[index] ?? null;
    if (segment !== null && other !== null && segment !== other) return null;
    segments.push(segment ?? other);
  }
  return { segments, tail: long.tail && short.tail };
}

/**
 * Paths that stand for the whole pattern: a union of patterns with at most `depth` segments each covers it exactly when it matches all of these.
 * A `*` becomes a segment that no pattern spells out, `**` becomes each number of such segments up to one more than any other pattern has.
 */
export function representativePaths({ segments, tail }: PathPattern, depth: number): readonly (readonly string[])[] {
  const head = segments.map((segment) => segment ?? NOBODYS);
  const lengths = tail ? Math.max(depth - head.length, 0) + 2 : 1;
  // Every path has at least one segment, if an empty one.
  return Array.from({ length: lengths }, (_, extra) => [...head, ...Array<string>(extra).fill(NOBODYS)]).filter((path) => path.length > 0);
}

// A space cannot stand in a pattern.
const NOBODYS = ' ';

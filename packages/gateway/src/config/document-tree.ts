/** From the first character to the one after the last, as offsets into the text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A scalar, a map or a list of a parsed document, with the place it was written at. */
export type Tree = ScalarTree | MapTree | ListTree;

/** A scalar, after its variables were filled in. */
export interface ScalarTree {
  readonly kind: 'scalar';
  readonly span: Span;
  readonly value: string | number | boolean | null;
  /** Whether it holds what came out of a variable, and must not be quoted. */
  readonly filled: boolean;
  /** Whether all or part of the value stands in the file itself. */
  readonly literal: boolean;
  /** Offset of the first character of the text when text and source match character by character; otherwise null. */
  readonly textStart: number | null;
}

/** A map with its keys in the order of the file. */
interface MapTree {
  readonly kind: 'map';
  readonly span: Span;
  readonly entries: ReadonlyMap<string, { readonly key: Span; readonly node: Tree }>;
}

/** A list. */
interface ListTree {
  readonly kind: 'list';
  readonly span: Span;
  readonly items: readonly Tree[];
}

/** Where a path leads in a tree. */
export interface Location {
  /** The node itself; null when the file does not hold it. */
  readonly node: Tree | null;
  /** What to point at: the scalar, the key of a map or list, or the nearest thing around what is missing. */
  readonly anchor: Span;
  /** The key of the node, where it has one. */
  readonly keySpan: Span | null;
  /** The path as the file has it, such as `gateway.policy.rules[3]`. */
  readonly shown: string;
}

/** What stands where nothing is written. */
export function plainNull(span: Span): ScalarTree {
  return { kind: 'scalar', span, value: null, filled: false, literal: false, textStart: null };
}

/** The plain value of a tree: objects, arrays and scalars. */
export function plainValue(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(plainValue);
  return Object.fromEntries(Array.from(tree.entries, ([key, { node }]) => [key, plainValue(node)]));
}

/** Follows a path as far as it goes. An index into something that is not a list is skipped: one item may stand for a list of one. */
export function locate(root: Tree, path: readonly PropertyKey[]): Location {
  let node: Tree | null = root;
  let anchor: Span = root.kind === 'scalar' ? root.span : { start: root.span.start, end: root.span.start + 1 };
  let keySpan: Span | null = null;
  let shown = '';
  for (const segment of path) {
    if (typeof segment === 'number') {
      if (node !== null && node.kind !== 'list') continue;
      node = node?.items[segment] ?? null;
      shown += `[${segment}]`;
      keySpan = null;
      if (node !== null) anchor = node.span;
      continue;
    }
    const entry: { key: Span; node: Tree } | undefined = node?.kind === 'map' ? node.entries.get(String(segment)) : undefined;
    shown += shownKey(String(segment), shown === '');
    node = entry?.node ?? null;
    keySpan = entry?.key ?? null;
    if (entry !== undefined) anchor = entry.node.kind === 'scalar' && entry.node.value !== null ? entry.node.span : entry.key;
  }
  return { node, anchor, keySpan, shown };
}

function shownKey(key: string, first: boolean): string {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(key)) return first ? key : `.${key}`;
  const cut = key.length > 64 ? `${key.slice(0, 64)}…` : key;
  return `[${JSON.stringify(cut)}]`;
}

import { readDocument } from '../document.js';
import type { Span, Tree } from '../document-tree.js';
import { ConfigError, type Problem, problemMaker } from '../problems.js';
import { settings } from './settings.js';

/** A document whose texts are as they were written, and where to complain about it. */
export interface VerbatimDocument {
  readonly tree: Tree;
  /** The problem at a place of the text. */
  problemAt(span: Span, key: string, message: string): Problem;
}

/** Keys below which nothing is a secret, so that their lines may be shown. */
const SHOWABLE: ReadonlySet<PropertyKey> = new Set(['allow_list', 'sensitive_headers', 'timeouts', 'trusted_proxies']);
/** The same of keys alone, wherever they are. A key that is not known may hold anything, and so may `url` and `token`. */
const SHOWABLE_LEAVES: ReadonlySet<PropertyKey> = new Set([
  ...Object.keys(settings).map((name) => name.split('.').at(-1) ?? ''),
  'timeout',
  'type',
  'plugin',
]);

/**
 * Reads the YAML of Chaperone: bounded like our own, but a `$` means nothing in it (only in tokens does it, and those are looked at later).
 * Throws a `ConfigError` with every place that is not YAML.
 */
export function readVerbatim(text: string, path: string): VerbatimDocument {
  const standIn = standInFor(text);
  const { tree, findings, hidden } = readDocument(text.replaceAll('$', standIn), () => undefined, isShowable);
  const maker = problemMaker(path, text, hidden);
  const problems = findings.map(({ span, path: keys, message }) => maker.at(span, keys.join('.'), message));
  if (tree === null || problems.length > 0)
    throw new ConfigError('config_invalid', path, problems.length > 0 ? problems : [maker.at(START, '', EMPTY)]);
  return { tree: restored(tree, standIn, text), problemAt: (span, key, message) => maker.at(span, key, message) };
}

const START: Span = { start: 0, end: 1 };
const EMPTY = 'the file is empty; it needs at least upstream.allow_list';

function isShowable(path: readonly PropertyKey[]): boolean {
  return path.some((key) => SHOWABLE.has(key)) || SHOWABLE_LEAVES.has(path.at(-1) ?? '');
}

/** A character of the private use area that is not in the text: one unit long like the `$`, so that every position stays what it is. */
function standInFor(text: string): string {
  for (let code = 0xe000; code <= 0xf8ff; code++) if (!text.includes(String.fromCharCode(code))) return String.fromCharCode(code);
  return '$';
}

/** The tree with its dollars back; numbers and words such as `yes` become the text that they were written as. */
function restored(tree: Tree, standIn: string, text: string): Tree {
  if (tree.kind === 'list') return { ...tree, items: tree.items.map((item) => restored(item, standIn, text)) };
  if (tree.kind === 'map') {
    const entries = Array.from(tree.entries, ([key, { key: span, node }]) => {
      return [key.replaceAll(standIn, '$'), { key: span, node: restored(node, standIn, text) }] as const;
    });
    return { ...tree, entries: new Map(entries) };
  }
  if (tree.value === null) return tree;
  const value = typeof tree.value === 'string' ? tree.value.replaceAll(standIn, '$') : text.slice(tree.span.start, tree.span.end);
  return { ...tree, value };
}

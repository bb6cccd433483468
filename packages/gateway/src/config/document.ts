import { isAlias, isMap, isScalar, isSeq, Lexer, type Node, parseDocument, type Scalar, type YAMLMap } from 'yaml';
import { plainNull, type Span, type Tree } from './document-tree.js';
import { interpolate } from './interpolation.js';

/** What is wrong at a place of the text. */
interface Finding {
  readonly span: Span;
  /** The keys and indexes that lead there, as far as known. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A parsed document: its tree, what is wrong with it, and the stretches of text that may hold a secret and are never shown. */
export interface ParsedDocument {
  /** Null when the text is not YAML, or empty. */
  readonly tree: Tree | null;
  readonly findings: readonly Finding[];
  /** In no order. Null when the text could not be understood, so that anything may be a secret. */
  readonly hidden: readonly Span[] | null;
}

const DEEPEST_NESTING = 64;
const DEEPEST_INDENT = 128;
const MOST_ALIASES = 100;
const MOST_NODES = 100_000;

const UNQUOTED_REFERENCE = 'between braces or brackets, a text with ${ in it has to stand in quotes';
const MERGE_KEY = '<<';

type Path = readonly PropertyKey[];

interface Builder {
  readonly text: string;
  readonly lookup: (name: string) => string | undefined;
  readonly showable: (path: Path) => boolean;
  readonly findings: Finding[];
  readonly hidden: Span[];
  /** What each anchor names, with how many nodes it stands for; null while it is being built. */
  readonly anchors: Map<string, { readonly tree: Tree; readonly nodes: number } | null>;
  aliases: number;
  nodes: number;
}

/**
 * Reads YAML 1.2 (core schema, one document, no tags) into a tree with positions, with the variables of every scalar filled in. Aliases and
 * merge keys are understood and bounded. `showable` says of a scalar's path that it cannot hold a secret, so that its line may be shown.
 */
export function readDocument(text: string, lookup: (name: string) => string | undefined, showable: (path: Path) => boolean): ParsedDocument {
  const tooDeep = findDeepNesting(text);
  if (tooDeep !== null) return broken(text, [{ span: tooDeep, path: [], message: 'this is nested too deeply' }]);
  // Equal keys are found below: the library compares every key with every other.
  const document = parseDocument(text, { schema: 'core', resolveKnownTags: false, prettyErrors: false, uniqueKeys: false, logLevel: 'error' });
  const complaints = [...document.errors, ...document.warnings];
  if (complaints.length > 0) {
    const findings = complaints.map(({ pos, code, message }) => syntaxFinding(text, pos, code, message));
    return broken(text, findings);
  }
  if (document.contents === null) return { tree: null, findings: [], hidden: [] };
  const builder: Builder = { text, lookup, showable, findings: [], hidden: [], anchors: new Map(), aliases: 0, nodes: 0 };
  const tree = build(document.contents, [], builder);
  return { tree, findings: builder.findings, hidden: builder.hidden };
}

function broken(text: string, findings: readonly Finding[]): ParsedDocument {
  // One mistake makes the parser complain about what follows it as well.
  const lines = new Set<number>();
  const first = findings.filter(({ span }) => {
    const lineStart = text.lastIndexOf('\n', span.start - 1);
    return !lines.has(lineStart) && lines.add(lineStart);
  });
  return { tree: null, findings: first, hidden: null };
}

function syntaxFinding(text: string, [start, end]: readonly [number, number], code: string, message: string): Finding {
  return { span: { start, end }, path: [], message: text.startsWith('${', start - 1) ? UNQUOTED_REFERENCE : syntaxMessage(code, message) };
}

/** The messages of the library that quote the text are replaced: what they quote may be a secret. */
function syntaxMessage(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document starts here; one file holds one document';
  if (code === 'TAG_RESOLVE_FAILED') return 'tags are not supported';
  if (code === 'BAD_ALIAS') return 'this alias names no anchor above it';
  if (code === 'MISSING_CHAR' && message.endsWith('quote')) return 'a closing quote is missing';
  if (/["']|\n/.test(message)) return 'the YAML cannot be understood here';
  return `the YAML cannot be understood here: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/**
 * The parser calls itself once per level and takes the process down when the stack ends, so depth is bounded before it runs: brackets are
 * counted on the tokens, and blocks by the indentation that every further level needs.
 */
function findDeepNesting(text: string): Span | null {
  const indent = new RegExp(`^[ ?:-]{${DEEPEST_INDENT}}`, 'm').exec(text);
  if (indent !== null) return { start: indent.index + DEEPEST_INDENT, end: indent.index + DEEPEST_INDENT + 1 };
  let depth = 0;
  let offset = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth = Math.max(0, depth - 1);
    if (depth > DEEPEST_NESTING) return { start: offset, end: offset + 1 };
    // The lexer marks documents and scalars with a character of its own that is not in the text.
    if (!/^[\x02\x18\x1f]$/.test(token)) offset += token.length;
  }
  return null;
}

function build(node: Node | null, path: Path, builder: Builder): Tree {
  const span = spanOf(node);
  builder.nodes++;
  if (isAlias(node)) return resolveAlias(node.source, span, path, builder);
  const before = builder.nodes;
  const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
  if (anchor !== undefined) builder.anchors.set(anchor, null);
  const tree = buildOwn(node, span, path, builder);
  if (anchor !== undefined) builder.anchors.set(anchor, { tree, nodes: 1 + builder.nodes - before });
  return tree;
}

function buildOwn(node: Node | null, span: Span, path: Path, builder: Builder): Tree {
  if (isMap(node)) return buildMap(node, span, path, builder);
  if (isSeq(node)) return { kind: 'list', span, items: node.items.map((item, index) => build(item as Node | null, [...path, index], builder)) };
  return isScalar(node) ? buildScalar(node, span, path, builder) : plainNull(span);
}

function buildScalar(node: Scalar, span: Span, path: Path, builder: Builder): Tree {
  const { text, lookup, findings } = builder;
  const { value } = node;
  if (value !== null && !builder.showable(path)) builder.hidden.push(span);
  if (typeof value !== 'string') {
    const known = typeof value === 'number' || typeof value === 'boolean' ? value : null;
    return { kind: 'scalar', span, value: known, filled: false, literal: true, textStart: null };
  }
  const filled = interpolate(value, lookup);
  if (!filled.ok) {
    findings.push({ span, path, message: filled.message });
    return { kind: 'scalar', span, value, filled: true, literal: false, textStart: null };
  }
  const textStart = filled.text !== value ? null : ([span.start, span.start + 1].find((start) => text.startsWith(value, start)) ?? null);
  return { kind: 'scalar', span, value: filled.text, filled: filled.filled, literal: !filled.filled || filled.defaulted, textStart };
}

function buildMap(map: YAMLMap, span: Span, path: Path, builder: Builder): Tree {
  const entries = new Map<string, { key: Span; node: Tree }>();
  const merged: Tree[] = [];
  for (const pair of map.items) {
    const key = pair.key as Node | null;
    const keySpan = spanOf(key, span);
    const name = isScalar(key) ? keyName(key.value) : null;
    if (name === null) {
      builder.findings.push({ span: keySpan, path, message: 'a key has to be a plain text' });
      builder.hidden.push(keySpan, spanOf(pair.value as Node | null, keySpan));
      continue;
    }
    const node = build(pair.value as Node | null, [...path, name], builder);
    if (name === MERGE_KEY && isScalar(key) && key.type === 'PLAIN') {
      merged.push(...(node.kind === 'list' ? node.items : [node]));
    } else if (name === '__proto__') {
      builder.findings.push({ span: keySpan, path: [...path, name], message: 'this key cannot be used' });
    } else if (entries.has(name)) {
      builder.findings.push({ span: keySpan, path: [...path, name], message: 'this key is there already' });
    } else {
      entries.set(name, { key: keySpan, node });
    }
  }
  for (const source of merged) {
    if (source.kind !== 'map') {
      builder.findings.push({ span: source.span, path: [...path, MERGE_KEY], message: 'only maps can be merged' });
      continue;
    }
    // What is written in the map itself wins over what is merged into it, and an earlier source over a later one.
    for (const [name, entry] of source.entries) if (!entries.has(name)) entries.set(name, entry);
  }
  return { kind: 'map', span, entries };
}

/** Numbers and words such as `true` are keys like any other; nothing at all is none. */
function keyName(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

function resolveAlias(name: string, span: Span, path: Path, builder: Builder): Tree {
  const target = builder.anchors.get(name);
  builder.aliases++;
  if (target === undefined || target === null) {
    builder.findings.push({
      span,
      path,
      message: target === null ? 'this alias stands inside of what it names' : 'this alias names no anchor above it',
    });
    return plainNull(span);
  }
  builder.nodes += target.nodes;
  if (builder.aliases > MOST_ALIASES || builder.nodes > MOST_NODES) {
    builder.findings.push({ span, path, message: 'the aliases up to here stand for too much' });
    return plainNull(span);
  }
  if (target.tree.kind !== 'map' && !builder.showable(path)) builder.hidden.push(target.tree.span);
  return target.tree;
}

function spanOf(node: Node | null, otherwise: Span = { start: 0, end: 1 }): Span {
  const range = node?.range;
  return range === null || range === undefined ? otherwise : { start: range[0], end: Math.max(range[1], range[0] + 1) };
}

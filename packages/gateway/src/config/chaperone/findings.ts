import { didYouMean, nearestWords } from '@sallyport/credentials';
import { locate, type Tree } from '../document-tree.js';
import { ConfigError, type Problem } from '../problems.js';
import type { VerbatimDocument } from './verbatim-document.js';

/** A path of keys and indexes in the file. */
export type Path = readonly (string | number)[];

/** What was found in a file: what makes it unusable, and what is only doubtful. */
export interface Findings {
  /** What stands at a path; null when nothing does, or nothing but an empty value. */
  at(path: Path): Tree | null;
  /** The text at a path; null when there is none or an empty one. Complains when something else than a text is there. */
  text(path: Path, expected: string): string | null;
  complain(path: Path, message: string): void;
  /** About the key at the end of a path, not about what stands behind it. */
  complainAboutKey(path: Path, message: string): void;
  /** About a variable of the environment, which has no place in the file. `key` is what it sets. */
  complainAboutVariable(variable: string, key: string, message: string): void;
  warn(path: Path, message: string): void;
  readonly warnings: readonly Problem[];
  /** Throws a `ConfigError` when there was any complaint. */
  settle(): void;
}

const MOST_PROBLEMS = 100;

/** Nothing found yet. */
export function noFindings(document: VerbatimDocument, file: string): Findings {
  const { tree } = document;
  const problems: { readonly start: number; readonly problem: Problem }[] = [];
  const warnings: Problem[] = [];

  function problemAt(path: Path, message: string, atKey = false): { start: number; problem: Problem } {
    const { anchor, keySpan, shown } = locate(tree, path);
    const span = atKey ? (keySpan ?? anchor) : anchor;
    return { start: span.start, problem: document.problemAt(span, shown, message) };
  }

  function at(path: Path): Tree | null {
    const { node } = locate(tree, path);
    return node === null || (node.kind === 'scalar' && node.value === null) ? null : node;
  }

  function note(found: { start: number; problem: Problem }): void {
    // One complaint about a value is enough: the next one is often about the same mistake.
    if (!problems.some(({ start, problem }) => start === found.start && problem.key === found.problem.key)) problems.push(found);
  }

  return {
    at,
    text(path, expected) {
      const node = at(path);
      if (node === null) return null;
      if (node.kind !== 'scalar') note(problemAt(path, `expected ${expected}`));
      return node.kind === 'scalar' && node.value !== '' ? String(node.value) : null;
    },
    complain: (path, message) => note(problemAt(path, message)),
    complainAboutKey: (path, message) => note(problemAt(path, message, true)),
    complainAboutVariable(variable, key, message) {
      const problem = { file, line: 1, column: 1, key, message: `the environment variable ${variable}: ${message}`, excerpt: null };
      problems.push({ start: -1, problem });
    },
    warn: (path, message) => warnings.push(problemAt(path, message).problem),
    warnings,
    settle() {
      if (problems.length === 0) return;
      const ordered = [...problems].sort((left, right) => left.start - right.start).slice(0, MOST_PROBLEMS);
      throw new ConfigError(
        'config_invalid',
        file,
        ordered.map(({ problem }) => problem),
      );
    },
  };
}

/**
 * Complains about every key that is not among the `known` paths (dotted; what is below one of them is not looked at), and about sections that are
 * no maps. Chaperone itself reads over what it does not know.
 */
export function checkKeys(findings: Findings, known: readonly string[]): void {
  const visit = (path: readonly string[]): void => {
    const prefix = path.map((key) => `${key}.`).join('');
    const inside = known.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length).split('.')[0]);
    const here = [...new Set(inside)];
    checkMap(findings, path, here, known);
    for (const key of here) if (!known.includes(`${prefix}${key}`)) visit([...path, key]);
  };
  visit([]);
}

/** Complains when something else than a map stands at a path, and about every key in it that is not one of `here`. */
export function checkMap(findings: Findings, path: Path, here: readonly string[], known: readonly string[] = []): void {
  const node = findings.at(path);
  if (node === null) return;
  if (node.kind !== 'map') {
    findings.complain(path, 'expected a map');
    return;
  }
  for (const key of node.entries.keys()) if (!here.includes(key)) findings.complainAboutKey([...path, key], messageForUnknown(key, here, known));
}

function messageForUnknown(key: string, here: readonly string[], known: readonly string[]): string {
  const near = nearestWords(key, here);
  if (near.length > 0) return `unknown key${didYouMean(near)}`;
  const homes = known.filter((path) => path.endsWith(`.${key}`)).map((path) => path.slice(0, -key.length - 1));
  return homes.length > 0 ? `unknown key here; it belongs to ${homes.join(' or ')}` : `unknown key; known here: ${here.join(', ')}`;
}

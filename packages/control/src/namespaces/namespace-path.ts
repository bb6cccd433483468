import { SallyportError } from '@sallyport/sdk';

/** The namespace that everything is below. */
export const ROOT = 'root';

const PATH = /^root(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$/;
/** Paths are keys of indexes, whose entries have an upper bound in Postgres. */
const LONGEST_PATH = 512;

/** True for `root`, or `root` and segments of letters, digits, `_` and `-` (not in front) behind dots; at most 512 characters. */
export function isNamespacePath(text: string): boolean {
  return text.length <= LONGEST_PATH && PATH.test(text);
}

/** The path itself. Anything else is refused with `namespace_path_invalid`. */
export function requireNamespacePath(text: string): string {
  if (!isNamespacePath(text)) throw new SallyportError('namespace_path_invalid');
  return text;
}

/** The namespace it is directly in; undefined for the root. */
export function parentOf(path: string): string | undefined {
  const dot = path.lastIndexOf('.');
  return dot < 0 ? undefined : path.slice(0, dot);
}

/** The last segment. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** The path and all it is in, from the root down: `root`, `root.a`, `root.a.b`. */
export function lineageOf(path: string): readonly string[] {
  const segments = path.split('.');
  return segments.map((_, index) => segments.slice(0, index + 1).join('.'));
}

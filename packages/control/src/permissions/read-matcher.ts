import type { NamespaceMatcher } from '../namespaces/namespace-matcher.js';
import { isNamespacePath } from '../namespaces/namespace-path.js';

/** Reads `root.a` or `root.a.**`; null for anything else, where it has to mean «no namespace» instead of being an error. */
export function readMatcher(text: string): NamespaceMatcher | null {
  const subtree = text.endsWith('.**');
  const path = subtree ? text.slice(0, -3) : text;
  return isNamespacePath(path) ? { path, subtree } : null;
}

/** True when `path` is `top` or lies below it. A dot is a border: `root.team` does not reach `root.teams`. */
export function isWithin(top: string, path: string): boolean {
  return path.startsWith(top) && (path.length === top.length || path[top.length] === '.');
}

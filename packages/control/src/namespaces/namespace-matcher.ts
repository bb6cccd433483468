import { SallyportError } from '@sallyport/sdk';
import { isNamespacePath, lineageOf, ROOT } from './namespace-path.js';

/** One namespace, or (`subtree`) it and all below it. */
export interface NamespaceMatcher {
  readonly path: string;
  readonly subtree: boolean;
}

/** The namespaces of any of its matchers. An empty one is *nothing*, wherever it is used; it never means that nobody has filtered. */
export type NamespaceScope = readonly NamespaceMatcher[];

/** Every namespace: what the system itself may see. */
export const everywhere: NamespaceScope = [{ path: ROOT, subtree: true }];

/** No namespace at all. */
export const nowhere: NamespaceScope = [];

const SUBTREE = '.**';

/** Reads `root.a` (that one) or `root.a.**` (it and all below it). Anything else is refused with `namespace_path_invalid`. */
export function parseNamespaceMatcher(text: string): NamespaceMatcher {
  const subtree = text.endsWith(SUBTREE);
  const path = subtree ? text.slice(0, -SUBTREE.length) : text;
  if (!isNamespacePath(path)) throw new SallyportError('namespace_path_invalid');
  return { path, subtree };
}

/** The text that {@link parseNamespaceMatcher} reads. */
export function formatNamespaceMatcher({ path, subtree }: NamespaceMatcher): string {
  return subtree ? path + SUBTREE : path;
}

/** True when the namespace is the one, or below it. `root.children` is not below `root.child`. */
export function matchesNamespace({ path, subtree }: NamespaceMatcher, namespace: string): boolean {
  if (namespace === path) return true;
  return subtree && namespace.startsWith(path) && namespace[path.length] === '.';
}

/** True when any matcher of the scope matches. */
export function isInScope(scope: NamespaceScope, namespace: string): boolean {
  return scope.some((matcher) => matchesNamespace(matcher, namespace));
}

/** True when every namespace that `inner` matches is matched by `outer`. */
export function coversMatcher(outer: NamespaceMatcher, inner: NamespaceMatcher): boolean {
  return matchesNamespace(outer, inner.path) && (outer.subtree || !inner.subtree);
}

/** The namespaces that both match; undefined when there are none. Two matchers nest or have nothing in common. */
export function intersectMatchers(a: NamespaceMatcher, b: NamespaceMatcher): NamespaceMatcher | undefined {
  if (coversMatcher(a, b)) return b;
  if (coversMatcher(b, a)) return a;
  return undefined;
}

/** The namespaces that both scopes match; {@link nowhere} when there are none. */
export function intersectScopes(a: NamespaceScope, b: NamespaceScope): NamespaceScope {
  return simplified(a.flatMap((one) => b.flatMap((other) => intersectMatchers(one, other) ?? [])));
}

/** What a caller who may see `visible` sees of what it asked for: all of it when it asked for nothing in particular. */
export function narrowScope(visible: NamespaceScope, matcher: string | undefined): NamespaceScope {
  return matcher === undefined ? visible : intersectScopes(visible, [parseNamespaceMatcher(matcher)]);
}

/** The same namespaces, without matchers that another one covers. */
export function simplified(scope: NamespaceScope): NamespaceScope {
  const subtrees = new Set(scope.filter(({ subtree }) => subtree).map(({ path }) => path));
  const seen = new Set<string>();
  return scope.filter((matcher) => {
    const text = formatNamespaceMatcher(matcher);
    if (seen.has(text)) return false;
    seen.add(text);
    // A subtree does not cover itself away; a single namespace goes when the subtree of the same path is there.
    return !lineageOf(matcher.path).some((path) => subtrees.has(path) && (path !== matcher.path || !matcher.subtree));
  });
}

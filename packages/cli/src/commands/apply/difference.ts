/** One place where what is there differs from what is to be; `before` or `after` is undefined where nothing is. */
export interface Difference {
  readonly path: readonly string[];
  readonly before: unknown;
  readonly after: unknown;
}

/** Where two values of JSON differ, down to single members and items. Empty exactly when they are equal. */
export function differences(before: unknown, after: unknown, path: readonly string[] = []): readonly Difference[] {
  const [old, next] = [entriesOf(before), entriesOf(after)];
  if (old === null || next === null || Array.isArray(before) !== Array.isArray(after)) {
    return Object.is(before, after) || (emptyOf(before) !== null && emptyOf(before) === emptyOf(after)) ? [] : [{ path, before, after }];
  }
  const keys = new Set([...old.keys(), ...next.keys()]);
  // Of something empty there is no member that could be shown.
  if (keys.size > 0 && (old.size === 0 || next.size === 0) && path.length > 0) return [{ path, before, after }];
  return [...keys].flatMap((key) => differences(old.get(key), next.get(key), [...path, key]));
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> | null {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : null;
}

function emptyOf(value: unknown): 'list' | 'map' | null {
  if (typeof value !== 'object' || value === null || Object.keys(value).length > 0) return null;
  return Array.isArray(value) ? 'list' : 'map';
}

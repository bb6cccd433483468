/**
 * The keys that are so near to `written` that it is most likely a misspelling of one of them: all at the smallest distance, in the order
 * given. Empty when none is near. Case, and a hyphen for an underscore, cost nothing.
 */
export function nearestKeys(written: string, keys: readonly string[]): string[] {
  // Nobody misspells a key by a hundred characters; the cut keeps hostile input cheap.
  const from = canonical(written).slice(0, 128);
  let smallest = Number.POSITIVE_INFINITY;
  let nearest: string[] = [];
  for (const key of keys) {
    const distance = damerauLevenshtein(from, canonical(key));
    if (distance > Math.max(1, Math.ceil(key.length / 3)) || distance > smallest) continue;
    if (distance < smallest) nearest = [];
    smallest = distance;
    nearest.push(key);
  }
  return nearest;
}

/** `, did you mean "a"?` for the end of a message, or nothing when there is nothing to suggest. */
export function suggestion(keys: readonly string[]): string {
  return keys.length === 0 ? '' : `, did you mean ${keys.map((key) => `"${key}"`).join(' or ')}?`;
}

/** How many insertions, deletions, substitutions and swaps of neighbours lead from one text to the other (optimal string alignment). */
export function damerauLevenshtein(left: string, right: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const substitution = previous[column - 1] + (left[row - 1] === right[column - 1] ? 0 : 1);
      let cost = Math.min(previous[column] + 1, current[column - 1] + 1, substitution);
      const swapped = row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) cost = Math.min(cost, beforePrevious[column - 2] + 1);
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[right.length];
}

function canonical(key: string): string {
  return key.toLowerCase().replaceAll('-', '_');
}

/**
 * The words that are so near to `written` that it is most likely a misspelling of one of them: all at the smallest distance, in the order
 * given. Empty when none is near. Case, and a hyphen for an underscore, cost nothing.
 */
export function nearestWords(written: string, words: readonly string[]): string[] {
  // Nobody misspells a word by a hundred characters; the cut keeps hostile input cheap.
  const from = canonical(written.slice(0, 128));
  let smallest = Number.POSITIVE_INFINITY;
  let nearest: string[] = [];
  for (const word of words) {
    const distance = editDistance(from, canonical(word));
    if (distance > Math.max(1, Math.ceil(word.length / 3)) || distance > smallest) continue;
    if (distance < smallest) nearest = [];
    smallest = distance;
    nearest.push(word);
  }
  return nearest;
}

/** `, did you mean "a" or "b"?` for the end of a message that says what is unknown, or nothing when no word is near. */
export function didYouMean(near: readonly string[]): string {
  return near.length === 0 ? '' : `, did you mean ${near.map((word) => `"${word}"`).join(' or ')}?`;
}

/** How many insertions, deletions, substitutions and swaps of neighbours lead from one text to the other (optimal string alignment). */
export function editDistance(left: string, right: string): number {
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

function canonical(word: string): string {
  return word.toLowerCase().replaceAll('-', '_');
}

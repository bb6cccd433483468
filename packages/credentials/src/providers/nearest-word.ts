/** `, did you mean "x"?` for the candidate that takes the fewest edits, if it takes few; nothing when none is near. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const scored = candidates.map((candidate) => ({ candidate, edits: editsBetween(word.slice(0, 64).toLowerCase(), candidate) }));
  const [nearest] = scored.filter(({ candidate, edits }) => edits <= Math.max(2, candidate.length / 3)).sort((a, b) => a.edits - b.edits);
  return nearest === undefined ? '' : `, did you mean "${nearest.candidate}"?`;
}

/** How many insertions, deletions and substitutions lead from one word to the other. */
function editsBetween(from: string, to: string): number {
  let last = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) row.push(Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1)));
    last = row;
  }
  return last[to.length];
}

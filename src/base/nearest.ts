/** A longer name is nobody's typing error, and comparing it costs its length squared. */
const LENGTH_MAX = 256;
const SUGGESTIONS_MAX = 3;

/**
 * What a user who typed `name` may have meant: at most three of `candidates`, nearest first. Near is an edit distance of
 * at most a third of the name's length, or one being the beginning of the other.
 */
export function nearest(name: string, candidates: Iterable<string>): readonly string[] {
  if (name.length > LENGTH_MAX) return [];
  const near: { candidate: string; distance: number }[] = [];
  for (const candidate of candidates) {
    if (candidate.length > LENGTH_MAX) continue;
    const begins = candidate.startsWith(name) || name.startsWith(candidate);
    const distance = begins ? 1 : editDistance(name, candidate);
    if (distance <= Math.max(1, Math.floor(name.length / 3))) near.push({ candidate, distance });
  }
  near.sort((a, b) => a.distance - b.distance);
  return near.slice(0, SUGGESTIONS_MAX).map(({ candidate }) => candidate);
}

/** The end of an error message that offers what was perhaps meant: `; did you mean a or b?`, or nothing. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const near = nearest(name, candidates);
  return near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`;
}

/** Insertions, deletions and replacements (Levenshtein), one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

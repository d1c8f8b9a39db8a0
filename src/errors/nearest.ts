/** "Did you mean": the known word closest to what was typed. */

/** @returns the closest of `known` within two edits (or a third of the word), else null. */
export function nearest(typed: string, known: readonly string[]): string | null {
  const reach = Math.max(2, Math.floor(typed.length / 3))
  let best: string | null = null
  let bestDistance = reach + 1
  for (const word of known) {
    const distance = editDistance(typed, word)
    if (distance < bestDistance) [best, bestDistance] = [word, distance]
  }
  return best
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** Rows of the one table: what was measured, beside what it is compared with, in the same run. */

export interface Row {
  readonly bench: string
  readonly what: string
  readonly unit: string
  /** The floor, the control, or the peer: medians over the rounds. Null where there is nothing to compare with. */
  readonly base: number | null
  /** The tree given by `--against`, when one was. */
  readonly before: number | null
  readonly ours: number
  readonly rounds: number
  readonly note?: string
}

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** A row out of samples; `base` and `before` may be empty. */
export function row(
  bench: string,
  what: string,
  unit: string,
  samples: { base?: readonly number[]; before?: readonly number[]; ours: readonly number[] },
  note?: string,
): Row {
  const mid = (values: readonly number[] | undefined) => (values?.length ? median(values) : null)
  return {
    bench,
    what,
    unit,
    base: mid(samples.base),
    before: mid(samples.before),
    ours: median(samples.ours),
    rounds: samples.ours.length,
    ...(note === undefined ? {} : { note }),
  }
}

export function printTable(rows: readonly Row[], out: (line: string) => void): void {
  const number = (value: number | null) => {
    if (value === null || Number.isNaN(value)) return '–'
    const size = Math.abs(value)
    return value.toFixed(size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2)
  }
  const withBefore = rows.some(({ before }) => before !== null)
  const head = ['bench', 'what', 'unit', 'base', ...(withBefore ? ['before'] : []), 'ours', 'ours/base', 'n', '']
  const lines = rows.map(({ bench, what, unit, base, before, ours, rounds, note }) => [
    bench,
    what,
    unit,
    number(base),
    ...(withBefore ? [number(before)] : []),
    number(ours),
    base === null || base === 0 ? '–' : `${(ours / base).toFixed(2)} ×`,
    String(rounds),
    note ?? '',
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0)))
  const isText = (column: number) => column < 3 || column === head.length - 1
  for (const line of [head, ...lines]) {
    const cells = line.map((cell, i) => (isText(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
    out(cells.join('  ').trimEnd())
  }
}

/**
 * The gap: from the incumbent's last accept to the successor's first, beside the floor, which is the same exchange by bare
 * Node. All lines stand ready at once and swap in turn, so that a busy machine is equally busy for each of them.
 */
import { Line, type LineOptions } from './gap/line.js'
import { type Gap, gapsOf, PHASES } from './gap/phases.js'
import { fillKv } from './kv-data.js'
import type { BenchOptions } from './options.js'
import { type Row, row } from './table.js'

/** Swaps of each line in turn; what the first ones show is a cold disk cache. */
async function swapInTurn(
  lines: ReadonlyMap<string, LineOptions>,
  rounds: number,
  warmUp: number,
): Promise<Map<string, Gap[]>> {
  const running = [...lines].map(([name, options]) => [name, new Line(options)] as const)
  try {
    for (const [, line] of running) await line.start()
    for (let round = 0; round < rounds + warmUp; round += 1) {
      // Turned round each time: none always comes after the same neighbour.
      for (const [, line] of round % 2 ? running : running.toReversed()) await line.swap()
    }
    const gaps = new Map<string, Gap[]>()
    for (const [name, line] of running) {
      const found = gapsOf(await line.stop(), line.pid)
      if (found.length !== rounds + warmUp) throw new Error(`${found.length} gaps of ${name} were seen, not all`)
      gaps.set(name, found.slice(warmUp))
    }
    return gaps
  } finally {
    for (const [, line] of running) line.remove()
  }
}

const of = (gaps: readonly Gap[] | undefined, phase: keyof Gap): number[] => (gaps ?? []).map((gap) => gap[phase])

export async function benchGap({ trees, rounds, warmUp }: BenchOptions): Promise<Row[]> {
  const lines = new Map<string, LineOptions>([['floor', { tree: trees.ours, kind: 'floor' }]])
  for (const [name, tree] of Object.entries({ ours: trees.ours, before: trees.before })) {
    if (tree === null) continue
    lines.set(`${name} off`, { tree, kind: 'ours' })
    lines.set(`${name} on`, { tree, kind: 'ours', journal: true })
  }
  const gaps = await swapInTurn(lines, rounds, warmUp)
  const rows: Row[] = []
  for (const journal of ['off', 'on'] as const) {
    for (const phase of PHASES) {
      const samples = {
        base: of(gaps.get('floor'), phase),
        before: of(gaps.get(`before ${journal}`), phase),
        ours: of(gaps.get(`ours ${journal}`), phase),
      }
      rows.push(row('gap', `hooks empty, journal ${journal}: ${phase}`, 'µs', samples))
    }
  }
  return rows
}

/** @param sizes of the store, MB; the first is the base of all others */
export async function benchKvGap({ trees, rounds, warmUp, kvMegabytes }: BenchOptions): Promise<Row[]> {
  const options = (tree: string, megabytes: number): LineOptions => ({
    tree,
    kind: 'ours',
    journal: true,
    program: 'examples/kv.js',
    fill: (dataDir) => fillKv(tree, dataDir, megabytes),
  })
  const lines = new Map<string, LineOptions>()
  for (const megabytes of kvMegabytes) {
    lines.set(`ours ${megabytes}`, options(trees.ours, megabytes))
    if (trees.before !== null) lines.set(`before ${megabytes}`, options(trees.before, megabytes))
  }
  const gaps = await swapInTurn(lines, rounds, warmUp)
  const [smallest] = kvMegabytes
  return kvMegabytes.flatMap((megabytes) =>
    PHASES.map((phase) =>
      row(
        'gap',
        `kv with ${megabytes} MB: ${phase}`,
        'µs',
        {
          base: megabytes === smallest ? [] : of(gaps.get(`ours ${smallest}`), phase),
          before: of(gaps.get(`before ${megabytes}`), phase),
          ours: of(gaps.get(`ours ${megabytes}`), phase),
        },
        megabytes === smallest ? undefined : `base: ${smallest} MB`,
      ),
    ),
  )
}

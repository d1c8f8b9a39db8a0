/** The benchmarks that are programs of their own: run one after the other, their answers as rows of the one table. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { BenchOptions } from './options.js'
import { median, type Row, row } from './table.js'

const loader = fileURLToPath(new URL('../fixtures/ts.mjs', import.meta.url))

function run(program: string, args: readonly string[]): string {
  const file = fileURLToPath(new URL(program, import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--import', loader, file, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  })
  if (status !== 0) throw new Error(`${program} failed:\n${stderr}`)
  return stdout
}

interface Explored {
  readonly world: string
  readonly states: number
  readonly edges: number
  readonly statesPerCpuSecond: number
  readonly resultBytesPerState: number
  readonly heldBytesPerState?: number
  readonly walkBytesPerState?: number
}

export async function benchExplore(): Promise<Row[]> {
  const { rows } = JSON.parse(run('explore.ts', ['--json'])) as { rows: Explored[] }
  const counts = ({ states, edges }: Explored) => `${states} states, ${edges} edges`
  return rows.flatMap((one) => [
    row('explore', one.world, 'k states/s', { ours: [one.statesPerCpuSecond / 1000] }, `of CPU time; ${counts(one)}`),
    row('explore', one.world, 'bytes/state', { ours: [one.heldBytesPerState ?? one.resultBytesPerState] }),
    ...(one.walkBytesPerState === undefined
      ? []
      : [row('explore', one.world, 'bytes/state at most', { ours: [one.walkBytesPerState] }, 'while it runs')]),
  ])
}

/** Few samples still show all three ways. */
const BROKER_SAMPLES = 1_000

export async function benchBroker({ rounds }: BenchOptions): Promise<Row[]> {
  const lines = run('broker.ts', [String(Math.min(BROKER_SAMPLES, rounds * 40))])
    .trim()
    .split('\n')
  const found = lines.map((line) => /^(\S.*?)\s+(\d+) at once\s+p50\s+([\d.]+) ms\s+p99\s+([\d.]+) ms/.exec(line))
  const base = new Map<string, number>()
  return found.flatMap((match) => {
    if (match === null) return []
    const [, way = '', concurrent = '', p50, p99] = match
    // The first way of each group is the plain connect.
    if (!base.has(concurrent)) base.set(concurrent, Number(p50))
    const plain = base.get(concurrent) ?? Number.NaN
    return [
      row('broker', `${way}, ${concurrent} at once: p50`, 'ms', { base: [plain], ours: [Number(p50)] }),
      row('broker', `${way}, ${concurrent} at once: p99`, 'ms', { ours: [Number(p99)] }),
    ]
  })
}

export async function benchConnections({ rounds }: BenchOptions): Promise<Row[]> {
  const counts = rounds < 5 ? '0,100' : '0,1000,10000'
  const swaps = String(Math.max(3, Math.min(10, rounds)))
  const answers = JSON.parse(run('connections.ts', ['--json', '--connections', counts, '--swaps', swaps])) as {
    readonly [column: string]: number
  }[]
  return answers.flatMap((answer) =>
    Object.entries(answer)
      .filter(([column]) => column.includes(' ms') || ['errors', 'closed', 'counts wrong'].includes(column))
      .map(([column, value]) =>
        row(
          'connections',
          `${answer.connections} moved: ${column.replace(' ms', '')}`,
          column.includes(' ms') ? 'ms' : 'count',
          {
            ours: [median([value])],
          },
        ),
      ),
  )
}

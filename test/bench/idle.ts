/** What the supervisor costs while nothing happens: memory beside bare Node, wake-ups, descriptors; after one swap and after many. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { askOne } from '../../src/cli/trigger-client.js'
import type { BenchOptions } from './options.js'
import { type Row, row } from './table.js'

const daemon = fileURLToPath(new URL('gap/daemon.mjs', import.meta.url))
/** Before it counts as quiet, s: the last swap's processes and clients have gone, and V8 has collected what they left. */
const SETTLE_SECONDS = 15

interface Footprint {
  readonly rssMB: number
  readonly wakeUps: number
  readonly fds: number
}

export async function benchIdle({ trees, quietSeconds, manySwaps }: BenchOptions): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'b-'))
  const children: ChildProcess[] = []
  const start = (args: readonly string[]): ChildProcess => {
    const env = { ...process.env, HANDOFF_COMPILED: trees.ours }
    const child = spawn(process.execPath, [...args], { stdio: 'ignore', env })
    children.push(child)
    return child
  }
  try {
    const bare = start(['-e', 'setInterval(() => {}, 2 ** 30)'])
    const trigger = configure(dir)
    const supervisor = start([
      join(trees.ours, 'dist/src/cli/bundle/handoff-supervisor.cjs'),
      '--config',
      join(dir, 'handoff.toml'),
    ])
    const swap = async () => {
      const { outcome } = await askOne(trigger, { cmd: 'swap' }, 'outcome')
      if (outcome.result !== 'committed') throw new Error(outcome.reason ?? outcome.result)
    }
    await untilAnswers(trigger)
    const rows: Row[] = []
    let swaps = 0
    for (const after of [1, manySwaps]) {
      for (; swaps < after; swaps += 1) await swap()
      const [base, ours] = await watch([bare.pid as number, supervisor.pid as number], quietSeconds)
      for (const [name, unit] of [
        ['rssMB', 'MB'],
        ['wakeUps', 'per s'],
        ['fds', 'open'],
      ] as const) {
        const what = { rssMB: 'RSS', wakeUps: 'wake-ups', fds: 'descriptors' }[name]
        rows.push(
          row('idle', `supervisor after ${after} swaps: ${what}`, unit, {
            base: [base?.[name] ?? Number.NaN],
            ours: [ours?.[name] ?? Number.NaN],
          }),
        )
      }
    }
    supervisor.kill('SIGTERM')
    await Promise.race([new Promise((resolve) => supervisor.once('exit', resolve)), sleep(10_000)])
    return rows
  } finally {
    for (const child of children) child.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
}

function configure(dir: string): string {
  const trigger = join(dir, 't')
  mkdirSync(join(dir, 'd'))
  const text = (value: string) => JSON.stringify(value)
  writeFileSync(
    join(dir, 'handoff.toml'),
    [
      `control_socket = ${text(join(dir, 's'))}`,
      `trigger_socket = ${text(trigger)}`,
      `journal = ${text(join(dir, 'j'))}`,
      `binary = ${text(process.execPath)}`,
      `args = [${[daemon, join(dir, 's'), join(dir, 'd')].map(text).join(', ')}]`,
      'listeners = [{ name = "http", addr = "127.0.0.1:0" }]',
    ].join('\n'),
  )
  return trigger
}

async function untilAnswers(trigger: string): Promise<void> {
  for (;;) {
    const told = await askOne(trigger, { cmd: 'status' }, 'status').catch(() => null)
    if (told?.status.incumbent) return
    await sleep(50)
  }
}

/** All of them in the same quiet window. */
async function watch(pids: readonly number[], seconds: number): Promise<Footprint[]> {
  await sleep(SETTLE_SECONDS * 1000)
  const before = pids.map(switches)
  await sleep(seconds * 1000)
  return pids.map((pid, i) => ({
    rssMB: status(`/proc/${pid}/status`, 'VmRSS') / 1024,
    wakeUps: (switches(pid) - (before[i] ?? 0)) / seconds,
    fds: readdirSync(`/proc/${pid}/fd`).length,
  }))
}

/** Of all threads: each voluntary switch was a sleep, and each sleep had a wake-up. */
function switches(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`)
  return tasks.reduce((sum, task) => sum + status(`/proc/${pid}/task/${task}/status`, 'voluntary_ctxt_switches'), 0)
}

const status = (path: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? 0)

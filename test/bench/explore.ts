/**
 * Speed and memory of an exploration: states a second and bytes a state.
 *
 * Three worlds of about 200,000 states: a bare counter (the explorer alone), two-phase commit of real machines with the
 * memo, and a small one without it, for comparison. Prints a table, or JSON with `--json`. Nothing is asserted.
 * For the memory of the process run it with `node --expose-gc`.
 */
import { cpus } from 'node:os'
import { explore, type World } from '../../machines/explore/index.js'
import { twoPhaseMarks, twoPhaseProperties, twoPhaseWorld } from '../machines/explore/two-phase.js'

const LABELS = ['a', 'b', 'c']

/** Every state has three successors, its key sixteen parts. */
function bareWorld(size: number): World<number> {
  const key: unknown[] = new Array(16).fill(1)
  return {
    initial: () => 0,
    steps: (at) => LABELS.map((label, nth) => ({ label, kind: 'progress', next: (at * 3 + nth + 1) % size })),
    key(at) {
      key[0] = at & 0xff
      key[1] = at >> 8
      return key
    },
  }
}

const twoPhase = (participants: number, memo: boolean) => () => {
  const world = twoPhaseWorld({ participants, faults: 1, memo })
  return explore(world, { properties: twoPhaseProperties(world), marks: twoPhaseMarks })
}

const cases = {
  'explorer alone, 16 parts a key': () => explore(bareWorld(200_000)),
  'two-phase commit, 3 participants, 1 fault': twoPhase(3, true),
  'two-phase commit, 2 participants, 1 fault': twoPhase(2, true),
  'the same without memo': twoPhase(2, false),
}

interface Row {
  readonly world: string
  readonly states: number
  readonly edges: number
  readonly wallMs: number
  /** CPU time of the process, all threads: what counts on a shared machine. */
  readonly cpuMs: number
  readonly statesPerCpuSecond: number
  readonly resultBytesPerState: number
  /** Growth of heap and array buffers while the result is held; only with --expose-gc. */
  readonly heldBytesPerState?: number
}

const ROUNDS = 3
const used = () => {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function round(world: string, run: (typeof cases)[keyof typeof cases]): Row {
  const before = used()
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  const result = run()
  const wallMs = performance.now() - wall
  const { user, system } = process.cpuUsage(cpu)
  const cpuMs = (user + system) / 1000
  const heldBytesPerState = (used() - before) / result.states
  const { states, edges, stats } = result
  const rates = { statesPerCpuSecond: (states / cpuMs) * 1000, resultBytesPerState: stats.bytesPerState }
  return { world, states, edges, wallMs, cpuMs, ...rates, ...(globalThis.gc ? { heldBytesPerState } : {}) }
}

function measure(world: string, run: (typeof cases)[keyof typeof cases]): Row {
  const rounds = Array.from({ length: ROUNDS }, () => round(world, run)).sort((a, b) => a.cpuMs - b.cpuMs)
  const median = rounds[Math.floor(ROUNDS / 2)] as Row
  // A collector may still be busy with the round before, which hides memory and never adds any.
  const held = Math.max(...rounds.map(({ heldBytesPerState = 0 }) => heldBytesPerState))
  return globalThis.gc ? { ...median, heldBytesPerState: held } : median
}

const rows = Object.entries(cases).map(([world, run]) => measure(world, run))
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, rows }, undefined, 2))
} else {
  console.log(`node ${process.version}, ${cpus()[0]?.model}, median of ${ROUNDS} rounds`)
  console.table(
    Object.fromEntries(
      rows.map(({ world, ...row }) => [
        world,
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Math.round(value)])),
      ]),
    ),
  )
}

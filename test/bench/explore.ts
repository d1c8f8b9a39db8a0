/**
 * Speed and memory of an exploration: states a second and bytes a state.
 *
 * The handoff itself, as `handoff check --full` explores it, with one fault and with two; and for comparison the same
 * world without its rules, a bare counter (the explorer alone) and two-phase commit, with the memo of its machines and
 * without. Prints a table, or JSON with `--json`. Nothing is asserted.
 * For the memory of the process run it with `node --expose-gc`.
 */
import { cpus } from 'node:os'
import { type Exploration, explore, type Property, type World } from '../../machines/explore/index.js'
import { handoffInvariants, handoffSightings } from '../../machines/handoff/invariants.js'
import { CHECKS } from '../../machines/handoff/world/check.js'
import { createHandoffWorld } from '../../machines/handoff/world/handoff-world.js'
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

type Watch = (() => void) | undefined
type Case = (watch: Watch) => Pick<Exploration<never>, 'states' | 'edges' | 'stats'>

const run = <S>(world: World<S>, properties: readonly Property<S>[], watch: Watch, marks = {}) =>
  explore(world, { properties, marks, ...(watch && { onProgress: watch, progressEvery: 10_000 }) })

const twoPhase =
  (participants: number, memo: boolean): Case =>
  (watch) => {
    const world = twoPhaseWorld({ participants, faults: 1, memo })
    return run(world, twoPhaseProperties(world), watch, twoPhaseMarks)
  }

/** With all that `checkHandoff` checks. */
const handoff =
  (name: string, how: 'by rules' | 'state by state'): Case =>
  (watch) => {
    const world = createHandoffWorld(CHECKS[name] ?? {})
    const properties = [...handoffInvariants(world), ...handoffSightings(world)]
    return run(how === 'by rules' ? world : { ...world, steps: (state) => world.steps(state) }, properties, watch)
  }

const cases: Readonly<Record<string, Case>> = {
  'handoff, two faults': handoff('two faults', 'by rules'),
  'handoff, one fault': handoff('one fault', 'by rules'),
  'handoff, one fault, state by state': handoff('one fault', 'state by state'),
  'explorer alone, 16 parts a key': (watch) => run(bareWorld(200_000), [], watch),
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
  /** The most that they grew by while it ran, with all that the walk remembers; from a round that is not timed. */
  readonly walkBytesPerState?: number
}

const ROUNDS = 3
/** Rounds end sooner for a world that takes so long, CPU time in ms. */
const ENOUGH_MS = 8_000

const used = () => {
  // What a weak map held last goes the second time.
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function round(world: string, explored: Case): Row {
  const before = used()
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  const result = explored(undefined)
  const wallMs = performance.now() - wall
  const { user, system } = process.cpuUsage(cpu)
  const cpuMs = (user + system) / 1000
  const heldBytesPerState = (used() - before) / result.states
  const { states, edges, stats } = result
  const rates = { statesPerCpuSecond: (states / cpuMs) * 1000, resultBytesPerState: stats.bytesPerState }
  return { world, states, edges, wallMs, cpuMs, ...rates, ...(globalThis.gc ? { heldBytesPerState } : {}) }
}

function mostHeld(explored: Case): number {
  const before = used()
  let most = 0
  const { states } = explored(() => {
    most = Math.max(most, used() - before)
  })
  return most / states
}

function measure(world: string, explored: Case): Row {
  const rounds: Row[] = []
  while (rounds.length < ROUNDS && rounds.reduce((sum, { cpuMs }) => sum + cpuMs, 0) < ENOUGH_MS)
    rounds.push(round(world, explored))
  rounds.sort((a, b) => a.cpuMs - b.cpuMs)
  const median = rounds[Math.floor(rounds.length / 2)] as Row
  if (!globalThis.gc) return median
  // A collector may still be busy with the round before, which hides memory and never adds any.
  const heldBytesPerState = Math.max(...rounds.map((one) => one.heldBytesPerState ?? 0))
  return { ...median, heldBytesPerState, walkBytesPerState: mostHeld(explored) }
}

const rows = Object.entries(cases).map(([world, explored]) => measure(world, explored))
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, rows }, undefined, 2))
} else {
  console.log(`node ${process.version}, ${cpus()[0]?.model}, median of up to ${ROUNDS} rounds`)
  console.table(
    Object.fromEntries(
      rows.map(({ world, ...row }) => [
        world,
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Math.round(value)])),
      ]),
    ),
  )
}

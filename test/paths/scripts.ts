/** What a path asks of real processes: which fault, and where in whose life. */
import type { EdgeId, StateGraph } from '../../machines/explore/index.js'
import {
  describeWorld,
  type HandoffState,
  type HandoffWorld,
  type WorldOptions,
} from '../../machines/handoff/world/index.js'
import { stateText } from '../../src/channel/state-text.js'

/** One swap, one fault; the example daemon has no resume hook. */
export const BOUNDS: WorldOptions = { swaps: 1, faults: 1, restarts: 1, canResume: false }

export interface Script {
  readonly name: string
  /** The fault of the path as the model names it; null on an ordinary day. */
  readonly fault: string | null
  /** `--fault` of the first build, and of the one it is swapped for. */
  readonly first: string
  readonly second: string
  /** SIGKILL as this role's machine enters this state. */
  readonly kill: { readonly role: 'S' | 'A' | 'B'; readonly machine: string; readonly state: string } | null
  /** The generated path that leads to the fault. */
  readonly labels: readonly string[]
}

/** Hook faults that the example daemon can be told to commit. */
const BUILDS: Readonly<Record<string, { readonly first?: string; readonly second?: string }>> = {
  'A:drain:fails': { first: 'drain-fails=1' },
  'A:seal:fails': { first: 'seal-fails=1' },
  'B:openState:fails': { second: 'open-fails=1' },
  'B:openState:unhealthy': { second: 'unhealthy' },
}

export interface Scripts {
  readonly drivable: readonly Script[]
  /** Faults of the world that this driver cannot commit, with the reason. */
  readonly left: readonly { readonly fault: string; readonly why: string }[]
}

/** A shortest path to each fault, and for SIGKILL to each state of the victim, once a swap was asked for. */
export function scriptsOf(world: HandoffWorld, graph: StateGraph<HandoffState>): Scripts {
  const wanted = new Map<string, { readonly edge: EdgeId; readonly script: Omit<Script, 'labels'> }>()
  const left = new Map<string, string>()
  const calm = { first: '', second: '', kill: null }
  for (const [id, state] of graph.states()) {
    if (state.budgets.faults === 0) continue
    let told: ReturnType<typeof describeWorld> | null = null
    for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
      const { kind, name: fault } = graph.label(edge)
      if (kind !== 'fault') continue
      const build = BUILDS[fault]
      if (build !== undefined) {
        if (!wanted.has(fault)) wanted.set(fault, { edge, script: { ...calm, ...build, name: fault, fault } })
        continue
      }
      if (!fault.startsWith('kill:')) {
        left.set(fault, reason(fault))
        continue
      }
      // Before the swap it is asked for there is nothing to interrupt: supervision has tests of its own.
      if (state.budgets.swaps > 0) continue
      told ??= describeWorld(state, world.players)
      const kill = victim(fault.slice('kill:'.length), told)
      if (kill === null) continue
      const name = `${fault} in ${kill.machine} ${kill.state}`
      if (kill.role === 'B' && kill.machine === 'incumbent') {
        left.set(
          name,
          'it stops before its trace tells how it got there: driven by test:crash, not compared with a path',
        )
        continue
      }
      if (kill.role === 'A' && kill.state === 'serving.alone') {
        left.set(name, 'it is there already when the swap begins, and cannot be stopped as it enters')
        continue
      }
      if (!wanted.has(name)) wanted.set(name, { edge, script: { ...calm, name, fault, kill } })
    }
  }
  const nothing: Script = { ...calm, name: 'nothing breaks', fault: null, labels: [] }
  const drivable = [...wanted.values()].map(({ edge, script }): Script => {
    const edges = [...graph.edgesTo(graph.source(edge)), edge]
    return { ...script, labels: edges.map((one) => graph.label(one).name) }
  })
  return {
    drivable: [nothing, ...drivable],
    left: [...left].map(([fault, why]) => ({ fault, why })),
  }
}

function victim(name: string, told: ReturnType<typeof describeWorld>): Script['kill'] {
  if (name === 'S') {
    const { supervisor } = told
    if (!('swap' in supervisor) || supervisor.swap == null) return null
    return { role: 'S', machine: 'swap', state: stateText(supervisor.swap) }
  }
  if (name !== 'A' && name !== 'B') return null
  const one = told.primitives[name]
  if (one === undefined || one === 'dead') return null
  for (const machine of ['incumbent', 'successor'] as const) {
    const value = (one as Readonly<Record<string, unknown>>)[machine]
    if (value !== undefined) return { role: name, machine, state: stateText(value as string) }
  }
  return null
}

function reason(fault: string): string {
  if (fault.startsWith('early:')) return 'a limit that passes too soon: would need a clock that the test owns'
  if (fault.startsWith('stall:')) return 'SIGSTOP past every limit: driven by test:crash, not along a path'
  if (/:(hangs|blocks)$/.test(fault)) return 'ends only by limits of seconds: driven by test/process, not along a path'
  return 'a system call or hook that the example daemon cannot be told to fail'
}

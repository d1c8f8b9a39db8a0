/**
 * Ways through the handoff's world, for whoever drives real processes along them: one shortest path for each way in which
 * the goal can be reached, told apart by what broke and by what was reported.
 */
import {
  explore,
  type Path,
  type ReplayFile,
  replay,
  type StateGraph,
  shortestPathsTo,
  toReplayFile,
} from '../explore/index.js'
import type { SwapOutput } from './swap.machine.js'
import { createHandoffWorld, type HandoffWorld } from './world/handoff-world.js'
import type { WorldOptions } from './world/options.js'
import type { HandoffState } from './world/state.js'

/** How a swap ended, or `quiescent`: nobody has anything left to do. */
export const GOALS = ['committed', 'rolledBack', 'nobodyServes', 'quiescent'] as const
export type Goal = (typeof GOALS)[number]

export interface HandoffPath {
  /** What broke, in order. */
  readonly faults: readonly string[]
  /** What the supervisor reported last; null where it reported nothing. Pids: A is 1, B is 2 … */
  readonly outcome: SwapOutput | null
  /** Enough to walk it again, by `replay(createHandoffWorld(bounds), file)`. */
  readonly replay: ReplayFile
  readonly path: Path
}

export interface HandoffPaths {
  readonly world: HandoffWorld
  readonly graph: StateGraph<HandoffState>
  /** All that there are, before `limit`. */
  readonly found: number
  /** Shortest first. */
  readonly paths: readonly HandoffPath[]
}

const REPORT = 'S!reportOutcome'

/** @param limit how many paths at most */
export function handoffPaths(to: Goal, bounds: WorldOptions, limit = Number.POSITIVE_INFINITY): HandoffPaths {
  const world = createHandoffWorld(bounds)
  const { graph } = explore(world, {})
  const reported = ({ supervisor }: HandoffState): SwapOutput | null => {
    const effect = world.players.firstOf(supervisor.outbox)
    return effect?.kind === 'action' && effect.type === 'reportOutcome' ? (effect.params as SwapOutput) : null
  }
  const outcomes = new Map<number, SwapOutput>()
  for (const [id, state] of graph.states()) {
    const outcome = reported(state)
    if (outcome !== null) outcomes.set(id, outcome)
  }
  const isRest = (state: HandoffState): boolean => {
    for (const { kind } of world.steps(state)) if (kind === 'progress' || kind === 'timer') return false
    return true
  }
  const faultsTo = (id: number): string[] =>
    graph.edgesTo(id).flatMap((edge) => {
      const { kind, name } = graph.label(edge)
      return kind === 'fault' ? [name] : []
    })
  const lastReport = (id: number): SwapOutput | null => {
    const sources = graph.edgesTo(id).map((edge) => graph.source(edge))
    return outcomes.get(sources.findLast((source) => outcomes.has(source)) ?? -1) ?? null
  }
  const target = to === 'quiescent' ? isRest : (state: HandoffState) => reported(state)?.result === to
  const outcomeOf = (id: number): SwapOutput | null => outcomes.get(id) ?? lastReport(id)
  const nearest = shortestPathsTo(graph, target, {
    oneFor: (id) => JSON.stringify([faultsTo(id), outcomeOf(id)]),
  }).sort((a, b) => a.steps.length - b.steps.length)
  const paths = nearest.slice(0, limit).map((path): HandoffPath => {
    const file = toReplayFile(path)
    // What is sought is an outcome that is told, not one that is about to be.
    const told = to === 'quiescent' ? file : { ...file, labels: [...file.labels, REPORT] }
    return {
      faults: faultsTo(path.final.id),
      outcome: outcomeOf(path.final.id),
      replay: told,
      path: replay(world, told).path,
    }
  })
  return { world, graph, found: nearest.length, paths }
}

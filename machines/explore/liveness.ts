/**
 * Does every state lead to the goal when nothing breaks any more?
 *
 * A world that stops counting on luck ends in a component without a way out. If that component is a single state
 * without steps, it is a dead end; if it is a loop, the parts are busy for ever: a deadlock check would pass it.
 */
import { components, labelsOf, loopThrough } from './components.js'
import type { EdgeId, StateGraph, StateId } from './graph.js'
import { type Eventually, LIVENESS_KINDS } from './property.js'
import type { StepKind } from './world.js'

export interface Stuck {
  readonly kind: 'deadEnd' | 'livelock'
  /** The state of this trap that is nearest to the start. */
  readonly at: StateId
  /** The loop through `at`; empty at a dead end. */
  readonly loop: readonly EdgeId[]
  /** Traps of this kind, and how many states they hold together. */
  readonly traps: number
  readonly states: number
}

/** Where the world can stay for ever by these kinds of step. */
interface Trapping {
  readonly of: Int32Array
  readonly count: number
  readonly follows: (edge: EdgeId) => boolean
  /** By component: it has a way out, it has a loop, how many states it has, the nearest of them. */
  readonly leaves: Uint8Array
  readonly loops: Uint8Array
  readonly sizes: Uint32Array
  readonly first: Int32Array
}

export interface Traps {
  /** The traps that lack the property's goal, nearest first, one per kind. The goal must be a mark of the graph. */
  stuckStates(property: Pick<Eventually<never>, 'by' | 'stays'>, goal: string): Stuck[]
}

/** Components are found once for all properties that owe the same kinds of step. */
export function createTraps<S>(graph: StateGraph<S>): Traps {
  const known = new Map<string, Trapping>()
  return {
    stuckStates(property, goal) {
      const kinds = property.by ?? LIVENESS_KINDS
      const name = [...kinds].sort().join()
      let trapping = known.get(name)
      if (trapping === undefined) {
        trapping = trappingBy(graph, kinds)
        known.set(name, trapping)
      }
      return stuckStates(graph, trapping, property.stays === true, graph.bitOf(goal))
    },
  }
}

function trappingBy<S>(graph: StateGraph<S>, kinds: readonly StepKind[]): Trapping {
  const owed = labelsOf(graph, kinds)
  const { edgeLabels, targets } = graph.store
  const follows = (edge: EdgeId) => owed[edgeLabels.get(edge)] === 1
  const { of, count } = components(graph, follows)
  const leaves = new Uint8Array(count)
  const loops = new Uint8Array(count)
  const sizes = new Uint32Array(count)
  const first = new Int32Array(count).fill(-1)
  for (let id = 0; id < graph.size; id++) {
    const part = of[id] as number
    sizes[part] = (sizes[part] as number) + 1
    if (first[part] === -1) {
      first[part] = id
    }
    const end = graph.edgesEnd(id)
    for (let edge = graph.edgesStart(id); edge < end; edge++) {
      if (follows(edge)) {
        ;(of[targets.get(edge)] === part ? loops : leaves)[part] = 1
      }
    }
  }
  return { of, count, follows, leaves, loops, sizes, first }
}

function stuckStates<S>(graph: StateGraph<S>, trapping: Trapping, stays: boolean, bit: number): Stuck[] {
  const { of, count, follows, leaves, loops, sizes, first } = trapping
  const goals = new Uint32Array(count)
  for (let id = 0; id < graph.size; id++) {
    const part = of[id] as number
    goals[part] = (goals[part] as number) + ((graph.store.marks.get(id) >>> bit) & 1)
  }

  const found = new Map<Stuck['kind'], { at: StateId; traps: number; states: number }>()
  for (let part = 0; part < count; part++) {
    const reached = stays ? goals[part] === sizes[part] : (goals[part] as number) > 0
    if (leaves[part] === 1 || reached) {
      continue
    }
    const kind = loops[part] === 1 ? 'livelock' : 'deadEnd'
    const at = first[part] as StateId
    const known = found.get(kind)
    found.set(kind, {
      at: known ? Math.min(known.at, at) : at,
      traps: (known?.traps ?? 0) + 1,
      states: (known?.states ?? 0) + (sizes[part] as number),
    })
  }
  return [...found].map(([kind, trap]) => ({
    kind,
    ...trap,
    loop: kind === 'livelock' ? loopThrough(graph, follows, trap.at) : [],
  }))
}

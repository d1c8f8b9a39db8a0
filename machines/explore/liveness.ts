/**
 * Does every state lead to the goal when nothing breaks any more?
 *
 * A world that stops counting on luck ends in a component without a way out. If that component is a single state
 * without steps, it is a dead end; if it is a loop, the parts are busy for ever: a deadlock check would pass it.
 */
import { components, labelsOf, loopThrough } from './components.js'
import type { EdgeId, StateGraph, StateId } from './graph.js'
import { type Eventually, LIVENESS_KINDS } from './property.js'

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

/** The traps that lack the property's goal, nearest first, one per kind. The goal must be a mark of the graph. */
export function stuckStates<S>(
  graph: StateGraph<S>,
  property: Pick<Eventually<S>, 'by' | 'stays'>,
  goal: string,
): Stuck[] {
  const owed = labelsOf(graph, property.by ?? LIVENESS_KINDS)
  const follows = (edge: EdgeId) => owed[graph.store.edgeLabels.get(edge)] === 1
  const { of, count } = components(graph, follows)
  const bit = graph.bitOf(goal)
  const leaves = new Uint8Array(count)
  const loops = new Uint8Array(count)
  const sizes = new Uint32Array(count)
  const goals = new Uint32Array(count)
  const first = new Int32Array(count).fill(-1)
  for (let id = 0; id < graph.size; id++) {
    const part = of[id] as number
    sizes[part] = (sizes[part] as number) + 1
    goals[part] = (goals[part] as number) + ((graph.store.marks.get(id) >>> bit) & 1)
    if (first[part] === -1) {
      first[part] = id
    }
    for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
      if (follows(edge)) {
        ;(of[graph.target(edge)] === part ? loops : leaves)[part] = 1
      }
    }
  }

  const found = new Map<Stuck['kind'], { at: StateId; traps: number; states: number }>()
  for (let part = 0; part < count; part++) {
    const reached = property.stays ? goals[part] === sizes[part] : (goals[part] as number) > 0
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

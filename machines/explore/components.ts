/**
 * Strongly connected components of the graph under chosen kinds of step: where a world can stay for ever.
 *
 * Tarjan's algorithm without recursion, since paths are far longer than a call stack.
 */
import { seek } from './breadth-first.js'
import type { EdgeId, StateGraph, StateId } from './graph.js'
import type { StepKind } from './world.js'

export interface Components {
  /** The component of each state. Successors never have a higher number than their predecessors. */
  readonly of: Int32Array
  readonly count: number
}

/** For each label, by its number: 1 when it is of one of these kinds. */
export const labelsOf = <S>(graph: StateGraph<S>, kinds: readonly StepKind[]): Uint8Array =>
  Uint8Array.from(graph.labels, ({ kind }) => (kinds.includes(kind) ? 1 : 0))

/**
 * @param follows may this edge, which leaves `from`, be walked?
 * @param skip states that are taken out of the graph, with their edges; their component is -1.
 */
export function components<S>(
  graph: StateGraph<S>,
  follows: (edge: EdgeId, from: StateId) => boolean,
  skip: (id: StateId) => boolean = () => false,
): Components {
  const { store, size } = graph
  const order = new Int32Array(size)
  const low = new Int32Array(size)
  const of = new Int32Array(size).fill(-1)
  const edgeAt = new Uint32Array(size)
  const open = new Int32Array(size)
  const walk = new Int32Array(size)
  let opened = 0
  let clock = 0
  let count = 0

  for (let root = 0; root < size; root++) {
    if (order[root] !== 0 || skip(root)) {
      continue
    }
    let depth = 0
    walk[depth++] = root
    order[root] = low[root] = ++clock
    edgeAt[root] = graph.edgesStart(root)
    open[opened++] = root
    while (depth > 0) {
      const id = walk[depth - 1] as StateId
      const edge = edgeAt[id] as number
      if (edge < graph.edgesEnd(id)) {
        edgeAt[id] = edge + 1
        const next = store.targets.get(edge)
        if (of[next] !== -1 || skip(next) || !follows(edge, id)) {
          continue
        }
        if (order[next] !== 0) {
          low[id] = Math.min(low[id] as number, order[next] as number)
          continue
        }
        order[next] = low[next] = ++clock
        edgeAt[next] = graph.edgesStart(next)
        open[opened++] = next
        walk[depth++] = next
        continue
      }
      depth -= 1
      if (depth > 0) {
        const above = walk[depth - 1] as StateId
        low[above] = Math.min(low[above] as number, low[id] as number)
      }
      if (low[id] === order[id]) {
        let member: StateId
        do {
          member = open[--opened] as StateId
          of[member] = count
        } while (member !== id)
        count += 1
      }
    }
  }
  return { of, count }
}

/** A shortest way along followed edges from `from` back to itself; empty when there is none. */
export function loopThrough<S>(
  graph: StateGraph<S>,
  follows: (edge: EdgeId, from: StateId) => boolean,
  from: StateId,
): EdgeId[] {
  return seek(graph, [from], follows, (edge) => graph.target(edge) === from) ?? []
}

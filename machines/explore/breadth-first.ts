/**
 * The nearest edge of a kind, and the way to it.
 */
import type { EdgeId, StateGraph, StateId } from './graph.js'

/**
 * The shortest way from one of `starts` whose last edge is wanted; nothing when there is none.
 *
 * @param follows may this edge, which leaves `from`, be walked?
 */
export function seek<S>(
  graph: StateGraph<S>,
  starts: readonly StateId[],
  follows: (edge: EdgeId, from: StateId) => boolean,
  wanted: (edge: EdgeId) => boolean,
): EdgeId[] | undefined {
  const cameBy = new Map<StateId, EdgeId | -1>(starts.map((id) => [id, -1]))
  const queue = [...starts]
  for (const id of queue) {
    for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
      if (!follows(edge, id)) {
        continue
      }
      if (wanted(edge)) {
        return wayBack(graph, cameBy, edge)
      }
      const next = graph.target(edge)
      if (!cameBy.has(next)) {
        cameBy.set(next, edge)
        queue.push(next)
      }
    }
  }
  return undefined
}

function wayBack<S>(graph: StateGraph<S>, cameBy: ReadonlyMap<StateId, EdgeId | -1>, last: EdgeId): EdgeId[] {
  const way = [last]
  for (let by = cameBy.get(graph.source(last)); by !== undefined && by !== -1; by = cameBy.get(graph.source(by))) {
    way.push(by)
  }
  return way.reverse()
}

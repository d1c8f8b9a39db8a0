/**
 * Paths for real processes: shortest ones to chosen states, and few that together exercise everything.
 *
 * The explored graph is handed back to @xstate/graph as a logic over state numbers, so its path functions and its
 * `TestModel` work on compositions that they could never traverse themselves.
 */
import { getShortestPaths } from '@xstate/graph'
import { fromTransition, type TransitionActorLogic, type TransitionSnapshot } from 'xstate'
import { seek } from './breadth-first.js'
import { labelsOf } from './components.js'
import type { EdgeId, Path, StateGraph, StateId } from './graph.js'
import { LIVENESS_KINDS } from './property.js'

/** A path to drive something with. */
export interface GeneratedPath extends Path {
  readonly final: { readonly id: StateId; readonly marks: readonly string[] }
}

type LabelEvent = { readonly type: string }

export interface GraphLogic {
  readonly logic: TransitionActorLogic<StateId, LabelEvent, undefined>
  readonly traversal: {
    readonly fromState: TransitionSnapshot<StateId>
    readonly serializeState: (snapshot: TransitionSnapshot<StateId>) => string
    readonly events: (snapshot: TransitionSnapshot<StateId>) => LabelEvent[]
  }
}

/**
 * The graph as actor logic whose context is a state number and whose events are labels: for `getShortestPaths`,
 * `getAdjacencyMap` or `new TestModel(logic, traversal)`. Comfortable to some 40,000 states.
 *
 * @param within edges to keep; default: all.
 */
export function graphLogic<S>(
  graph: StateGraph<S>,
  { from = 0, within }: { readonly from?: StateId; readonly within?: ReadonlySet<EdgeId> } = {},
): GraphLogic {
  const edges = function* (id: StateId) {
    for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
      if (within === undefined || within.has(edge)) {
        yield edge
      }
    }
  }
  const logic = fromTransition((id: StateId, event: LabelEvent) => {
    const edge = findEdge(graph, id, event.type)
    return edge === undefined ? id : graph.target(edge)
  }, from)
  const snapshot = { status: 'active', output: undefined, error: undefined, input: undefined } as const
  return {
    logic,
    traversal: {
      fromState: { ...snapshot, context: from },
      serializeState: ({ context }) => String(context),
      events: ({ context }) => Array.from(edges(context), (edge) => ({ type: graph.label(edge).name })),
    },
  }
}

function findEdge<S>(graph: StateGraph<S>, id: StateId, label: string): EdgeId | undefined {
  for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
    if (graph.label(edge).name === label) {
      return edge
    }
  }
  return undefined
}

export interface ShortestPathsOptions {
  /** Only the nearest state of each group: e.g. one path per outcome. Default: every state is its own group. */
  readonly oneFor?: (id: StateId) => string
}

/** @xstate/graph keeps several objects per edge; beyond this it gets only the shortest paths' own edges. */
const WHOLE_GRAPH_LIMIT = 40_000

/** A shortest path to every state with the mark, or for which the predicate holds; nearest first. */
export function shortestPathsTo<S>(
  graph: StateGraph<S>,
  target: string | ((state: S) => boolean),
  options: ShortestPathsOptions = {},
): GeneratedPath[] {
  const targets = chosen(graph, target, options.oneFor)
  const within = graph.size > WHOLE_GRAPH_LIMIT ? new Set([...targets].flatMap((id) => graph.edgesTo(id))) : undefined
  const paths: GeneratedPath[] = []
  for (const from of graph.store.initialIndex.keys()) {
    // The library knows one start. A state belongs to the start its shortest path begins in.
    const own = new Set([...targets].filter((id) => graph.originOf(graph.edgesTo(id), id) === from))
    const { logic, traversal } = graphLogic(graph, { from, ...(within && { within }) })
    const found = getShortestPaths(logic, {
      ...traversal,
      toState: ({ context }) => own.has(context),
      // Its default would not look for targets behind targets.
      stopWhen: () => false,
    })
    for (const { state, steps } of found) {
      // A step is a state with the event that led to it: the first has none of ours.
      const edges = steps.slice(1).map(({ event }, at) => {
        const before = (steps[at] as (typeof steps)[number]).state.context
        return findEdge(graph, before, event.type) as EdgeId
      })
      paths.push(generated(graph, edges, state.context))
    }
  }
  return paths.sort((a, b) => a.final.id - b.final.id)
}

function chosen<S>(
  graph: StateGraph<S>,
  target: string | ((state: S) => boolean),
  oneFor: ((id: StateId) => string) | undefined,
): Set<StateId> {
  const ids: StateId[] = []
  if (typeof target === 'string') {
    for (let id = 0; id < graph.size; id++) {
      if (graph.marked(target, id)) {
        ids.push(id)
      }
    }
  } else {
    for (const [id, state] of graph.states()) {
      if (target(state)) {
        ids.push(id)
      }
    }
  }
  const groups = new Map(ids.reverse().map((id) => [oneFor?.(id) ?? String(id), id]))
  return new Set(groups.values())
}

function generated<S>(graph: StateGraph<S>, edges: readonly EdgeId[], otherwise: StateId): GeneratedPath {
  const last = edges.at(-1)
  const id = last === undefined ? otherwise : graph.target(last)
  return { ...graph.path(edges, otherwise), final: { id, marks: graph.marks.filter((mark) => graph.marked(mark, id)) } }
}

export interface CoverOptions {
  /** What is to be covered: what the steps' `covers` name, or the labels. Default: `covers`. */
  readonly of?: 'covers' | 'labels'
  /** Restricts the items; default: all that occur. */
  readonly items?: (item: string) => boolean
  /** Every path is led on, by progress and timers alone, to a state with this mark. */
  readonly endAt?: string
  /** Aim for the length of a path, steps; an item farther away than this still gets its own path. Default: 60. */
  readonly maxSteps?: number
}

export interface TransitionCover {
  readonly paths: readonly GeneratedPath[]
  readonly covered: readonly string[]
  /** Wanted items that no edge of the graph bears. Empty unless `items` was computed from elsewhere. */
  readonly missing: readonly string[]
}

/**
 * Few paths that together cover every item. Greedy: always on to the nearest edge with something new. What can be
 * covered without faults is covered without faults first, so most paths are ordinary days.
 */
export function transitionCover<S>(graph: StateGraph<S>, options: CoverOptions = {}): TransitionCover {
  const { of = 'covers', items = () => true, endAt, maxSteps = 60 } = options
  const { store } = graph
  const itemsOf = of === 'covers' ? store.coverSets : store.labels.map(({ name }) => [name])
  const classOf = of === 'covers' ? store.edgeCovers : store.edgeLabels
  const remaining = new Set(itemsOf.flat().filter(items))
  const covered: string[] = []
  const isCalm = labelsOf(graph, ['progress', 'timer', 'trigger'])
  const isOwed = labelsOf(graph, LIVENESS_KINDS)
  const calm = (edge: EdgeId) => isCalm[store.edgeLabels.get(edge)] === 1
  const owed = (edge: EdgeId) => isOwed[store.edgeLabels.get(edge)] === 1
  const all = () => true
  const starts = [...store.initialIndex.keys()]
  const isNew = (edge: EdgeId) => (itemsOf[classOf.get(edge)] as readonly string[]).some((item) => remaining.has(item))
  const paths: GeneratedPath[] = []

  function take(edges: readonly EdgeId[]): void {
    for (const edge of edges) {
      for (const item of itemsOf[classOf.get(edge)] as readonly string[]) {
        if (remaining.delete(item)) {
          covered.push(item)
        }
      }
    }
  }

  for (const follows of [calm, all]) {
    for (;;) {
      const path: EdgeId[] = []
      let from = starts
      for (;;) {
        const way = remaining.size > 0 ? seek(graph, from, follows, isNew) : undefined
        if (way === undefined || (path.length > 0 && path.length + way.length > maxSteps)) {
          break
        }
        take(way)
        path.push(...way)
        from = [graph.target(way.at(-1) as EdgeId)]
      }
      if (path.length === 0) {
        break
      }
      const end = from[0] as StateId
      if (endAt !== undefined && !graph.marked(endAt, end)) {
        const home = seek(graph, from, owed, (edge) => graph.marked(endAt, graph.target(edge))) ?? []
        take(home)
        path.push(...home)
      }
      paths.push(generated(graph, path, end))
    }
  }
  return { paths, covered, missing: [...remaining] }
}

/**
 * Breadth-first search through a closed world, checking as it goes.
 *
 * Breadth first, because the first path to a violation is then a shortest one. States are looked at once and dropped;
 * what remains of each are a few numbers.
 */
import { NotCanonicalError } from './canonical.js'
import { EdgeJournal } from './edge-journal.js'
import { GraphStore, type Label, type Path, StateGraph, type StateId } from './graph.js'
import { stuckStates } from './liveness.js'
import type { Property } from './property.js'
import { createStateIndex } from './state-index.js'
import { type Sighting, type Violation, ViolationLog } from './violations.js'
import { ContractError, initialStates, type Step, type World } from './world.js'

export interface Progress {
  readonly states: number
  readonly edges: number
  readonly depth: number
  /** States found but not looked at yet. */
  readonly waiting: number
}

export interface ExploreOptions<S> {
  readonly properties?: readonly Property<S>[]
  /** Named predicates remembered for every state, e.g. `quiescent`: see {@link StateGraph.marked}. At most 32 with the goals of `eventually`. */
  readonly marks?: Readonly<Record<string, (state: S) => boolean>>
  readonly limits?: {
    /** Stop after this many states; the result is then not `complete`. Default: none. */
    readonly states?: number
    /** Stop at this many different violations. Default: none. */
    readonly violations?: number
  }
  /** Keep the state objects: faster questions afterwards, far more memory. Default: false. */
  readonly keepStates?: boolean
  /** Tell violations apart also by the faults on their path. Default: false. */
  readonly byFaults?: boolean
  readonly onProgress?: (progress: Progress) => void
  /** States between two calls of `onProgress`. Default: 50_000. */
  readonly progressEvery?: number
  /** A clock in ms, for `stats.elapsedMs`: this library has none. */
  readonly now?: () => number
}

export interface Coverage {
  readonly covered: readonly string[]
  /** What the world calls coverable and no step covers. */
  readonly missing: readonly string[]
}

export interface Exploration<S> {
  /** Every reachable state was looked at. Without it nothing is proven, and liveness is not checked. */
  readonly complete: boolean
  readonly states: number
  readonly edges: number
  /** Length of the longest shortest path. */
  readonly depth: number
  readonly violations: readonly Violation[]
  /** Ids of the `sometimes` properties that nothing showed. */
  readonly unwitnessed: readonly string[]
  /** Ids of the `eventually` properties that could not be checked, because the exploration is incomplete. */
  readonly unchecked: readonly string[]
  /** A shortest path to the first witness of a `sometimes` property. */
  witness(id: string): Path | undefined
  readonly coverage: Coverage
  readonly labels: readonly Label[]
  readonly graph: StateGraph<S>
  readonly stats: {
    readonly elapsedMs?: number
    readonly statesPerSecond?: number
    /** What the result holds: index, edges, marks. The world's own memory is not in it. */
    readonly bytes: number
    readonly bytesPerState: number
    /** Distinct interned parts of keys. */
    readonly parts: number
  }
}

const MARK_LIMIT = 32

/** Explores everything reachable. @throws ContractError or NotCanonicalError when the world's keys or labels are unfit. */
export function explore<S>(world: World<S>, options: ExploreOptions<S> = {}): Exploration<S> {
  const { properties = [], limits = {}, progressEvery = 50_000 } = options
  const maxStates = limits.states ?? Number.POSITIVE_INFINITY
  const maxViolations = limits.violations ?? Number.POSITIVE_INFINITY
  const startedAt = options.now?.()

  const always = properties.filter((property) => property.kind === 'always')
  const onEdge = properties.filter((property) => property.kind === 'edge')
  const eventually = properties.filter((property) => property.kind === 'eventually')
  let wanted = properties.filter((property) => property.kind === 'sometimes')
  let wantedOnEdge = properties.filter((property) => property.kind === 'sometimesEdge')
  const witnesses = new Map<string, Sighting>()

  const marks = [
    ...Object.entries(options.marks ?? {}),
    ...eventually.map((goal) => [goalMark(goal.id), (state: S) => goal.holds(state)] as const),
  ]
  if (marks.length > MARK_LIMIT) {
    throw new ContractError(`at most ${MARK_LIMIT} marks and 'eventually' properties, not ${marks.length}`)
  }

  const initial = initialStates(world)
  if (initial.length === 0) {
    throw new ContractError('a world needs at least one initial state')
  }
  const store = new GraphStore()
  const index = createStateIndex(world.key(initial[0] as S))
  const journal = new EdgeJournal(store)
  const kept: S[] | undefined = options.keepStates ? [] : undefined
  const graph = new StateGraph(world, store, new Map(marks.map(([name], bit) => [name, bit])), kept)
  const log = new ViolationLog(graph, options.byFaults ?? false)
  let level: S[] = []
  let nextLevel: S[] = []

  function discover(state: S, id: StateId, parentEdge: number): void {
    store.parentEdges.push(parentEdge)
    let bits = 0
    for (let bit = 0; bit < marks.length; bit++) {
      if ((marks[bit] as (typeof marks)[number])[1](state)) {
        bits |= 1 << bit
      }
    }
    store.marks.push(bits)
    kept?.push(state)
    nextLevel.push(state)
    for (const property of always) {
      const verdict = property.holds(state)
      if (verdict !== true) {
        log.add(property, 'always', verdict, { state: id })
      }
    }
    for (const property of wanted) {
      if (property.holds(state)) {
        witnesses.set(property.id, { state: id })
        wanted = wanted.filter((other) => other !== property)
      }
    }
  }

  function checkEdge(from: S, step: Step<S>, edge: number): void {
    for (const property of onEdge) {
      const verdict = property.holds(from, step)
      if (verdict !== true) {
        log.add(property, 'edge', verdict, { edge })
      }
    }
    for (const property of wantedOnEdge) {
      if (property.holds(from, step)) {
        witnesses.set(property.id, { edge })
        wantedOnEdge = wantedOnEdge.filter((other) => other !== property)
      }
    }
  }

  const edgesMatter = onEdge.length + wantedOnEdge.length > 0

  function expand(id: StateId, state: S): void {
    store.offsets.push(store.targets.length)
    store.expanded = id + 1
    try {
      for (const step of world.steps(state)) {
        const before = index.size
        const target = index.add(world.key(step.next))
        const edge = journal.add(id, target, step)
        if (target === before) {
          discover(step.next, target, edge)
        }
        if (edgesMatter) {
          checkEdge(state, step, edge)
        }
      }
    } catch (error) {
      if (error instanceof ContractError || error instanceof NotCanonicalError) {
        throw error
      }
      log.addException(error, id)
    }
  }

  initial.forEach((state, at) => {
    const before = index.size
    const id = index.add(world.key(state))
    if (id === before) {
      store.initialIndex.push(at)
      discover(state, id, -1)
    }
  })

  let id = 0
  let complete = true
  search: while (nextLevel.length > 0) {
    store.levels.push(id)
    ;[level, nextLevel] = [nextLevel, []]
    for (let at = 0; at < level.length; at++) {
      if (index.size > maxStates || log.size >= maxViolations) {
        complete = false
        break search
      }
      expand(id, level[at] as S)
      id += 1
      // The frontier is the only place that holds whole states.
      level[at] = undefined as S
      if (id % progressEvery === 0) {
        options.onProgress?.({
          states: index.size,
          edges: store.targets.length,
          depth: store.levels.length - 1,
          waiting: index.size - id,
        })
      }
    }
  }

  if (complete) {
    for (const property of eventually) {
      for (const stuck of stuckStates(graph, property, goalMark(property.id))) {
        log.addStuck(property, stuck)
      }
    }
  }

  const covered = new Set([...(world.initialCovers ?? []), ...store.coverSets.flat()])
  const bytes = store.bytes + index.bytes
  const elapsedMs = options.now && startedAt !== undefined ? options.now() - startedAt : undefined
  return {
    complete,
    states: index.size,
    edges: store.targets.length,
    depth: store.levels.length - 1,
    violations: log.list(),
    unwitnessed: [...wanted, ...wantedOnEdge].map((property) => property.id),
    unchecked: complete ? [] : eventually.map((property) => property.id),
    witness: (property) => {
      const seen = witnesses.get(property)
      return seen && log.pathOf(seen)
    },
    coverage: {
      covered: [...covered],
      missing: (world.coverable ?? []).filter((item) => !covered.has(item)),
    },
    labels: store.labels,
    graph,
    stats: {
      ...(elapsedMs === undefined ? {} : { elapsedMs, statesPerSecond: (index.size / elapsedMs) * 1000 }),
      bytes,
      bytesPerState: bytes / index.size,
      parts: index.parts,
    },
  }
}

/** The mark under which the goal of an `eventually` property is remembered. */
export const goalMark = (property: string): string => `goal:${property}`

/**
 * Breadth-first search through a closed world, checking as it goes.
 *
 * Breadth first, because the first path to a violation is then a shortest one. States are looked at once and dropped;
 * what remains of each are a few numbers.
 */
import { NotCanonicalError } from './canonical.js'
import { EdgeJournal } from './edge-journal.js'
import { GraphStore, type Label, type Path, StateGraph, type StateId } from './graph.js'
import { createTraps } from './liveness.js'
import type { Property } from './property.js'
import { createRuleWalker } from './rule-walker.js'
import { type RuleSet, rulesOf } from './rules.js'
import type { Search, Walker } from './search.js'
import { createStateWalker } from './state-walker.js'
import { type Sighting, type Violation, ViolationLog } from './violations.js'
import { ContractError, initialStates, type World } from './world.js'

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
  const { properties = [] } = options
  const startedAt = options.now?.()

  const eventually = properties.filter((property) => property.kind === 'eventually')
  const wanted = new Set(properties.filter((property) => property.kind === 'sometimes'))
  const wantedOnEdge = new Set(properties.filter((property) => property.kind === 'sometimesEdge'))
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
  const journal = new EdgeJournal(store)
  const kept: S[] | undefined = options.keepStates ? [] : undefined
  const graph = new StateGraph(world, store, new Map(marks.map(([name], bit) => [name, bit])), kept)
  const log = new ViolationLog(graph, options.byFaults ?? false)
  const search: Search<S> = {
    world,
    initial,
    always: properties.filter((property) => property.kind === 'always'),
    onEdge: properties.filter((property) => property.kind === 'edge'),
    marks,
    wanted,
    wantedOnEdge,
    witnesses,
    store,
    journal,
    log,
    kept,
  }
  const { complete, states, parts, indexBytes } = walk(search, options)

  if (complete) {
    const traps = createTraps(graph)
    for (const property of eventually) {
      for (const stuck of traps.stuckStates(property, goalMark(property.id))) {
        log.addStuck(property, stuck)
      }
    }
  }

  const covered = new Set([...(world.initialCovers ?? []), ...store.coverSets.flat()])
  const bytes = store.bytes + indexBytes
  const elapsedMs = options.now && startedAt !== undefined ? options.now() - startedAt : undefined
  return {
    complete,
    states,
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
      ...(elapsedMs === undefined ? {} : { elapsedMs, statesPerSecond: (states / elapsedMs) * 1000 }),
      bytes,
      bytesPerState: bytes / states,
      parts,
    },
  }
}

interface Walked {
  readonly complete: boolean
  readonly states: number
  readonly parts: number
  readonly indexBytes: number
}

/** A function of its own, so that the result does not hold what the walk remembered. */
function walk<S>(search: Search<S>, { limits = {}, progressEvery = 50_000, onProgress }: ExploreOptions<S>): Walked {
  const maxStates = limits.states ?? Number.POSITIVE_INFINITY
  const maxViolations = limits.violations ?? Number.POSITIVE_INFINITY
  const { store, log } = search
  const walker = createWalker(search)

  function expand(id: StateId): void {
    store.offsets.push(store.targets.length)
    store.expanded = id + 1
    try {
      walker.expand(id)
    } catch (error) {
      if (error instanceof ContractError || error instanceof NotCanonicalError) {
        throw error
      }
      log.addException(error, id)
    }
  }
  const walked = (complete: boolean): Walked => {
    return { complete, states: walker.size, parts: walker.parts, indexBytes: walker.bytes }
  }

  walker.begin()
  for (let id = 0; id < walker.size; ) {
    store.levels.push(id)
    for (const end = walker.size; id < end; ) {
      if (walker.size > maxStates || log.size >= maxViolations) {
        return walked(false)
      }
      expand(id)
      id += 1
      if (id % progressEvery === 0) {
        onProgress?.({
          states: walker.size,
          edges: store.targets.length,
          depth: store.levels.length - 1,
          waiting: walker.size - id,
        })
      }
    }
  }
  return walked(true)
}

function createWalker<S>(search: Search<S>): Walker {
  const rules = rulesOf(search.world)
  // A world of rules has records in its states, and so objects.
  return rules === undefined
    ? createStateWalker(search)
    : createRuleWalker<S & object>(search as Search<S & object>, rules as RuleSet<S & object>)
}

/** The mark under which the goal of an `eventually` property is remembered. */
export const goalMark = (property: string): string => `goal:${property}`

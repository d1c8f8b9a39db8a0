/**
 * Violations, told apart by what is broken and how; of each the shortest path, and how often it was seen.
 */
import type { EdgeId, Path, PathStep, StateGraph, StateId } from './graph.js'
import type { Stuck } from './liveness.js'
import type { Property, Verdict } from './property.js'

/** Where something was seen: in a state, or on an edge. */
export type Sighting = { readonly state: StateId } | { readonly edge: EdgeId }

export type ViolationKind = 'always' | 'edge' | 'exception' | 'deadEnd' | 'livelock'

/** A counterexample, as data. */
export interface Violation {
  /** Id of the property; `exception` when the world's own code threw. */
  readonly property: string
  readonly says: string
  readonly kind: ViolationKind
  /** The text a property gave as its verdict, or the message of the exception. */
  readonly detail?: string
  /** Labels of the faults on the path. */
  readonly faults: readonly string[]
  /** States (or edges, for `edge`) that show it. */
  readonly count: number
  /** A shortest path to it. */
  readonly path: Path
  /** Of a livelock: steps that lead from the end of the path back there, for ever. */
  readonly loop?: readonly PathStep[]
}

interface Entry {
  readonly property: { readonly id: string; readonly says: string }
  readonly kind: ViolationKind
  readonly detail: string | undefined
  readonly seen: Sighting
  readonly loop: readonly EdgeId[]
  count: number
}

export class ViolationLog<S> {
  private readonly entries = new Map<string, Entry>()

  constructor(
    private readonly graph: StateGraph<S>,
    private readonly byFaults: boolean,
  ) {}

  get size(): number {
    return this.entries.size
  }

  add(property: Property<S>, kind: ViolationKind, verdict: Exclude<Verdict, true>, seen: Sighting): void {
    this.enter({ property, kind, detail: verdict === false ? undefined : verdict, seen, loop: [], count: 1 })
  }

  addException(error: unknown, state: StateId): void {
    const detail = error instanceof Error ? error.message : String(error)
    const property = { id: 'exception', says: 'no guard, assign or step of the world throws' }
    this.enter({ property, kind: 'exception', detail, seen: { state }, loop: [], count: 1 })
  }

  addStuck(property: Property<S>, { kind, at, loop, states }: Stuck): void {
    this.enter({ property, kind, detail: undefined, seen: { state: at }, loop, count: states })
  }

  list(): Violation[] {
    return [...this.entries.values()].map(({ property, kind, detail, seen, loop, count }) => ({
      property: property.id,
      says: property.says,
      kind,
      ...(detail === undefined ? {} : { detail }),
      faults: this.faultsOn(this.edgesOf(seen)),
      count,
      path: this.pathOf(seen),
      ...(loop.length === 0 ? {} : { loop: this.loopSteps(seen, loop) }),
    }))
  }

  pathOf(seen: Sighting): Path {
    return this.graph.path(this.edgesOf(seen), 'state' in seen ? seen.state : 0)
  }

  private enter(entry: Entry): void {
    const faults = this.byFaults ? this.faultsOn(this.edgesOf(entry.seen)) : []
    const signature = JSON.stringify([entry.property.id, entry.kind, entry.detail, faults])
    const known = this.entries.get(signature)
    if (known) {
      known.count += entry.count
    } else {
      // The search is breadth first: the first sighting has a shortest path.
      this.entries.set(signature, entry)
    }
  }

  private edgesOf(seen: Sighting): EdgeId[] {
    return 'state' in seen
      ? this.graph.edgesTo(seen.state)
      : [...this.graph.edgesTo(this.graph.source(seen.edge)), seen.edge]
  }

  private faultsOn(edges: readonly EdgeId[]): string[] {
    return edges.map((edge) => this.graph.label(edge)).flatMap(({ kind, name }) => (kind === 'fault' ? [name] : []))
  }

  private loopSteps(seen: Sighting, loop: readonly EdgeId[]): PathStep[] {
    const edges = this.edgesOf(seen)
    return this.graph.path([...edges, ...loop], 'state' in seen ? seen.state : 0).steps.slice(edges.length)
  }
}

/** What a search is after, and what it has found: shared by the ways to walk through a world. */
import type { EdgeJournal } from './edge-journal.js'
import type { GraphStore, StateId } from './graph.js'
import type { Always, OnEdge, Sometimes, SometimesOnEdge } from './property.js'
import type { Sighting, ViolationLog } from './violations.js'
import type { World } from './world.js'

export interface Search<S> {
  readonly world: World<S>
  readonly initial: readonly S[]
  readonly always: readonly Always<S>[]
  readonly onEdge: readonly OnEdge<S>[]
  /** By their bits. */
  readonly marks: readonly (readonly [name: string, holds: (state: S) => boolean])[]
  /** Not seen yet. */
  readonly wanted: Set<Sometimes<S>>
  readonly wantedOnEdge: Set<SometimesOnEdge<S>>
  readonly witnesses: Map<string, Sighting>
  readonly store: GraphStore
  readonly journal: EdgeJournal
  readonly log: ViolationLog<S>
  readonly kept: S[] | undefined
}

/** Finds states and numbers them; the explorer says which is looked at next. */
export interface Walker {
  begin(): void
  /** Every state once, in the order of their numbers. */
  expand(id: StateId): void
  readonly size: number
  /** Held by the index of states. */
  readonly bytes: number
  /** Distinct interned parts of states. */
  readonly parts: number
}

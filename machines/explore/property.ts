/**
 * What a world is checked for. Each property has an id (`INV-04`) and says in words what it demands.
 *
 * Every `always` deserves a `sometimes`: in a world where nothing happens, everything always holds.
 */
import type { Step, StepKind } from './world.js'

interface Named {
  readonly id: string
  readonly says: string
}

/** A check's answer: true holds; false or a text (why not; violations are told apart by it) is a violation. */
export type Verdict = boolean | string

/** Holds in every reachable state. */
export interface Always<S> extends Named {
  readonly kind: 'always'
  holds(state: S): Verdict
}

/** Holds for every step: outcomes that are true only at the moment they are reported. */
export interface OnEdge<S> extends Named {
  readonly kind: 'edge'
  holds(from: S, step: Step<S>): Verdict
}

/** Some reachable state shows it. */
export interface Sometimes<S> extends Named {
  readonly kind: 'sometimes'
  holds(state: S): boolean
}

/** Some reachable step shows it. */
export interface SometimesOnEdge<S> extends Named {
  readonly kind: 'sometimesEdge'
  holds(from: S, step: Step<S>): boolean
}

/**
 * From every reachable state the goal is reached if nothing breaks any more: no dead end without it, and no closed
 * loop without it. A loop with a way out is fine (whatever stays possible is assumed to happen some day); a dead end
 * or a loop that cannot be left is a violation.
 */
export interface Eventually<S> extends Named {
  readonly kind: 'eventually'
  holds(state: S): boolean
  /** The kinds of step that are owed. Default: progress and timer. */
  readonly by?: readonly StepKind[]
  /** The goal must hold for good: in *every* state of the final loop, not only in one. Default: false. */
  readonly stays?: boolean
}

export type Property<S> = Always<S> | OnEdge<S> | Sometimes<S> | SometimesOnEdge<S> | Eventually<S>

export const LIVENESS_KINDS: readonly StepKind[] = ['progress', 'timer']

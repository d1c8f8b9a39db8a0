/** What is walked, and how it went. */
import type { HandoffWorld } from '../../machines/handoff/world/index.js'

export interface Run {
  /** The first thing that was not as the model says; null when all of it was. */
  readonly wrong: string | null
  /** Labels done. */
  readonly steps: number
  /** Where the trace of all its processes lies, until the end. */
  readonly trace: string
  /** Ends what still runs, and removes the directory. */
  end(): Promise<void>
}

/** A path on which one thing happens otherwise than in the world, and leads to the same state for another reason. */
export interface Variant {
  readonly label: string
  /** `otherData`: the successor has opened other data. `otherHello`: somebody else greets on the control path. */
  readonly happens: 'otherData' | 'otherHello'
  /** The reason that the model gives, and the one that is due. */
  readonly failure: readonly [model: string, real: string]
  /** The transition that is taken instead of the model's. */
  readonly takes: string
}

export interface Course {
  readonly world: HandoffWorld
  readonly labels: readonly string[]
  readonly variant?: Variant
}

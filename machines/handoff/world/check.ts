/** One exploration with all invariants, and what it says: bounds, size, verdict, counterexamples. */
import { type Exploration, explore, type Progress, type Violation } from '../../explore/index.js'
import { handoffInvariants, handoffSightings } from '../invariants.js'
import { createHandoffWorld, type HandoffWorld } from './handoff-world.js'
import { OUTSIDE_FAULT_KINDS, type WorldOptions } from './options.js'
import type { HandoffState } from './state.js'

export interface CheckOptions {
  readonly now?: () => number
  readonly onProgress?: (progress: Progress) => void
  /** Give up after this many states; nothing is proven then. */
  readonly maxStates?: number
}

export interface Check {
  readonly world: HandoffWorld
  readonly exploration: Exploration<HandoffState>
  /** Complete, nothing violated, nothing unseen. */
  readonly holds: boolean
  readonly violations: readonly Violation[]
}

export function checkHandoff(options: WorldOptions, how: CheckOptions = {}): Check {
  const world = createHandoffWorld(options)
  const exploration = explore(world, {
    properties: [...handoffInvariants(world), ...handoffSightings(world)],
    ...(how.now && { now: how.now }),
    ...(how.onProgress && { onProgress: how.onProgress }),
    ...(how.maxStates !== undefined && { limits: { states: how.maxStates } }),
  })
  const { complete, violations, unwitnessed } = exploration
  return { world, exploration, violations, holds: complete && violations.length === 0 && unwitnessed.length === 0 }
}

/** The full set: what `npm run check` explores, smallest first. */
export const CHECKS: Readonly<Record<string, WorldOptions>> = {
  undisturbed: { swaps: 2 },
  'one fault': { swaps: 2, faults: 1, restarts: 1, probation: true },
  'one fault, no probation': { swaps: 2, faults: 1, restarts: 1 },
  'one fault, no resume hook': { swaps: 2, faults: 1, restarts: 1, probation: true, canResume: false },
  'one fault, deadlines in any order': { swaps: 2, faults: 1, restarts: 1, probation: true, t1: false },
  'one fault, an operator who stops, leaves or cancels': { swaps: 1, faults: 1, restarts: 1, orders: 1 },
  'one fault by a peer that breaks the protocol, or by a hand from outside': {
    swaps: 2,
    faults: 1,
    restarts: 1,
    probation: true,
    faultKinds: OUTSIDE_FAULT_KINDS,
  },
  'one fault, a rehearsal': { swaps: 1, faults: 1, restarts: 1, rehearsals: 1 },
  'any timer at any time': { swaps: 1, timers: 'free', probation: true, t1: false, slots: 7 },
  'any timer, also before frames': { swaps: 1, timers: 'reckless', probation: true, slots: 7 },
  'two faults': { swaps: 2, faults: 2, restarts: 2, probation: true },
  'a connection': { swaps: 2, connections: 1 },
  'two connections': { swaps: 1, connections: 2 },
  'a connection, one fault': { swaps: 2, faults: 1, restarts: 1, probation: true, connections: 1 },
  'a connection, one fault, no probation': { swaps: 2, faults: 1, restarts: 1, connections: 1 },
  'a connection, one fault by a peer that breaks the protocol, or by a hand from outside': {
    swaps: 1,
    faults: 1,
    restarts: 1,
    probation: true,
    connections: 1,
    faultKinds: OUTSIDE_FAULT_KINDS,
  },
  // With every kind of fault, or with two swaps, two faults are out of reach of some minutes.
  'a connection, one swap, two faults: kills and hooks that fail': {
    swaps: 1,
    faults: 2,
    restarts: 1,
    connections: 1,
    faultKinds: ['kill', 'hookError'],
  },
  'one fault, any timer at any time': { swaps: 1, faults: 1, restarts: 1, timers: 'free', slots: 7 },
}

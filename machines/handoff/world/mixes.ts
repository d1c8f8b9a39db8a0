/**
 * Mixed versions: our roles beside those of the original. What cannot hold there is said here with its reason, and must have
 * its counterexample: a list that no longer fits is as wrong as a broken promise.
 */
import { type Exploration, explore, type Violation } from '../../explore/index.js'
import { incumbentMachine } from '../incumbent.machine.js'
import { handoffInvariants, mixedSightings } from '../invariants.js'
import { successorMachine } from '../successor.machine.js'
import type { CheckOptions } from './check.js'
import { createHandoffWorld, type HandoffWorld } from './handoff-world.js'
import type { WorldOptions } from './options.js'
import { REFERENCE } from './reference/index.js'
import type { HandoffState } from './state.js'

/** `INV-12 committed, but it does not serve`: the guarantee, and how it breaks where it can break in several ways. */
type Breach = string

export interface Mix {
  readonly options: WorldOptions
  /** Each breach with the habit of the original that leads to it. */
  readonly cannotHold: Readonly<Record<Breach, string>>
}

const bounds: WorldOptions = { swaps: 2, faults: 1, restarts: 1, slots: 7 }
const { supervisor, swap, incumbent, successor } = REFERENCE
const oldSupervisor = { supervisor, swap }
const oldPrimitive = { incumbent, successor }
const ourPrimitive = { incumbent: incumbentMachine, successor: successorMachine }

const DRAIN_MUTE = 'X5: an incumbent whose drain fails stays mute, and answers on the control path all the same'
const LATE_RESUME = 'X2: an incumbent that is told to resume goes on in memory, after its successor has written'

/** What a supervisor of the original brings into any service, whatever it supervises. */
const BY_OLD_SUPERVISOR = {
  'INV-06 eventually': 'gap-17: every error of a swap leaves its journal',
  'INV-06 a process is left behind': 'nobody ends the incumbent of an earlier swap that outlives its Commit',
  'INV-07 edge': 'gap-08, X12: restarted beside a living primitive it finds the address taken, and ends',
  'INV-07 eventually': 'it starts nobody again, so it may end up with nobody',
  'INV-08 eventually': 'it neither starts again who died nor ends who hangs',
  'INV-09 edge': 'gap-09, X9: committed is reported before the path leads to the successor',
  'INV-12 committed, but it does not serve': 'gap-09, X3, X4: the same, and nobody looks whether it ever does',
  'INV-12 rolledBack, but it does not serve': 'reported when ResumeAfterAbort is written, not when somebody serves',
  'INV-13 edge': 'gap-23: the incumbent is committed on the word Ready alone',
} as const

/** And the primitives of the original under a supervisor of ours. */
const BY_OLD_PRIMITIVES = {
  'INV-03 edge': LATE_RESUME,
  'INV-07 eventually': DRAIN_MUTE,
  'INV-08 eventually': 'X13: drained or sealed it waits for its supervisor without a limit; X5 as well',
  'INV-10 eventually': DRAIN_MUTE,
  'INV-12 rolledBack, but it does not serve': 'X5: its Hello on the control path is no proof of service',
} as const

export const MIXES: Readonly<Record<string, Mix>> = {
  'a reference supervisor, our primitives': {
    options: { ...bounds, cast: oldSupervisor },
    cannotHold: BY_OLD_SUPERVISOR,
  },
  'our supervisor, reference primitives': {
    options: { ...bounds, cast: oldPrimitive },
    cannotHold: BY_OLD_PRIMITIVES,
  },
  'our supervisor, our primitive first, then theirs, then ours': {
    options: { ...bounds, otherBuild: oldPrimitive },
    cannotHold: BY_OLD_PRIMITIVES,
  },
  'our supervisor, their primitive first, then ours, then theirs': {
    options: { ...bounds, cast: oldPrimitive, otherBuild: ourPrimitive },
    cannotHold: BY_OLD_PRIMITIVES,
  },
  'a reference supervisor, our primitive first, then theirs, then ours': {
    options: { ...bounds, cast: oldSupervisor, otherBuild: oldPrimitive },
    cannotHold: { ...BY_OLD_SUPERVISOR, 'INV-10 eventually': DRAIN_MUTE },
  },
  'the original alone': {
    options: { ...bounds, cast: REFERENCE },
    cannotHold: {
      ...BY_OLD_SUPERVISOR,
      'INV-03 edge': LATE_RESUME,
      'INV-10 eventually': DRAIN_MUTE,
    },
  },
}

export interface MixCheck {
  readonly world: HandoffWorld
  readonly exploration: Exploration<HandoffState>
  /** Complete, swaps commit and roll back, and what is broken is what cannot hold: no more and no less. */
  readonly holds: boolean
  readonly broken: readonly Breach[]
  /** Broken although nothing says that it cannot hold. */
  readonly unexpected: readonly Violation[]
  /** Said to be impossible, and yet it holds. */
  readonly outdated: readonly Breach[]
}

export function checkMix({ options, cannotHold }: Mix, how: CheckOptions = {}): MixCheck {
  const world = createHandoffWorld(options)
  const exploration = explore(world, {
    properties: [...handoffInvariants(world), ...mixedSightings(world)],
    ...(how.now && { now: how.now }),
    ...(how.onProgress && { onProgress: how.onProgress }),
  })
  const { complete, violations, unwitnessed } = exploration
  const broken = [...new Set(violations.map(breachOf))].sort()
  const unexpected = violations.filter((violation) => !(breachOf(violation) in cannotHold))
  const outdated = Object.keys(cannotHold).filter((breach) => !broken.includes(breach))
  const holds = complete && unexpected.length + outdated.length + unwitnessed.length === 0
  return { world, exploration, holds, broken, unexpected, outdated }
}

function breachOf({ property, kind, detail }: Violation): Breach {
  const how = detail ?? (kind === 'edge' || kind === 'always' ? kind : 'eventually')
  return `${property} ${how}`
}

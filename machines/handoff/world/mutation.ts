/** Every single decision of a role's machine taken away or turned round, and the world asked whether it notices. */
import { explore, type Mutant, type MutationReport, mutants, runMutants } from '../../explore/index.js'
import { incumbentMachine } from '../incumbent.machine.js'
import { handoffInvariants, handoffSightings } from '../invariants.js'
import { successorMachine } from '../successor.machine.js'
import { supervisorMachine } from '../supervisor.machine.js'
import { swapMachine } from '../swap.machine.js'
import { createHandoffWorld } from './handoff-world.js'
import type { Cast, WorldOptions } from './options.js'
import type { HandoffState } from './state.js'

/** Small enough for some thousand explorations, large enough for every fault in every phase. */
export const MUTATION_BOUNDS: WorldOptions = { swaps: 1, faults: 1, restarts: 1 }

const ROLES = {
  supervisor: supervisorMachine,
  swap: swapMachine,
  incumbent: incumbentMachine,
  successor: successorMachine,
} as const satisfies Cast

export interface MutationRun {
  readonly bounds?: WorldOptions
  readonly onProgress?: (at: number, of: number, mutant: Mutant) => void
}

export interface RoleReport extends MutationReport {
  /** Not tried: they change what a person is told (codes, statuses, signs of life), not what is decided. */
  readonly told: readonly string[]
  /** Not tried: no state of this world leads there. Mostly answers to peers that break the protocol. */
  readonly unreached: readonly string[]
}

/** What only people and heartbeats see; golden transcripts pin it. */
const TOLD = /^(noteFailure|noteExit|recordUnexpected|refuseSwap|startHeartbeat|stopHeartbeat|noteOpenConnections)$/

export function mutateRole(role: keyof Cast, run: MutationRun = {}): RoleReport {
  const bounds = run.bounds ?? MUTATION_BOUNDS
  const covered = new Set(explore(createHandoffWorld(bounds)).coverage.covered)
  const told: string[] = []
  const unreached: string[] = []
  const tried = mutants(ROLES[role] as never, role).filter((mutant: Mutant) => {
    if (isTold(mutant)) told.push(mutant.id)
    else if (!isReached(mutant, covered)) unreached.push(mutant.id)
    else return true
    return false
  })
  const report = runMutants<HandoffState, Mutant>({
    mutants: tried,
    worldWith: (mutant) => {
      const world = createHandoffWorld(mutant === undefined ? bounds : { ...bounds, cast: { [role]: mutant.build() } })
      const properties = [...handoffInvariants(world), ...handoffSightings(world)]
      // A mutant that never ends is stopped at several times the size of the original.
      return { world, options: { properties, limits: { states: 100_000 } } }
    },
    ...(run.onProgress && { onProgress: ({ at, of, mutant }) => run.onProgress?.(at, of, mutant) }),
  })
  return { ...report, told, unreached }
}

/** `<place>: <kind> <action>[<at>] <action>`: all of them only tell. */
function isTold({ id, kind, place }: Mutant): boolean {
  if (kind !== 'dropAction' && kind !== 'swapActions') return false
  const actions = id.slice(`${place}: ${kind} `.length).split(' ')
  const isTelling = (action: string) => TOLD.test(action.replace(/\[\d+\]$/, ''))
  return kind === 'swapActions' ? actions.some(isTelling) : actions.every(isTelling)
}

function isReached({ id, kind, place }: Mutant, covered: ReadonlySet<string>): boolean {
  if (kind === 'dropTimer') return covered.has(`${place} after(${id.split(' ').at(-1)}) #0`)
  return covered.has(place.replace(/ (entry|exit)$/, ''))
}

/**
 * Every single decision of a role's machine taken away or turned round, and somebody has to notice: the machine's own
 * contract, alone against everything, or the guarantees of the whole composed world.
 */
import {
  aloneWorld,
  behaveAlike,
  type Mutant,
  type MutationReport,
  type MutationTrial,
  mutants,
  type RoleContract,
  runMutants,
  type Shows,
} from '../explore/index.js'
import {
  greetingContract,
  incumbentContract,
  successorContract,
  supervisorContract,
  swapContract,
} from './contracts/index.js'
import { EQUIVALENT } from './equivalent.js'
import { handoffInvariants, handoffSightings } from './invariants.js'
import type { SupervisorContext } from './supervisor.machine.js'
import { createHandoffWorld } from './world/handoff-world.js'
import { OUTSIDE_FAULT_KINDS, type WorldOptions } from './world/options.js'

const CONTRACTS = {
  supervisor: supervisorContract,
  swap: swapContract,
  incumbent: incumbentContract,
  successor: successorContract,
  greeting: greetingContract,
} as unknown as Readonly<Record<MutatedRole, RoleContract<never, unknown>>>

export const MUTATED_ROLES = ['supervisor', 'swap', 'incumbent', 'successor', 'greeting'] as const
export type MutatedRole = (typeof MUTATED_ROLES)[number]

/** Small first: most of what the contracts cannot see shows without a fault, or with one. Whatever a world may hold is in one. */
export const MUTATION_WORLDS: readonly WorldOptions[] = [
  { swaps: 1 },
  { swaps: 1, rehearsals: 1, orders: 1 },
  { swaps: 2, connections: 1 },
  { swaps: 1, faults: 1, restarts: 1 },
  { swaps: 1, orders: 1, restarts: 1 },
  { swaps: 1, faults: 1, restarts: 1, faultKinds: OUTSIDE_FAULT_KINDS },
  { swaps: 2, faults: 1, restarts: 1, probation: true, canResume: false },
]

export interface MutationRun {
  /** Only mutants whose id contains this. */
  readonly only?: string
  readonly onProgress?: (at: number, of: number, mutant: Mutant) => void
}

export function mutateRole(role: MutatedRole, { only, onProgress }: MutationRun = {}): MutationReport {
  const contract = CONTRACTS[role]
  const { machine, alphabet } = contract
  const chosen = mutants(machine as never, role).filter(({ id }) => only === undefined || id.includes(only))
  const listed = Object.entries(EQUIVALENT[role] ?? {}).filter(([id]) => only === undefined || id.includes(only))
  return runMutants<never, Mutant>({
    mutants: chosen,
    equivalent: Object.fromEntries(listed),
    isSame: (mutant) => behaveAlike(machine, mutant.build(), alphabet, shows),
    worldWith: (mutant) => {
      const played = mutant?.build() ?? machine
      const alone = (): MutationTrial<never> => {
        const world = aloneWorld(contract, played)
        // A mutant that never ends is stopped at several times the size of the original.
        return {
          name: 'contract',
          world,
          options: { properties: world.properties, limits: { states: 60_000 } },
        } as never
      }
      const composed = MUTATION_WORLDS.map((bounds) => (): MutationTrial<never> => {
        const world = createHandoffWorld({ ...bounds, cast: { [role]: played } })
        const properties = [...handoffInvariants(world), ...handoffSightings(world)]
        return { name: 'world', world, options: { properties, limits: { states: 150_000 } } } as never
      })
      // The greeting machine has no part of its own in the cast: its contract says everything.
      return role === 'greeting' ? [alone] : [alone, ...composed]
    },
    ...(onProgress && { onProgress: ({ at, of, mutant }) => onProgress(at, of, mutant) }),
  })
}

/** What a door or an operator reads of a snapshot, besides its effects and its output. */
const shows: Shows = (view) => {
  const { primitivePid, failure, failures } = view.context as Partial<SupervisorContext>
  const isSupervisor = primitivePid !== undefined
  const passes = ['serving', 'pausing', { starting: 'confirming' }, { pausing: 'crashLooping' }]
  return [
    [...view.tags].sort(),
    isSupervisor
      ? [primitivePid, failure ?? null, (failures ?? 0) > 0, passes.map((value) => view.matches(value))]
      : [],
  ]
}

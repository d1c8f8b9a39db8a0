/** Every single decision of the broker's machines taken away or turned round, and its world asked whether it notices. */
import { explore, type KilledMutant, type Mutant, mutants, runMutants, type SurvivingMutant } from '../explore/index.js'
import { backendMachine } from './backend.machine.js'
import { clientMachine } from './client.machine.js'
import { connectionMachine } from './connection.machine.js'
import { brokerProperties } from './invariants.js'
import type { BrokerWorldState } from './kernel.js'
import { type BrokerWorldOptions, createBrokerWorld } from './world.js'

/** One after the other: only what one does not notice is tried in the next. Timers fire at any moment without any fault. */
export const BROKER_MUTATION_BOUNDS: readonly BrokerWorldOptions[] = [{ faults: 0 }]

/** Machine, and the prefix that its places bear in the world's coverage. */
const ROLES = {
  connection: { machine: connectionMachine, name: 'connection' },
  backend: { machine: backendMachine, name: 'offer' },
  client: { machine: clientMachine, name: 'client' },
} as const
export type BrokerRole = keyof typeof ROLES
export const BROKER_ROLES = Object.keys(ROLES) as BrokerRole[]

/** A mutant that never ends is stopped at twice the size of the original. */
const MOST_STATES = 160_000

export interface BrokerRoleReport {
  /** Noticed, out of those that could be tried. */
  readonly score: number
  readonly killed: readonly KilledMutant[]
  readonly survived: readonly SurvivingMutant[]
  /** Not tried: they change what is told about an end, not what is decided. */
  readonly told: readonly string[]
  /** Not tried: no state of these worlds leads there. */
  readonly unreached: readonly string[]
}

export interface BrokerMutationRun {
  readonly bounds?: readonly BrokerWorldOptions[]
  readonly onProgress?: (at: number, of: number) => void
}

export function mutateBrokerRole(role: BrokerRole, run: BrokerMutationRun = {}): BrokerRoleReport {
  const { machine, name } = ROLES[role]
  const killed: KilledMutant[] = []
  let survived: readonly SurvivingMutant[] = []
  const all = mutants(machine as never, name) as Mutant[]
  const told = all.filter(isTold)
  let left = all.filter((mutant) => !isTold(mutant))
  let untried = left
  for (const bounds of run.bounds ?? BROKER_MUTATION_BOUNDS) {
    const seen = new Set(explore(createBrokerWorld(bounds)).coverage.covered)
    const tried = left.filter((mutant) => isReached(mutant, seen))
    const report = tryIn(bounds, role, tried, run)
    killed.push(...report.killed)
    const dead = new Set(report.killed.map(({ id }) => id))
    const reached = new Set(tried)
    untried = untried.filter((mutant) => !reached.has(mutant))
    left = left.filter(({ id }) => !dead.has(id))
    const now = new Set(report.survived.map(({ id }) => id))
    survived = [...survived.filter(({ id }) => !dead.has(id) && !now.has(id)), ...report.survived]
  }
  const counted = killed.length + survived.length
  return {
    score: counted === 0 ? 1 : killed.length / counted,
    killed,
    survived,
    told: told.map(({ id }) => id),
    unreached: untried.map(({ id }) => id),
  }
}

function tryIn(bounds: BrokerWorldOptions, role: BrokerRole, tried: readonly Mutant[], run: BrokerMutationRun) {
  return runMutants<BrokerWorldState, Mutant>({
    mutants: tried,
    worldWith: (mutant) => {
      const machines = mutant === undefined ? {} : { machines: { [role]: mutant.build() } }
      const world = createBrokerWorld({ ...bounds, ...machines })
      return { world, options: { properties: brokerProperties(world), limits: { states: MOST_STATES } } }
    },
    ...(run.onProgress && { onProgress: ({ at, of }) => run.onProgress?.(at, of) }),
  })
}

const isTold = ({ id, kind }: Mutant): boolean =>
  kind === 'dropAction' && /^note(Failure|Fault|Route)\[/.test(id.split(' ').at(-1) as string)

function isReached({ id, kind, place }: Mutant, covered: ReadonlySet<string>): boolean {
  if (kind === 'dropTimer') return covered.has(`${place} after(${id.split(' ').at(-1)}) #0`)
  return covered.has(place.replace(/ (entry|exit)$/, ''))
}

/** The scenarios that are drawn: what breaks, where, and when the story is over. Everything between is the model's. */
import {
  createHandoffWorld,
  type HandoffState,
  type HandoffWorld,
  type WorldOptions,
  whoAnswers,
} from '../../../machines/handoff/world/index.js'
import type { Milestone } from './walk.js'

export interface Scenario {
  readonly name: string
  readonly says: string
  readonly options: WorldOptions
  /** The phase of the swap in which the chart begins; what comes before is as in a swap that goes well. */
  readonly since?: string
  /** The step that breaks something: in which phase of the swap, and of the process that is at work then. */
  readonly fault?: {
    readonly step: string
    readonly in: string
    readonly while?: readonly [who: 'A' | 'B', phase: string]
  }
  readonly secondFault?: Scenario['fault']
  /** Who serves in the end: A was there first, B is the successor. */
  readonly serves: 'A' | 'B'
}

const A = 0
const B = 1
const SLOTS = { A, B } as const

export const SCENARIOS: readonly Scenario[] = [
  { name: 'committed', says: 'a swap that goes well', options: {}, serves: 'B' },
  {
    name: 'successor-dies',
    says: 'the successor is killed while it opens, the incumbent opens its state again',
    options: { faults: 1, faultKinds: ['kill'] },
    since: 'sealing',
    fault: { step: 'kill:B', in: 'opening', while: ['B', 'opening'] },
    serves: 'A',
  },
  {
    name: 'seal-fails',
    says: 'the seal hook fails, nothing was released, the incumbent resumes',
    options: { faults: 1, faultKinds: ['hookError'] },
    since: 'draining',
    fault: { step: 'A:seal:fails', in: 'sealing' },
    serves: 'A',
  },
  {
    name: 'successor-behind',
    says: 'the successor opens older data than was sealed and is ended before it serves',
    options: { faults: 1, faultKinds: ['badReady'] },
    since: 'sealing',
    fault: { step: 'B:openState:behind', in: 'opening' },
    serves: 'A',
  },
  {
    name: 'verify-fails',
    says: 'the successor was ready, but never answers on the control path',
    options: { faults: 1, faultKinds: ['io'] },
    since: 'opening',
    fault: { step: 'B:publishControl:fails', in: 'verifying' },
    serves: 'A',
  },
  {
    name: 'probation-reverses',
    says: 'the successor is killed in probation, the sealed incumbent is back without a process start',
    options: { faults: 1, faultKinds: ['kill'], probation: true },
    since: 'opening',
    fault: { step: 'kill:B', in: 'probation' },
    serves: 'A',
  },
  {
    name: 'failover',
    says: 'the incumbent is killed while it seals, the waiting successor takes over',
    options: { faults: 1, faultKinds: ['kill'] },
    since: 'draining',
    fault: { step: 'kill:A', in: 'sealing', while: ['A', 'sealing'] },
    serves: 'B',
  },
  supervisorDies('preparing', 'journaling', ['awaitingSuccessor', 'B', 'preparing'], 'A'),
  supervisorDies('draining', 'draining', ['draining', 'A', 'draining'], 'A'),
  supervisorDies('sealing', 'sealing', ['sealing', 'A', 'sealing'], 'A'),
  supervisorDies('opening', 'sealing', ['opening', 'B', 'opening'], 'B'),
  supervisorDies('verifying', 'opening', ['verifying', 'B', 'ready'], 'B'),
  {
    ...supervisorDies('probation', 'opening', ['probation', 'B', 'serving'], 'B'),
    options: { faults: 1, restarts: 1, faultKinds: ['kill'], probation: true },
  },
  {
    name: 'supervisor-dies-undoing',
    says: 'the supervisor is killed while it ends an unhealthy successor, the incumbent goes on',
    options: { faults: 2, restarts: 1, faultKinds: ['kill', 'badReady'] },
    since: 'opening',
    fault: { step: 'B:openState:unhealthy', in: 'opening' },
    secondFault: { step: 'kill:S', in: 'endingSuccessor', while: ['B', 'exiting'] },
    serves: 'A',
  },
]

function supervisorDies(
  name: string,
  since: string,
  [phase, ...working]: readonly [phase: string, who: 'A' | 'B', working: string],
  serves: 'A' | 'B',
): Scenario {
  const outcome = serves === 'A' ? 'the incumbent goes on' : 'the successor goes live'
  return {
    name: `supervisor-dies-${name}`,
    says: `the supervisor is killed while the ${working[0] === 'A' ? 'incumbent' : 'successor'} is ${working[1]}, ${outcome}`,
    options: { faults: 1, restarts: 1, faultKinds: ['kill'] },
    since,
    fault: { step: 'kill:S', in: phase, while: working },
    serves,
  }
}

/** The scenario's world, and the way through it: from the swap's request on it is the story. */
export function milestonesOf({ options, since, fault, secondFault, serves }: Scenario): {
  readonly world: HandoffWorld
  readonly milestones: readonly Milestone<HandoffState>[]
} {
  const world = createHandoffWorld({ swaps: 1, ...options })
  const { players } = world
  const isSettled = (slot: number) => (state: HandoffState) => {
    const { life, machine, outbox, swap } = state.supervisor
    const others = state.primitives.filter((primitive, at) => at !== slot && primitive?.life === 'running')
    return (
      whoAnswers(state, players) === slot &&
      life === 'running' &&
      outbox === 0 &&
      swap === -1 &&
      others.length === 0 &&
      players.supervisor.stepper.view(machine).matches('serving')
    )
  }
  const breaks = (one: Scenario['fault']): Milestone<HandoffState>[] => {
    if (one === undefined) return []
    const [who, working] = one.while ?? ['A', null]
    const when = (state: HandoffState) =>
      phaseOf(world, state) === one.in && (working === null || workOf(world, state, SLOTS[who]) === working)
    return [{ step: one.step, when }]
  }
  return {
    world,
    milestones: [
      { when: isSettled(A) },
      { step: 'swap.requested', when: () => true },
      { when: (state) => since === undefined || phaseOf(world, state) === since },
      ...breaks(fault),
      ...breaks(secondFault),
      { when: isSettled(SLOTS[serves]) },
    ],
  }
}

/** The milestone behind which the chart begins. */
export const beginOf = ({ since }: Scenario): number => (since === undefined || since === 'journaling' ? 0 : 2)

/** The phase of the running swap, or null: `draining`, `endingSuccessor`, `committed`. */
export function phaseOf({ players }: HandoffWorld, { supervisor }: HandoffState): string | null {
  return supervisor.swap === -1 ? null : phase(players.swap.stepper.view(supervisor.swap).value)
}

/** Names of states that only hold others. */
const FRAMES = new Set(['attempting', 'undoing', 'waiting', 'taking'])

export function phase(value: unknown): string {
  if (typeof value === 'string') return value
  const [name, inner] = Object.entries(value as Record<string, unknown>)[0] ?? ['', '']
  return FRAMES.has(name) ? phase(inner) : name
}

/** What a primitive is at: `draining`, `opening`, `serving`. */
export function workOf({ players }: HandoffWorld, { primitives }: HandoffState, slot: number): string | null {
  const primitive = primitives[slot]
  return primitive?.life === 'running' ? phase(players[primitive.role].stepper.view(primitive.machine).value) : null
}

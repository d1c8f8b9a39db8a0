/** What every part of the broker's world works with: the machines as tables, questions about them, and one step of one. */
import type { AnyEventObject } from 'xstate'
import type { Effect } from '../explore/effects.js'
import { createMachineStepper, type MachineStepper, type Stepped } from '../explore/machine-stepper.js'
import type { Step, StepKind } from '../explore/world.js'
import { backendMachine } from './backend.machine.js'
import { clientMachine } from './client.machine.js'
import { connectionMachine } from './connection.machine.js'
import type { BrokerWorldState, Call, Proc, Role } from './kernel.js'
import { DEFAULT_BROKER_POLICY } from './policy.js'

export interface BrokerWorldOptions {
  /** How many things may break. Default 1. */
  readonly faults?: number
  /** The service greets first, as SMTP or MySQL do (W3). Default false. */
  readonly serverSpeaksFirst?: boolean
  /** The client sends its request right behind Hello. Default false. */
  readonly pipelines?: boolean
  /** Calls that may block for ever, one at a time; null is none. Default: none. See {@link CALLS}. */
  readonly stalls?: readonly (Call | null)[]
  /** Roles that may be killed. Default: all. */
  readonly mortal?: readonly Role[]
  /** Changed machines, to see what a decision is good for. */
  readonly machines?: {
    readonly connection?: typeof connectionMachine
    readonly backend?: typeof backendMachine
    readonly client?: typeof clientMachine
  }
}

type State = BrokerWorldState
export type Steps = Generator<Step<State>>

export const CALLS: readonly Call[] = [
  'dialCached',
  'dialBroker',
  'dialHandoff',
  'dialPipe',
  'reply',
  'transfer',
  'ack',
]
export const ROLES: readonly Role[] = ['client', 'broker', 'backend']
export const NONE: readonly string[] = []

export interface Steppers {
  readonly client: MachineStepper<typeof clientMachine>
  readonly broker: MachineStepper<typeof connectionMachine>
  readonly backend: MachineStepper<typeof backendMachine>
}

export type WorldContext = ReturnType<typeof createWorldContext>

export function createWorldContext(options: BrokerWorldOptions) {
  const { machines = {} } = options
  const steppers: Steppers = {
    client: createMachineStepper(machines.client ?? clientMachine, { name: 'client' }),
    broker: createMachineStepper(machines.connection ?? connectionMachine, { name: 'connection' }),
    backend: createMachineStepper(machines.backend ?? backendMachine, { name: 'offer' }),
  }
  const policy = DEFAULT_BROKER_POLICY

  const begin = (role: 'broker' | 'backend'): Stepped => {
    return role === 'broker' ? steppers.broker.start({ policy, id: 0 }) : steppers.backend.start({ policy, id: 0 })
  }
  const isIn = (state: State, role: Role, value: string | object): boolean => {
    const { machine } = state[role]
    return machine !== null && steppers[role].view(machine).matches(value as never)
  }
  const hasTag = (state: State, role: Role, tag: string): boolean => {
    const { machine } = state[role]
    return machine !== null && steppers[role].view(machine).hasTag(tag)
  }

  /** Takes a machine's effects over: timers at once, the rest one by one. */
  function absorb(proc: Proc, stepped: Stepped): Proc {
    let { timers } = proc
    const outbox: Effect[] = [...proc.outbox]
    for (const effect of stepped.effects) {
      if (effect.kind === 'armTimer') timers = [...timers, { id: effect.id, event: effect.event }]
      else if (effect.kind === 'disarmTimer') timers = timers.filter(({ id }) => id !== effect.id)
      else outbox.push(effect)
    }
    return { ...proc, machine: stepped.snapshot, outbox, timers }
  }

  function deliver(state: State, role: Role, event: AnyEventObject): [State, readonly string[]] {
    const proc = state[role]
    if (!proc.alive || proc.machine === null) return [state, NONE]
    const stepped = (steppers[role] as MachineStepper<never>).send(proc.machine, event as never)
    return [{ ...state, [role]: absorb(proc, stepped) }, stepped.covers]
  }

  function step(label: string, kind: StepKind, state: State, role: Role, event?: AnyEventObject): Step<State> {
    if (event === undefined) return { label, kind, next: state }
    const [next, covers] = deliver(state, role, event)
    return { label, kind, next, covers }
  }

  return {
    faults: options.faults ?? 1,
    serverSpeaksFirst: options.serverSpeaksFirst ?? false,
    pipelines: options.pipelines ?? false,
    mortal: options.mortal ?? ROLES,
    stalls: options.stalls ?? [null],
    policy,
    steppers,
    begin,
    isIn,
    hasTag,
    absorb,
    step,
  }
}

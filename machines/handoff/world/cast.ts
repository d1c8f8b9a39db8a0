/** The machines of a world as tables, and the numbers under which effects, actors and messages travel in its state. */
import type { AnyStateMachine } from 'xstate'
import {
  createInterner,
  createMachineStepper,
  type Effect,
  type MachineStepper,
  restOf,
  type SnapshotId,
  type StartEffect,
  type Stepped,
} from '../../explore/index.js'
import { greetingMachine } from '../greeting.machine.js'
import { incumbentMachine } from '../incumbent.machine.js'
import { DEFAULT_POLICY, type Policy } from '../policy.js'
import { successorMachine } from '../successor.machine.js'
import { supervisorMachine } from '../supervisor.machine.js'
import { swapMachine } from '../swap.machine.js'
import type { Cast, Settings, WorldOptions } from './options.js'
import { NONE } from './slot.js'
import type { Primitive } from './state.js'

/** A machine whose event types are not known here: worlds send what the tables say. */
export type Stepper = MachineStepper<AnyStateMachine>

/** What a world asks about a snapshot, looked up once. */
export interface Facts {
  readonly active: boolean
  readonly live: boolean
  readonly accepting: boolean
  /** It greets on the control path although it may not serve, and nobody while a session is open (reference). */
  readonly oneSession: boolean
  readonly greets: boolean
  readonly timers: readonly Timer[]
}

export interface Timer {
  readonly event: { readonly type: string }
  /** `lockPollMs@reclaiming.waiting` */
  readonly name: string
  readonly delay: string
}

export interface Player {
  readonly stepper: Stepper
  facts(snapshot: SnapshotId): Facts
}

export type Job = Pick<StartEffect, 'id' | 'src' | 'input'>

/** A step of a machine, taken apart: what the world sees happen, and what runs afterwards. */
export interface Turn {
  readonly snapshot: SnapshotId
  readonly covers: readonly string[]
  /** From the first effect that others can notice on, as a number. */
  readonly outbox: number
  /** What only this process notices, before that: executed at once, since a crash before and after it is the same. */
  readonly local: readonly Effect[]
}

const UNNOTICED = new Set([
  'startHeartbeat',
  'stopHeartbeat',
  'recordUnexpected',
  'refuseSwap',
  'watchSuccessor',
  'reportRehearsal',
])
/** Where there are no connections. */
const ABOUT_CONNECTIONS = new Set(['takeConnectionsBack', 'adoptConnections'])
const OWN_BUSINESS = new Set([
  'cancelHook',
  'watchPrimitive',
  'retireIncumbent',
  'retireLeftovers',
  'recordJournal',
  'clearJournal',
])

const isOwnBusiness = (effect: Effect): boolean => effect.kind === 'action' && OWN_BUSINESS.has(effect.type)

export function createCast(
  settings: Settings,
  changed: Partial<Cast> = {},
  other: WorldOptions['otherBuild'] = undefined,
) {
  const policy: Policy = {
    ...DEFAULT_POLICY,
    // A second failed start in a row is as good as the eighth.
    crashLoopLimit: settings.crashLoopLimit,
    probationMs: settings.probation ? 30_000 : 0,
  }
  const player = (machine: AnyStateMachine): Player => {
    const stepper = createMachineStepper(machine)
    const known: Facts[] = []
    return {
      stepper,
      facts: (snapshot) => {
        known[snapshot] ??= factsOf(stepper, snapshot)
        return known[snapshot]
      },
    }
  }

  const isNoticed = (type: string): boolean =>
    !UNNOTICED.has(type) && (settings.connections > 0 || !ABOUT_CONNECTIONS.has(type))

  const outboxes: (readonly Effect[])[] = [[]]
  const outboxIds = new WeakMap<readonly Effect[], number>()
  const outboxKeys = new Map<string, number>([['[]', 0]])
  const rests: number[] = [0]
  const turns = new WeakMap<Stepped, Turn>()
  const jobs = createInterner<Job>()
  const messages = createInterner<{ readonly kind: string }>()

  function outboxOf(effects: readonly Effect[]): number {
    let id = outboxIds.get(effects)
    if (id === undefined) {
      const key = JSON.stringify(effects)
      id = outboxKeys.get(key)
      if (id === undefined) {
        id = outboxes.length
        outboxes.push(effects)
        outboxKeys.set(key, id)
      }
      outboxIds.set(effects, id)
    }
    return id
  }

  const turnOf = (stepped: Stepped): Turn => {
    let turn = turns.get(stepped)
    if (turn === undefined) {
      const { effects } = stepped
      const actions = effects.filter((effect) => effect.kind === 'action' && isNoticed(effect.type))
      const noticed = actions.findIndex((effect) => !isOwnBusiness(effect))
      const first = noticed === -1 ? actions.length : noticed
      turn = {
        snapshot: stepped.snapshot,
        covers: stepped.covers,
        outbox: outboxOf(actions.slice(first)),
        local: [
          ...actions.slice(0, first),
          ...effects.filter(({ kind }) => kind === 'stop'),
          ...effects.filter(({ kind }) => kind === 'start'),
        ],
      }
      turns.set(stepped, turn)
    }
    return turn
  }

  const first = {
    incumbent: player(changed.incumbent ?? incumbentMachine),
    successor: player(changed.successor ?? successorMachine),
  }
  const builds = other ? [first, { incumbent: player(other.incumbent), successor: player(other.successor) }] : [first]

  return {
    policy,
    supervisor: player(changed.supervisor ?? supervisorMachine),
    swap: player(changed.swap ?? swapMachine),
    ...first,
    greeting: player(greetingMachine),
    /** The machine that a primitive runs. */
    playerOf: ({ build, role }: Pick<Primitive, 'build' | 'role'>): Player => (builds[build] ?? first)[role],
    builds,
    turnOf,
    isOwnBusiness,
    firstOf: (outbox: number): Effect | undefined => outboxes[outbox]?.[0],
    restOf: (outbox: number): number => {
      rests[outbox] ??= outboxOf(restOf(outboxes[outbox] ?? []))
      return rests[outbox]
    },
    effectsOf: (outbox: number): readonly Effect[] => outboxes[outbox] ?? [],
    jobId: (job: Job): number => jobs.id(job),
    job: (id: number): Job | null => (id === NONE ? null : jobs.value(id)),
    messageId: (message: { readonly kind: string }): number => messages.id(message),
    message: (id: number) => messages.value(id),
  }
}
export type Players = ReturnType<typeof createCast>

function factsOf(stepper: Stepper, snapshot: SnapshotId): Facts {
  const view = stepper.view(snapshot)
  const active = view.status === 'active'
  return {
    active,
    live: (view.output as { live?: boolean } | undefined)?.live === true,
    accepting: active && view.hasTag('accepting'),
    oneSession: active && view.hasTag('oneSession'),
    greets: active && view.hasTag('greets'),
    timers: active ? timersOf(stepper, snapshot) : [],
  }
}

/** Armed timers are those of the active states: every one of them leaves the state that armed it when it fires. */
function timersOf(stepper: Stepper, snapshot: SnapshotId): Timer[] {
  const { id } = stepper.machine
  return stepper
    .descriptors(snapshot)
    .filter((descriptor) => descriptor.startsWith('xstate.after.'))
    .map((type) => {
      const [delay = '', ...node] = type.slice('xstate.after.'.length).split('.')
      return { event: { type }, delay, name: `${delay}@${node.filter((part) => part !== id).join('.')}` }
    })
}

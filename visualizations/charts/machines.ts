/** The machines that are drawn, and the little that their definitions do not say: which part is the way back. */
import type { AnyStateMachine } from 'xstate'
import { backendMachine } from '../../machines/broker/backend.machine.js'
import { breakerMachine } from '../../machines/broker/breaker.machine.js'
import { brokerMachine } from '../../machines/broker/broker.machine.js'
import { clientMachine } from '../../machines/broker/client.machine.js'
import { connectionMachine } from '../../machines/broker/connection.machine.js'
import { DEFAULT_BROKER_POLICY } from '../../machines/broker/policy.js'
import { greetingMachine } from '../../machines/handoff/greeting.machine.js'
import { incumbentMachine } from '../../machines/handoff/incumbent.machine.js'
import { DEFAULT_POLICY } from '../../machines/handoff/policy.js'
import { successorMachine } from '../../machines/handoff/successor.machine.js'
import { supervisorMachine } from '../../machines/handoff/supervisor.machine.js'
import { swapMachine } from '../../machines/handoff/swap.machine.js'

export interface ChartSource {
  readonly name: string
  readonly says: string
  readonly machine: AnyStateMachine
  readonly input: unknown
  /** States, by path, that are the way back from something that went wrong. */
  readonly back: readonly string[]
  /** Groups of top-level states, one below the other in the second column; the others form the first. */
  readonly beside: readonly (readonly string[])[]
  /** Contexts in which delays differ from those of the first one. */
  readonly variants: readonly object[]
}

const policy = DEFAULT_POLICY
const broker = { policy: DEFAULT_BROKER_POLICY, id: 1 }

export const CHARTS: readonly ChartSource[] = [
  {
    name: 'swap',
    says: 'one swap, as the supervisor conducts it',
    machine: swapMachine,
    input: { policy, incumbentPid: 1 },
    back: ['attempting.doubting', 'attempting.doubtingSuccessor', 'undoing', 'rolledBack', 'nobodyServes'],
    beside: [['undoing', 'rolledBack', 'nobodyServes']],
    variants: [],
  },
  {
    name: 'supervisor',
    says: 'holds the listeners, starts the daemon, swaps it, starts it again when it dies',
    machine: supervisorMachine,
    input: { policy },
    back: [
      'recovering.fencing',
      'starting.replacing',
      'starting.ending',
      'pausing',
      'lookingOnceMore',
      'looking',
      'failed',
    ],
    beside: [
      ['pausing', 'lookingOnceMore', 'looking', 'failed'],
      ['stopping', 'stopped'],
    ],
    variants: [{ failures: 1 }, { failures: policy.crashLoopLimit }],
  },
  {
    name: 'incumbent',
    says: 'the process that holds the lock and serves',
    machine: incumbentMachine,
    input: { policy, start: 'cold', canResume: true },
    back: [
      'draining.cancelling',
      'sealing.cancelling',
      'reclaiming',
      'reopening',
      'undoingSeal',
      'resuming',
      'republishing',
    ],
    beside: [
      ['reclaiming', 'undoingSeal', 'reopening', 'resuming', 'republishing'],
      ['stopping', 'closing', 'exiting'],
    ],
    variants: [],
  },
  {
    name: 'successor',
    says: 'the fresh process that takes the daemon over',
    machine: successorMachine,
    input: { policy, deadlineKnown: true },
    back: ['taking.acquiringLock.looking', 'exiting'],
    beside: [['exiting']],
    variants: [{ deadlineKnown: false }],
  },
  {
    name: 'greeting',
    says: 'one connection on the incumbent’s control socket',
    machine: greetingMachine,
    input: { policy },
    back: ['closed'],
    beside: [],
    variants: [],
  },
  {
    name: 'broker',
    says: 'owns the endpoint; every client connection is a child',
    machine: brokerMachine,
    input: broker,
    back: ['serving.pausing', 'serving.pressed'],
    beside: [['draining', 'stopping', 'closed']],
    variants: [],
  },
  {
    name: 'connection',
    says: 'the broker’s side of one client connection',
    machine: connectionMachine,
    input: broker,
    back: ['fallingBack', 'withdrawing'],
    beside: [['fallingBack', 'withdrawing', 'answering', 'closed']],
    variants: [],
  },
  {
    name: 'backend',
    says: 'the backend’s side of one handed-over connection',
    machine: backendMachine,
    input: broker,
    back: ['rejecting', 'dropped'],
    beside: [['rejecting', 'dropped']],
    variants: [],
  },
  {
    name: 'client',
    says: 'one connection to a service, by whichever way works',
    machine: clientMachine,
    input: { policy: DEFAULT_BROKER_POLICY, cached: false },
    back: ['failed'],
    beside: [],
    variants: [],
  },
  {
    name: 'breaker',
    says: 'leaves an endpoint alone after too many failed handoffs',
    machine: breakerMachine,
    input: DEFAULT_BROKER_POLICY,
    back: ['counting.open'],
    beside: [],
    variants: [],
  },
]

/**
 * A swap as the original conducts it (beyond-handoff 0.1.2), for mixed worlds only: the incumbent first, no look at the
 * control path, nothing checked in Ready, and "committed" as soon as Commit is written (gap-09, gap-23).
 */
import { assign, setup } from 'xstate'
import { unboundAction, unboundActor } from '../../../effects.js'
import type { FailureCode } from '../../failures.js'
import type { ToIncumbent, ToSuccessor } from '../../messages.js'
import type { Policy } from '../../policy.js'
import type { JournalPhase } from '../../protocol.js'
import type { SwapEvents, SwapInput } from '../../swap.machine.js'

export interface ReferenceSwapContext {
  readonly policy: Policy
  readonly incumbentPid: number
  readonly successorPid: number | null
  readonly successorGone: boolean
  readonly failure: FailureCode | null
  /** `failed`: an error was returned; it says nothing about who serves. */
  readonly result: 'committed' | 'rolledBack' | 'failed'
}

export const referenceSwapMachine = setup({
  types: {
    context: {} as ReferenceSwapContext,
    events: {} as SwapEvents,
    input: {} as SwapInput,
    output: {} as {
      result: ReferenceSwapContext['result']
      failure: FailureCode | null
      servingPid: number | null
      failover: false
      retiringPid: null
    },
  },
  actors: {
    writeJournal: unboundActor<void, { phase: JournalPhase }>('writeJournal'),
    spawnSuccessor: unboundActor<{ pid: number }>('spawnSuccessor'),
    dialIncumbent: unboundActor<void>('dialIncumbent'),
  },
  actions: {
    sendToIncumbent: unboundAction<ToIncumbent>('sendToIncumbent'),
    sendToSuccessor: unboundAction<ToSuccessor>('sendToSuccessor'),
    closeIncumbentSession: unboundAction('closeIncumbentSession'),
    closeSuccessorChannel: unboundAction('closeSuccessorChannel'),
    signalSuccessor: unboundAction<{ signal: 'SIGTERM' | 'SIGKILL' }>('signalSuccessor'),
    recordJournal: unboundAction<{ phase: JournalPhase }>('recordJournal'),
    clearJournal: unboundAction('clearJournal'),
    noteSuccessor: assign({ successorPid: (_, pid: number) => pid }),
    noteSuccessorGone: assign({ successorGone: true }),
    noteFailure: assign({ failure: (_, code: FailureCode) => code }),
    noteResult: assign({ result: (_, result: ReferenceSwapContext['result']) => result }),
  },
  guards: { isSuccessorGone: ({ context }) => context.successorGone },
  delays: {
    deadlineMs: ({ context }) => context.policy.deadlineMs,
    greetingMs: ({ context }) => context.policy.greetingMs,
    livenessMs: ({ context }) => context.policy.livenessMs,
  },
}).createMachine({
  id: 'referenceSwap',
  context: ({ input }) => ({
    policy: input.policy,
    incumbentPid: input.incumbentPid,
    successorPid: null,
    successorGone: false,
    failure: null,
    result: 'failed',
  }),
  initial: 'dialling',
  // gap-13: noticed only by whoever reads or writes next.
  on: {
    'successor.exited': { actions: 'noteSuccessorGone' },
    'successor.disconnected': { actions: 'noteSuccessorGone' },
  },
  states: {
    dialling: { invoke: { id: 'dialIncumbent', src: 'dialIncumbent', onDone: 'awaitingIncumbent', onError: 'failed' } },
    awaitingIncumbent: {
      on: {
        'incumbent.greeted': {
          target: 'journaling',
          actions: { type: 'sendToIncumbent', params: { kind: 'HelloAck' } },
        },
        'incumbent.disconnected': 'failed',
        'incumbent.violatedProtocol': 'failed',
      },
      after: { greetingMs: 'failed' },
    },
    journaling: {
      invoke: {
        id: 'writeJournal',
        src: 'writeJournal',
        input: { phase: 'negotiating' },
        onDone: 'spawning',
        onError: 'failed',
      },
    },
    spawning: {
      invoke: {
        id: 'spawnSuccessor',
        src: 'spawnSuccessor',
        onDone: {
          target: 'awaitingSuccessor',
          actions: { type: 'noteSuccessor', params: ({ event }) => event.output.pid },
        },
        onError: 'failed',
      },
    },
    awaitingSuccessor: {
      on: {
        'successor.greeted': [
          {
            guard: ({ context, event }) => event.pid === context.successorPid && event.versionOk,
            target: 'draining',
            actions: { type: 'sendToSuccessor', params: { kind: 'HelloAck' } },
          },
          { target: 'abandoning' },
        ],
        'successor.exited': { target: 'failed', actions: 'noteSuccessorGone' },
        'successor.disconnected': { target: 'abandoning', actions: 'noteSuccessorGone' },
        'successor.violatedProtocol': 'abandoning',
      },
      after: { greetingMs: 'abandoning' },
    },
    draining: {
      entry: [
        {
          type: 'sendToIncumbent',
          params: ({ context }) => ({ kind: 'PrepareHandoff', successorPid: context.successorPid ?? 0 }),
        },
        { type: 'recordJournal', params: { phase: 'draining' } },
      ],
      on: {
        'incumbent.drained': 'sealing',
        'incumbent.sealFailed': 'abandoning',
        'incumbent.sealed': 'abandoning',
        'incumbent.greeted': 'abandoning',
        'incumbent.disconnected': 'abandoning',
        'incumbent.violatedProtocol': 'abandoning',
        // Any sign of life restarts the clock (gap-14); the deadline does not cap a drain (gap-10).
        'incumbent.progressed': { target: 'draining.listening' },
      },
      initial: 'listening',
      states: { listening: { after: { livenessMs: '#referenceSwap.abandoning' } } },
    },
    sealing: {
      entry: [
        { type: 'sendToIncumbent', params: { kind: 'SealRequest' } },
        { type: 'recordJournal', params: { phase: 'sealing' } },
      ],
      on: {
        'incumbent.sealed': 'opening',
        'incumbent.sealFailed': {
          target: 'ending',
          actions: { type: 'sendToSuccessor', params: { kind: 'Abort', failure: 'ERR_HANDOFF_SEAL_FAILED' } },
        },
        // X7: a healthy successor is thrown away, and nobody is started in the place of the one that died.
        'incumbent.disconnected': 'abandoning',
        'incumbent.drained': 'abandoning',
        'incumbent.greeted': 'abandoning',
        'incumbent.violatedProtocol': 'abandoning',
        'incumbent.progressed': { target: 'sealing.listening' },
      },
      initial: 'listening',
      states: { listening: { after: { livenessMs: '#referenceSwap.abandoning' } } },
    },
    opening: {
      entry: [
        { type: 'sendToSuccessor', params: { kind: 'Begin' } },
        { type: 'recordJournal', params: { phase: 'awaitingReady' } },
      ],
      always: { guard: 'isSuccessorGone', target: 'resuming' },
      on: {
        // gap-23: healthy or not, behind or not.
        'successor.becameReady': 'committed',
        'successor.exited': { target: 'resuming', actions: 'noteSuccessorGone' },
        'successor.disconnected': { target: 'ending', actions: 'noteSuccessorGone' },
        'successor.greeted': 'ending',
        'successor.violatedProtocol': 'ending',
        'successor.progressed': { target: 'opening.listening' },
      },
      initial: 'listening',
      states: { listening: { after: { livenessMs: '#referenceSwap.ending' } } },
      after: { deadlineMs: 'ending' },
    },
    /** gap-25: no grace. What it may have become meanwhile is not asked (X2). */
    ending: {
      entry: { type: 'signalSuccessor', params: { signal: 'SIGKILL' } },
      on: { 'successor.exited': { target: 'resuming', actions: 'noteSuccessorGone' } },
    },
    resuming: {
      entry: [
        'closeSuccessorChannel',
        { type: 'recordJournal', params: { phase: 'resumingAfterAbort' } },
        { type: 'sendToIncumbent', params: { kind: 'ResumeAfterAbort' } },
      ],
      always: 'rolledBack',
    },
    /** gap-17: the session ended in an error; the successor is killed, the journal stays. */
    abandoning: {
      entry: { type: 'signalSuccessor', params: { signal: 'SIGKILL' } },
      always: { guard: 'isSuccessorGone', target: 'failed' },
      on: { 'successor.exited': { target: 'failed', actions: 'noteSuccessorGone' } },
    },
    committed: {
      type: 'final',
      entry: [
        { type: 'noteResult', params: 'committed' },
        { type: 'sendToIncumbent', params: { kind: 'Commit' } },
        'closeSuccessorChannel',
        'closeIncumbentSession',
        'clearJournal',
      ],
    },
    rolledBack: {
      type: 'final',
      entry: [{ type: 'noteResult', params: 'rolledBack' }, 'closeIncumbentSession', 'clearJournal'],
    },
    failed: { type: 'final', entry: ['closeSuccessorChannel', 'closeIncumbentSession'] },
  },
  output: ({ context }) => ({
    result: context.result,
    failure: context.failure,
    servingPid:
      context.result === 'committed'
        ? context.successorPid
        : context.result === 'rolledBack'
          ? context.incumbentPid
          : null,
    failover: false,
    retiringPid: null,
  }),
})

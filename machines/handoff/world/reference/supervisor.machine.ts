/**
 * The supervisor as the original has it (handoff-supervisor 0.1.2), for mixed worlds only: it binds and cold-starts without
 * a look at who lives (gap-08, X12), starts nobody again, and ends nobody who outlives his grace.
 */
import { assign, setup } from 'xstate'
import { unboundAction, unboundActor } from '../../../effects.js'
import type { Policy } from '../../policy.js'
import type { SupervisorEvents, SupervisorInput } from '../../supervisor.machine.js'
import type { SwapOutput } from '../../swap.machine.js'
import { referenceSwapMachine } from './swap.machine.js'

export const referenceSupervisorMachine = setup({
  types: {
    context: {} as { readonly policy: Policy; readonly primitivePid: number | null },
    events: {} as SupervisorEvents,
    input: {} as SupervisorInput,
  },
  actors: {
    readJournal: unboundActor<{ pids: readonly number[] }>('readJournal'),
    bindListeners: unboundActor<void>('bindListeners'),
    /** Leaves no record of whom it started. */
    coldStart: unboundActor<{ pid: number }>('coldStart'),
    swap: referenceSwapMachine,
  },
  actions: {
    reportOutcome: unboundAction<SwapOutput>('reportOutcome'),
    clearJournal: unboundAction('clearJournal'),
    notePrimitive: assign({ primitivePid: (_, pid: number | null) => pid }),
  },
}).createMachine({
  id: 'referenceSupervisor',
  context: ({ input }) => ({ policy: input.policy, primitivePid: null }),
  initial: 'recovering',
  states: {
    recovering: {
      initial: 'readingJournal',
      states: {
        // gap-19: what is called resuming is deleting. gap-18: a corrupt record stays, and every start fails on it.
        readingJournal: {
          invoke: {
            id: 'readJournal',
            src: 'readJournal',
            onDone: { target: 'binding', actions: 'clearJournal' },
            onError: '#referenceSupervisor.failed',
          },
        },
        binding: {
          invoke: {
            id: 'bindListeners',
            src: 'bindListeners',
            onDone: '#referenceSupervisor.starting',
            onError: '#referenceSupervisor.failed',
          },
        },
      },
    },
    starting: {
      invoke: {
        id: 'coldStart',
        src: 'coldStart',
        onDone: { target: 'serving', actions: { type: 'notePrimitive', params: ({ event }) => event.output.pid } },
        onError: 'failed',
      },
    },
    /** Whoever ends now is not missed. */
    serving: { on: { 'swap.requested': 'swapping', 'operator.stopped': 'stopped', 'operator.left': 'stopped' } },
    swapping: {
      initial: 'running',
      states: { running: {} },
      invoke: {
        id: 'swap',
        src: 'swap',
        input: ({ context }) => ({ policy: context.policy, incumbentPid: context.primitivePid ?? 0 }),
        onDone: [
          // An error: the caller learns that it failed, and nothing about who serves.
          { guard: ({ event }) => event.output.result === 'failed', target: 'serving' },
          {
            target: 'serving',
            actions: [
              { type: 'notePrimitive', params: ({ event }) => event.output.servingPid },
              { type: 'reportOutcome', params: ({ event }) => event.output as SwapOutput },
            ],
          },
        ],
      },
    },
    stopped: { type: 'final' },
    failed: { type: 'final' },
  },
})

/**
 * The successor as the original has it (beyond-handoff 0.1.2), for mixed worlds only. Ready is not the last thing that can
 * fail (X3): it says so, closes its channel, and only then unlinks the control path and binds it anew (gap-09).
 */
import { assign, setup } from 'xstate'
import { unboundAction, unboundActor } from '../../../effects.js'
import type { OpenReason } from '../../incumbent.machine.js'
import type { FromSuccessor } from '../../messages.js'
import type { Policy } from '../../policy.js'
import type { OpenReport, SuccessorEvents, SuccessorInput } from '../../successor.machine.js'

export const referenceSuccessorMachine = setup({
  types: {
    context: {} as { readonly policy: Policy; readonly live: boolean },
    events: {} as SuccessorEvents,
    input: {} as SuccessorInput,
    output: {} as { live: boolean },
  },
  actors: {
    acquireLock: unboundActor<{ held: boolean }>('acquireLock'),
    openState: unboundActor<OpenReport, { reason: OpenReason }>('openState'),
    /** Fails when nobody reads any more (EPIPE). */
    sayReady: unboundActor<void, OpenReport>('sayReady'),
    unlinkControl: unboundActor<void>('unlinkControl'),
    publishControl: unboundActor<void>('publishControl'),
  },
  actions: {
    sendToSupervisor: unboundAction<FromSuccessor>('sendToSupervisor'),
    closeChannel: unboundAction('closeChannel'),
    exitProcess: unboundAction('exitProcess'),
    noteLive: assign({ live: true }),
  },
  guards: {
    isHeld: ({ event }) => (event as unknown as { output: { held: boolean } }).output.held,
  },
  delays: {
    greetingMs: ({ context }) => context.policy.greetingMs,
    lockPollMs: ({ context }) => context.policy.lockPollMs,
    lockWaitMs: ({ context }) => context.policy.lockWaitMs,
  },
}).createMachine({
  id: 'referenceSuccessor',
  context: ({ input }) => ({ policy: input.policy, live: false }),
  initial: 'greeting',
  on: { 'process.stopRequested': '.exiting' },
  states: {
    greeting: {
      entry: { type: 'sendToSupervisor', params: { kind: 'Hello' } },
      on: {
        // gap-20: any version will do.
        'supervisor.acknowledged': 'awaitingBegin',
        'supervisor.began': 'exiting',
        'supervisor.committed': 'exiting',
        'supervisor.aborted': 'exiting',
        'supervisor.disconnected': 'exiting',
        'supervisor.violatedProtocol': 'exiting',
      },
      after: { greetingMs: 'exiting' },
    },
    awaitingBegin: {
      on: {
        'supervisor.began': 'locking',
        'supervisor.acknowledged': 'exiting',
        'supervisor.committed': 'exiting',
        'supervisor.aborted': 'exiting',
        'supervisor.disconnected': 'exiting',
        'supervisor.violatedProtocol': 'exiting',
      },
    },
    /** From here on nothing is read (gap-26). */
    locking: {
      initial: 'trying',
      after: { lockWaitMs: 'exiting' },
      states: {
        trying: {
          invoke: {
            id: 'acquireLock',
            src: 'acquireLock',
            onDone: [{ guard: 'isHeld', target: '#referenceSuccessor.opening' }, { target: 'pausing' }],
            onError: '#referenceSuccessor.exiting',
          },
        },
        pausing: { after: { lockPollMs: 'trying' } },
      },
    },
    opening: {
      invoke: {
        id: 'openState',
        src: 'openState',
        input: { reason: 'begin' },
        onDone: 'sayingReady',
        onError: 'exiting',
      },
    },
    sayingReady: {
      invoke: {
        id: 'sayReady',
        src: 'sayReady',
        input: ({ event }) => (event as unknown as { output: OpenReport }).output,
        onDone: { target: 'unlinking', actions: 'closeChannel' },
        // X1, gap-02: it holds the lock and has opened, and dies of EPIPE.
        onError: 'exiting',
      },
    },
    unlinking: { invoke: { id: 'unlinkControl', src: 'unlinkControl', onDone: 'binding', onError: 'exiting' } },
    binding: {
      invoke: {
        id: 'publishControl',
        src: 'publishControl',
        onDone: { target: 'live', actions: 'noteLive' },
        onError: 'exiting',
      },
    },
    live: { type: 'final' },
    exiting: { type: 'final', entry: 'exitProcess' },
  },
  output: ({ context }) => ({ live: context.live }),
})

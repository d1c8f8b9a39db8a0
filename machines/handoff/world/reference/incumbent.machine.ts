/**
 * The incumbent as the original has it (beyond-handoff 0.1.2), for mixed worlds only; gap and X numbers as in the findings
 * about it. One session at a time, hooks that block the loop, two seconds for the lock, and then it gives up.
 *
 * It may well: resume in memory what a successor has written since (X2), stay mute when a hook fails (X5, X6), leave its
 * control path to a dead successor's socket (gap-06), resume twice (X8).
 */
import { assign, setup } from 'xstate'
import { unboundAction, unboundActor } from '../../../effects.js'
import type { IncumbentEvents, IncumbentInput, OpenReason, SealOutput } from '../../incumbent.machine.js'
import type { FromIncumbent } from '../../messages.js'
import type { Policy } from '../../policy.js'

interface Context {
  readonly policy: Policy
  readonly start: 'cold' | 'live'
  /** Heard while a hook blocked the loop: read when it returns. */
  readonly waiting: 'nothing' | 'resume' | 'end'
  readonly sealed: boolean
}

export const referenceIncumbentMachine = setup({
  types: {
    context: {} as Context,
    events: {} as IncumbentEvents,
    input: {} as IncumbentInput,
    /** `oneSession`: greets nobody else while a session is open. `greets`: its loop waits for a connection. */
    tags: {} as 'accepting' | 'oneSession' | 'greets',
  },
  actors: {
    acquireLock: unboundActor<{ held: boolean }>('acquireLock'),
    openState: unboundActor<{ canResume: boolean }, { reason: OpenReason }>('openState'),
    unlinkControl: unboundActor<void>('unlinkControl'),
    publishControl: unboundActor<void>('publishControl'),
    drain: unboundActor<{ openConnections: number }>('drain'),
    seal: unboundActor<SealOutput>('seal'),
    resume: unboundActor<void>('resume'),
  },
  actions: {
    sendToSupervisor: unboundAction<FromIncumbent>('sendToSupervisor'),
    closeSession: unboundAction('closeSession'),
    startAccepting: unboundAction('startAccepting'),
    stopAccepting: unboundAction('stopAccepting'),
    releaseLock: unboundAction('releaseLock'),
    exitProcess: unboundAction('exitProcess'),
    noteResume: assign({ waiting: ({ context }) => (context.waiting === 'end' ? 'end' : 'resume') }),
    noteEnd: assign({ waiting: 'end' }),
    noteHeard: assign({ waiting: 'nothing' }),
    noteSealed: assign({ sealed: true }),
    forgetSeal: assign({ sealed: false, waiting: 'nothing' }),
  },
  guards: {
    startsLive: ({ context }) => context.start === 'live',
    isHeld: ({ event }) => (event as unknown as { output: { held: boolean } }).output.held,
    isWaiting: ({ context }) => context.waiting !== 'nothing',
    isSealed: ({ context }) => context.sealed,
  },
  delays: {
    lockPollMs: ({ context }) => context.policy.lockPollMs,
    lockWaitMs: ({ context }) => context.policy.lockWaitMs,
  },
}).createMachine({
  id: 'referenceIncumbent',
  context: ({ input }) => ({ policy: input.policy, start: input.start, waiting: 'nothing', sealed: false }),
  tags: ['oneSession'],
  initial: 'starting',
  // No handler: the signal's default ends the process.
  on: { 'process.stopRequested': '.exiting' },
  states: {
    starting: { always: [{ guard: 'startsLive', target: 'serving' }, { target: 'locking' }] },
    /** A rival dies on the lock at once (gap-08). */
    locking: {
      invoke: {
        id: 'acquireLock',
        src: 'acquireLock',
        onDone: [{ guard: 'isHeld', target: 'opening' }, { target: 'exiting' }],
        onError: 'exiting',
      },
    },
    opening: {
      invoke: {
        id: 'openState',
        src: 'openState',
        input: { reason: 'coldStart' },
        onDone: 'unlinking',
        onError: 'exiting',
      },
    },
    unlinking: { invoke: { id: 'unlinkControl', src: 'unlinkControl', onDone: 'binding', onError: 'exiting' } },
    binding: { invoke: { id: 'publishControl', src: 'publishControl', onDone: 'serving', onError: 'exiting' } },

    serving: {
      tags: ['accepting'],
      entry: ['forgetSeal', 'startAccepting'],
      initial: 'alone',
      on: {
        'supervisor.disconnected': '.alone',
        'supervisor.violatedProtocol': { target: '.alone', actions: 'closeSession' },
        'supervisor.requestedSeal': { target: '.alone', actions: 'closeSession' },
        'supervisor.committed': { target: '.alone', actions: 'closeSession' },
        'supervisor.aborted': { target: '.alone', actions: 'closeSession' },
        'supervisor.requestedResume': {},
      },
      states: {
        alone: { tags: ['greets'], on: { 'supervisor.attended': 'attended' } },
        attended: { on: { 'supervisor.requestedDrain': '#referenceIncumbent.draining' } },
      },
    },

    draining: {
      entry: 'stopAccepting',
      invoke: {
        id: 'drain',
        src: 'drain',
        onDone: [
          { guard: 'isWaiting', target: 'undoing' },
          {
            target: 'drained',
            actions: { type: 'sendToSupervisor', params: { kind: 'Drained', openConnections: 0, acceptClosed: true } },
          },
        ],
        // X5: the session ends in error, nothing was noted as drained, so nothing is undone.
        onError: { target: 'mute', actions: 'closeSession' },
      },
      on: {
        'supervisor.disconnected': { actions: 'noteEnd' },
        'supervisor.requestedResume': { actions: 'noteResume' },
      },
    },

    /** No clock of its own: a supervisor that hangs holds it for ever (X13). */
    drained: {
      on: {
        'supervisor.requestedSeal': 'sealing',
        'supervisor.requestedResume': 'resuming',
        'supervisor.aborted': 'resuming',
        'supervisor.disconnected': 'undoing',
        'supervisor.committed': { target: 'undoing', actions: 'closeSession' },
        'supervisor.violatedProtocol': { target: 'undoing', actions: 'closeSession' },
        // gap-21: the hook runs again.
        'supervisor.requestedDrain': 'draining',
      },
    },

    sealing: {
      invoke: {
        id: 'seal',
        src: 'seal',
        onDone: [
          {
            guard: 'isWaiting',
            target: 'undoing',
            actions: ['noteSealed', 'releaseLock'],
          },
          {
            target: 'sealed',
            actions: [
              'noteSealed',
              'releaseLock',
              {
                type: 'sendToSupervisor',
                params: ({ event }) => ({
                  kind: 'SealComplete',
                  revisions: event.output.revisions,
                  fingerprint: event.output.fingerprint,
                }),
              },
            ],
          },
        ],
        // gap-24: said before it is true.
        onError: {
          target: 'resuming',
          actions: {
            type: 'sendToSupervisor',
            params: { kind: 'SealFailed', failure: 'ERR_HANDOFF_SEAL_FAILED' },
          },
        },
      },
      on: {
        'supervisor.disconnected': { actions: 'noteEnd' },
        'supervisor.requestedResume': { actions: 'noteResume' },
      },
    },

    sealed: {
      on: {
        'supervisor.committed': 'exiting',
        'supervisor.requestedResume': 'undoing',
        'supervisor.aborted': 'undoing',
        'supervisor.disconnected': 'undoing',
        'supervisor.requestedSeal': { target: 'undoing', actions: 'closeSession' },
        'supervisor.requestedDrain': { target: 'undoing', actions: 'closeSession' },
        'supervisor.violatedProtocol': { target: 'undoing', actions: 'closeSession' },
      },
    },

    undoing: {
      entry: 'noteHeard',
      always: [{ guard: 'isSealed', target: 'reclaiming' }, { target: 'resuming' }],
    },

    /** X1: two seconds, then it gives up, whoever else serves or does not. */
    reclaiming: {
      initial: 'trying',
      after: { lockWaitMs: 'exiting' },
      states: {
        trying: {
          invoke: {
            id: 'acquireLock',
            src: 'acquireLock',
            onDone: [{ guard: 'isHeld', target: '#referenceIncumbent.resuming' }, { target: 'pausing' }],
            onError: 'pausing',
          },
        },
        pausing: { after: { lockPollMs: 'trying' } },
      },
    },

    /** X2: in memory, whatever happened to the disk meanwhile; the control path is left where it leads. */
    resuming: {
      invoke: {
        id: 'resume',
        src: 'resume',
        onDone: 'serving',
        onError: [{ target: 'mute', actions: 'closeSession' }],
      },
    },

    /** X5, X6: alive, with the lock, answering on the control path, and of no use to any client. */
    mute: {
      tags: ['greets'],
      on: {
        'supervisor.disconnected': {},
        'supervisor.requestedDrain': { actions: 'closeSession' },
        'supervisor.violatedProtocol': { actions: 'closeSession' },
      },
    },

    exiting: { type: 'final', entry: 'exitProcess' },
  },
})

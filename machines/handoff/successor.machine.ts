/**
 * The successor (N): a fresh process that takes the daemon over, and then becomes the incumbent.
 *
 * It may never: open state without the lock (INV-05), publish its control socket or accept before Commit, EOF or its own
 * deadline (INV-01, X2), or give the service up once it holds the lock with its state open — except on Abort.
 * Ready is the last thing that can fail: lock, state, listeners and the staged control socket come before it (X3).
 */
import { assign, setup, stateIn } from 'xstate'
import { unboundAction, unboundActor } from '../effects.js'
import { EXIT, type ExitStatus, type FailureCode } from './failures.js'
import type { OpenReason } from './incumbent.machine.js'
import type { Fingerprint, FromSuccessor, Revisions, SupervisorToSuccessorEvent } from './messages.js'
import type { Policy } from './policy.js'

export interface SuccessorInput {
  readonly policy: Policy
  /** The supervisor named its deadline (HANDOFF_DEADLINE_MS): then prepare may use all of the boot budget. */
  readonly deadlineKnown: boolean
}

export interface SuccessorContext {
  readonly policy: Policy
  readonly deadlineKnown: boolean
  /** The supervisor's channel is closed; after Begin that means: go on alone. */
  readonly orphaned: boolean
  readonly report: OpenReport
  readonly live: boolean
  readonly failure: FailureCode | null
  readonly exitStatus: ExitStatus
}

export interface OpenReport {
  readonly healthy: boolean
  readonly revisions: Revisions
  readonly fingerprint: Fingerprint
}

export type SuccessorEvents =
  | SupervisorToSuccessorEvent
  /** SIGTERM or SIGINT. */
  | { readonly type: 'process.stopRequested' }

export const successorMachine = setup({
  types: {
    context: {} as SuccessorContext,
    events: {} as SuccessorEvents,
    input: {} as SuccessorInput,
    output: {} as { status: ExitStatus; live: boolean; failure: FailureCode | null },
    tags: {} as 'owner' | 'warm' | 'live' | 'ended',
  },
  actors: {
    prepare: unboundActor<void>('prepare'),
    /** Copies of the incumbent's live connections, staged unread; then listens for the cut. Never fails the swap. */
    fetchConnections: unboundActor<void>('fetchConnections'),
    acquireLock: unboundActor<{ held: boolean }>('acquireLock'),
    openState: unboundActor<OpenReport, { reason: OpenReason }>('openState'),
    /** Adopt the listeners and bind the control socket under a staging name: all that can still fail. */
    stageTakeover: unboundActor<void>('stageTakeover'),
    /** One rename(2) of the staged control socket onto the control path. */
    publishControl: unboundActor<void>('publishControl'),
    probeControl: unboundActor<{ answeredBy: 'nobody' | 'self' | 'other' }>('probeControl'),
  },
  actions: {
    sendToSupervisor: unboundAction<FromSuccessor>('sendToSupervisor'),
    startHeartbeat: unboundAction('startHeartbeat'),
    stopHeartbeat: unboundAction('stopHeartbeat'),
    exitProcess: unboundAction<{ status: ExitStatus }>('exitProcess'),
    recordUnexpected: unboundAction<{ event: string }>('recordUnexpected'),
    noteFailure: assign({ failure: (_, code: FailureCode) => code }),
    noteExit: assign({ exitStatus: (_, status: ExitStatus) => status }),
    noteOrphaned: assign({ orphaned: true }),
    noteLive: assign({ live: true, exitStatus: EXIT.done }),
    noteReport: assign({ report: (_, report: OpenReport) => report }),
  },
  guards: {
    knowsDeadline: ({ context }) => context.deadlineKnown,
    isOrphaned: ({ context }) => context.orphaned,
    isReady: stateIn({ taking: 'ready' }),
  },
  delays: {
    prepareMs: ({ context }) =>
      context.deadlineKnown ? context.policy.successorBootMs : context.policy.prepareAloneMs,
    copyMs: ({ context }) => (context.deadlineKnown ? context.policy.copyMs : context.policy.copyAloneMs),
    greetingMs: ({ context }) => context.policy.greetingMs,
    lockPollMs: ({ context }) => context.policy.lockPollMs,
    // T1: longer than the supervisor's deadline, so that a living supervisor decides first.
    ownDeadlineMs: ({ context }) => context.policy.successorDeadlineMs + 2 * context.policy.deadlineSlackMs,
  },
}).createMachine({
  id: 'successor',
  context: ({ input }) => ({
    policy: input.policy,
    deadlineKnown: input.deadlineKnown,
    orphaned: false,
    report: { healthy: true, revisions: [], fingerprint: null },
    live: false,
    failure: null,
    exitStatus: EXIT.failed,
  }),
  initial: 'waiting',
  on: {
    'supervisor.beat': { actions: { type: 'sendToSupervisor', params: { kind: 'Heartbeat' } } },
    'supervisor.*': { actions: { type: 'recordUnexpected', params: ({ event }) => ({ event: event.type }) } },
  },
  states: {
    /** Before Begin: the incumbent serves, and every doubt ends this process. */
    waiting: {
      initial: 'preparing',
      on: {
        'supervisor.aborted': { target: 'exiting', actions: { type: 'noteExit', params: EXIT.aborted } },
        'supervisor.disconnected': { target: 'exiting', actions: { type: 'noteExit', params: EXIT.aborted } },
        'supervisor.violatedProtocol': {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL' },
            { type: 'noteExit', params: EXIT.protocol },
          ],
        },
        'supervisor.began': {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL' },
            { type: 'noteExit', params: EXIT.protocol },
          ],
        },
        'supervisor.committed': {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL' },
            { type: 'noteExit', params: EXIT.protocol },
          ],
        },
        'process.stopRequested': 'exiting',
      },
      after: {
        ownDeadlineMs: {
          target: 'exiting',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_DEADLINE_TIMEOUT' },
        },
      },
      states: {
        preparing: {
          invoke: {
            id: 'prepare',
            src: 'prepare',
            onDone: 'copying',
            onError: {
              target: '#successor.exiting',
              actions: [
                { type: 'noteFailure', params: 'ERR_HANDOFF_PREPARE_FAILED' },
                { type: 'noteExit', params: EXIT.prepareFailed },
              ],
            },
          },
          after: {
            prepareMs: {
              target: '#successor.exiting',
              actions: [
                { type: 'noteFailure', params: 'ERR_HANDOFF_HOOK_TIMEOUT' },
                { type: 'noteExit', params: EXIT.hookTimeout },
              ],
            },
          },
        },
        /** Outside the gap, like all of `waiting`: at the cut only what changed since then has to travel. */
        copying: {
          invoke: { id: 'fetchConnections', src: 'fetchConnections', onDone: 'greeting', onError: 'greeting' },
          after: { copyMs: 'greeting' },
        },
        greeting: {
          entry: { type: 'sendToSupervisor', params: { kind: 'Hello' } },
          on: {
            'supervisor.acknowledged': [
              { guard: ({ event }) => event.versionOk, target: 'awaitingBegin' },
              {
                target: '#successor.exiting',
                actions: [
                  { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL' },
                  { type: 'noteExit', params: EXIT.protocol },
                ],
              },
            ],
          },
          after: {
            greetingMs: {
              target: '#successor.exiting',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_DEADLINE_TIMEOUT' },
            },
          },
        },
        awaitingBegin: { on: { 'supervisor.began': '#successor.taking' } },
      },
    },

    /** After Begin: the incumbent has let go. EOF means "go on alone"; only Abort, or a failure before Ready, ends it. */
    taking: {
      initial: 'acquiringLock',
      on: {
        'supervisor.aborted': { target: 'exiting', actions: { type: 'noteExit', params: EXIT.aborted } },
        'supervisor.disconnected': { actions: 'noteOrphaned' },
        // Nothing more is read from a channel that was violated: for this process its supervisor is gone.
        'supervisor.violatedProtocol': { actions: 'noteOrphaned' },
        'process.stopRequested': 'exiting',
      },
      after: {
        ownDeadlineMs: [
          { guard: 'isReady', target: 'goingLive' },
          // Without state open there is nothing to serve; the lock goes with the process, and the incumbent waits for it.
          {
            target: 'exiting',
            actions: [
              { type: 'noteFailure', params: 'ERR_HANDOFF_DEADLINE_TIMEOUT' },
              { type: 'noteExit', params: EXIT.hookTimeout },
            ],
          },
        ],
      },
      states: {
        acquiringLock: {
          initial: 'trying',
          entry: 'startHeartbeat',
          exit: 'stopHeartbeat',
          states: {
            trying: {
              invoke: {
                id: 'acquireLock',
                src: 'acquireLock',
                onDone: [
                  { guard: ({ event }) => event.output.held, target: '#successor.taking.opening' },
                  { guard: 'isOrphaned', target: 'looking' },
                  { target: 'pausing' },
                ],
                onError: {
                  target: '#successor.exiting',
                  actions: [
                    { type: 'noteFailure', params: 'ERR_HANDOFF_OPEN_FAILED' },
                    { type: 'noteExit', params: EXIT.openFailed },
                  ],
                },
              },
            },
            /** Alone and without the lock: if another process answers on the path, it serves and we are surplus. */
            looking: {
              invoke: {
                id: 'probeControl',
                src: 'probeControl',
                onDone: [
                  {
                    guard: ({ event }) => event.output.answeredBy === 'other',
                    target: '#successor.exiting',
                    actions: [
                      { type: 'noteFailure', params: 'ERR_HANDOFF_LOCK_HELD' },
                      { type: 'noteExit', params: EXIT.lockHeld },
                    ],
                  },
                  { target: 'pausing' },
                ],
                onError: 'pausing',
              },
            },
            pausing: { after: { lockPollMs: 'trying' } },
          },
        },
        opening: {
          tags: ['owner'],
          entry: 'startHeartbeat',
          exit: 'stopHeartbeat',
          invoke: {
            id: 'openState',
            src: 'openState',
            input: { reason: 'begin' },
            onDone: {
              target: 'staging',
              actions: { type: 'noteReport', params: ({ event }) => event.output },
            },
            onError: {
              target: '#successor.exiting',
              actions: [
                { type: 'noteFailure', params: 'ERR_HANDOFF_OPEN_FAILED' },
                { type: 'noteExit', params: EXIT.openFailed },
              ],
            },
          },
        },
        staging: {
          tags: ['owner'],
          invoke: {
            id: 'stageTakeover',
            src: 'stageTakeover',
            onDone: 'ready',
            onError: {
              target: '#successor.exiting',
              actions: [
                { type: 'noteFailure', params: 'ERR_HANDOFF_CONTROL_SOCKET' },
                { type: 'noteExit', params: EXIT.controlSocket },
              ],
            },
          },
        },
        ready: {
          tags: ['owner', 'warm'],
          entry: {
            type: 'sendToSupervisor',
            params: ({ context }) => ({ kind: 'Ready', ...context.report }),
          },
          always: { guard: 'isOrphaned', target: '#successor.goingLive' },
          on: { 'supervisor.committed': '#successor.goingLive' },
        },
      },
    },

    goingLive: {
      tags: ['owner', 'warm'],
      invoke: {
        id: 'publishControl',
        src: 'publishControl',
        onDone: { target: 'live', actions: 'noteLive' },
        onError: {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_CONTROL_SOCKET' },
            { type: 'noteExit', params: EXIT.controlSocket },
          ],
        },
      },
      on: {
        'supervisor.aborted': { target: 'exiting', actions: { type: 'noteExit', params: EXIT.aborted } },
        'supervisor.disconnected': {},
        'process.stopRequested': 'exiting',
      },
    },

    /** Published: from here on this process is the incumbent, and its door starts that machine with `start: 'live'`. */
    live: { type: 'final', tags: ['owner', 'live'] },

    exiting: {
      type: 'final',
      tags: ['ended'],
      // Fast on purpose: nobody was served from here, and the lock must be free for the incumbent.
      entry: { type: 'exitProcess', params: ({ context }) => ({ status: context.exitStatus }) },
    },
  },
  output: ({ context }) => ({
    status: context.exitStatus,
    live: context.live,
    failure: context.failure,
  }),
})

/**
 * The incumbent (O): the process that holds the data-dir lock and serves.
 *
 * It may never: release the lock before its seal succeeded (INV-02), open state without the lock (INV-05), end a hook
 * by leaving its state — a hook's end decides, EOF and Abort only raise a flag —, resume twice (INV-11), or give up
 * while nobody else is proven to serve (INV-08). Whoever holds the lock serves, and reads the live connections.
 */
import { assign, setup } from 'xstate'
import { unboundAction, unboundActor } from '../effects.js'
import { EXIT, type ExitStatus, type FailureCode } from './failures.js'
import type { Fingerprint, FromIncumbent, Revisions, SupervisorToIncumbentEvent } from './messages.js'
import type { Policy } from './policy.js'

export type OpenReason = 'coldStart' | 'begin' | 'reopen'

export interface IncumbentInput {
  readonly policy: Policy
  /** `cold`: take the lock and open. `live`: a successor that went live; it holds both already. */
  readonly start: 'cold' | 'live'
  /** The daemon has a resume hook: a failed seal is undone in memory instead of by reopening from disk. */
  readonly canResume: boolean
}

export interface IncumbentContext {
  readonly policy: Policy
  readonly start: 'cold' | 'live'
  readonly canResume: boolean
  /** Raised while a hook runs; read when it ends. */
  readonly cancel: 'no' | 'resume' | 'stop'
  /** The supervisor's session is open. */
  readonly attended: boolean
  readonly failure: FailureCode | null
  readonly exitStatus: ExitStatus
  /** Connections that were open when the drain ended. */
  readonly openConnections: number
  /** Budgets that the supervisor named in PrepareHandoff, ms. */
  readonly drainBudgetMs: number
  readonly decisionBudgetMs: number
  /** Of the swap under way: only it gets connections. Null: none is. */
  readonly successorPid: number | null
}

export type IncumbentEvents =
  | SupervisorToIncumbentEvent
  /** SIGTERM or SIGINT, or the daemon's own stop(). */
  | { readonly type: 'process.stopRequested' }
  /** The control path no longer leads anywhere: somebody removed it. */
  | { readonly type: 'process.pathLost' }

export interface SealOutput {
  readonly revisions: Revisions
  readonly fingerprint: Fingerprint
}

export const incumbentMachine = setup({
  types: {
    context: {} as IncumbentContext,
    events: {} as IncumbentEvents,
    input: {} as IncumbentInput,
    tags: {} as 'accepting' | 'owner' | 'lockFree' | 'parked' | 'ended',
  },
  actors: {
    /** One try for the data-dir lock; `held: false` is an answer, not an error. */
    acquireLock: unboundActor<{ held: boolean }>('acquireLock'),
    openState: unboundActor<{ canResume: boolean }, { reason: OpenReason }>('openState'),
    /** Bind the control socket under a staging name (unless the path still leads here) and rename it onto the path. */
    publishControl: unboundActor<void>('publishControl'),
    /** Copies of live connections to this successor, if it asked for them, while they are served here; to no other from now on. */
    copyConnections: unboundActor<void, { successorPid: number | null }>('copyConnections'),
    drain: unboundActor<{ openConnections: number }, { budgetMs: number }>('drain'),
    /** Tells the successor which connections rest and will be its own. Never fails the swap. */
    parkConnections: unboundActor<void>('parkConnections'),
    /** Sees those through that could not move; ends when none is left. */
    finishConnections: unboundActor<void>('finishConnections'),
    seal: unboundActor<SealOutput>('seal'),
    resume: unboundActor<void>('resume'),
    closeState: unboundActor<void>('closeState'),
    /** Who answers Hello on the control path: another process's pid is the proof of a takeover. */
    probeControl: unboundActor<{ answeredBy: 'nobody' | 'self' | 'other' }>('probeControl'),
  },
  actions: {
    sendToSupervisor: unboundAction<FromIncumbent>('sendToSupervisor'),
    closeSession: unboundAction('closeSession'),
    /** Put the control path back while serving goes on; a failure is told, and changes nothing for clients. */
    republishControl: unboundAction('republishControl'),
    /**
     * Ends what is left of moves: the successors are told first that these connections are ours again. What one of them has
     * begun to read is closed: nobody else knows where it stands (INV-15).
     */
    takeConnectionsBack: unboundAction('takeConnectionsBack'),
    /** Accepts, and reads on where our own connections rest. */
    startAccepting: unboundAction('startAccepting'),
    /** Reads what the incumbent has parked for this process, and tells it before (INV-14). None: nothing. */
    adoptConnections: unboundAction('adoptConnections'),
    stopAccepting: unboundAction('stopAccepting'),
    releaseLock: unboundAction('releaseLock'),
    /** Ask the running hook to stop, by its AbortSignal. */
    cancelHook: unboundAction('cancelHook'),
    startHeartbeat: unboundAction('startHeartbeat'),
    stopHeartbeat: unboundAction('stopHeartbeat'),
    exitProcess: unboundAction<{ status: ExitStatus }>('exitProcess'),
    /** A frame or request that is not allowed now; told, never acted upon. */
    recordUnexpected: unboundAction<{ event: string }>('recordUnexpected'),
    noteFailure: assign({ failure: (_, code: FailureCode) => code }),
    noteExit: assign({ exitStatus: (_, status: ExitStatus) => status }),
    noteAttended: assign({ attended: true }),
    noteUnattended: assign({ attended: false }),
    noteCanResume: assign({ canResume: (_, canResume: boolean) => canResume }),
    noteRequest: assign(({ event }) =>
      event.type === 'supervisor.requestedDrain'
        ? {
            drainBudgetMs: event.drainBudgetMs,
            decisionBudgetMs: event.decisionBudgetMs,
            successorPid: event.successorPid,
          }
        : {},
    ),
    cancelForResume: assign({ cancel: ({ context }) => (context.cancel === 'stop' ? 'stop' : 'resume') }),
    cancelForStop: assign({ cancel: 'stop' }),
    noteOpenConnections: assign({ openConnections: (_, open: number) => open }),
    forgetSwap: assign({ cancel: 'no', failure: null, successorPid: null }),
  },
  guards: {
    startsLive: ({ context }) => context.start === 'live',
    isCancelled: ({ context }) => context.cancel !== 'no',
    isStopping: ({ context }) => context.cancel === 'stop',
    isAttended: ({ context }) => context.attended,
    canResume: ({ context }) => context.canResume,
    hasFailed: ({ context }) => context.failure !== null,
  },
  delays: {
    sessionIdleMs: ({ context }) => context.policy.sessionIdleMs,
    lockPollMs: ({ context }) => context.policy.lockPollMs,
    lockWaitMs: ({ context }) => context.policy.lockWaitMs,
    openBudgetMs: ({ context }) => context.policy.openBudgetMs,
    hookCancelGraceMs: ({ context }) => context.policy.hookCancelGraceMs,
    stopGraceMs: ({ context }) => context.policy.stopGraceMs,
    // Both count to the drain, whose end the supervisor awaits with its slack on top.
    copyMs: ({ context }) => Math.min(context.policy.copyMs, context.policy.copyAloneMs + context.drainBudgetMs / 2),
    cutMs: ({ context }) =>
      Math.min(context.policy.cutMs, context.policy.deadlineSlackMs / 2 + context.drainBudgetMs / 4),
    lingerMs: ({ context }) => context.policy.lingerMs,
    // Both are the supervisor's numbers plus our slack: it acts first when it lives.
    drainOverdueMs: ({ context }) => context.drainBudgetMs + context.policy.deadlineSlackMs,
    decisionOverdueMs: ({ context }) => context.decisionBudgetMs + context.policy.deadlineSlackMs,
  },
}).createMachine({
  id: 'incumbent',
  context: ({ input }) => ({
    policy: input.policy,
    start: input.start,
    canResume: input.canResume,
    cancel: 'no',
    attended: false,
    failure: null,
    exitStatus: EXIT.done,
    openConnections: 0,
    drainBudgetMs: input.policy.drainGraceMs,
    decisionBudgetMs: input.policy.deadlineMs,
    successorPid: null,
  }),
  initial: 'starting',
  on: {
    'supervisor.beat': { actions: { type: 'sendToSupervisor', params: { kind: 'Heartbeat' } } },
    // Where no more comes of it: the session is over.
    'supervisor.disconnected': { actions: 'noteUnattended' },
    'supervisor.violatedProtocol': { actions: ['closeSession', 'noteUnattended'] },
    'supervisor.*': { actions: { type: 'recordUnexpected', params: ({ event }) => ({ event: event.type }) } },
  },
  states: {
    starting: {
      always: [{ guard: 'startsLive', target: 'serving' }, { target: 'acquiringLock' }],
    },

    acquiringLock: {
      initial: 'trying',
      after: {
        lockWaitMs: {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_LOCK_HELD' },
            { type: 'noteExit', params: EXIT.lockHeld },
          ],
        },
      },
      on: { 'process.stopRequested': 'exiting' },
      states: {
        trying: {
          invoke: {
            id: 'acquireLock',
            src: 'acquireLock',
            onDone: [{ guard: ({ event }) => event.output.held, target: '#incumbent.opening' }, { target: 'waiting' }],
            onError: {
              target: '#incumbent.exiting',
              actions: [
                { type: 'noteFailure', params: 'ERR_HANDOFF_OPEN_FAILED' },
                { type: 'noteExit', params: EXIT.openFailed },
              ],
            },
          },
        },
        waiting: { after: { lockPollMs: 'trying' } },
      },
    },

    opening: {
      tags: ['owner'],
      invoke: {
        id: 'openState',
        src: 'openState',
        input: { reason: 'coldStart' },
        onDone: [
          { guard: 'isStopping', target: 'closing' },
          {
            target: 'publishing',
            actions: { type: 'noteCanResume', params: ({ event }) => event.output.canResume },
          },
        ],
        onError: {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_OPEN_FAILED' },
            { type: 'noteExit', params: EXIT.openFailed },
          ],
        },
      },
      on: { 'process.stopRequested': [{ guard: 'isStopping', target: 'exiting' }, { actions: 'cancelForStop' }] },
      after: {
        openBudgetMs: {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_HOOK_TIMEOUT' },
            { type: 'noteExit', params: EXIT.hookTimeout },
          ],
        },
      },
    },

    publishing: {
      tags: ['owner'],
      invoke: {
        id: 'publishControl',
        src: 'publishControl',
        onDone: [{ guard: 'isStopping', target: 'closing' }, { target: 'serving' }],
        onError: {
          target: 'closing',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_CONTROL_SOCKET' },
            { type: 'noteExit', params: EXIT.controlSocket },
          ],
        },
      },
      on: {
        'process.stopRequested': [{ guard: 'isStopping', target: 'exiting' }, { actions: 'cancelForStop' }],
      },
    },

    serving: {
      tags: ['owner', 'accepting'],
      // New clients come first: they have waited as long, and that is one call.
      entry: ['forgetSwap', 'takeConnectionsBack', 'startAccepting', 'adoptConnections'],
      initial: 'deciding',
      on: {
        'process.stopRequested': 'stopping',
        // INV-06: a service that no supervisor can reach can never be replaced again.
        'process.pathLost': { actions: 'republishControl' },
        'supervisor.attended': { target: '.attended', actions: 'noteAttended' },
      },
      states: {
        deciding: { always: [{ guard: 'isAttended', target: 'attended' }, { target: 'alone' }] },
        alone: {},
        attended: {
          on: {
            'supervisor.requestedDrain': { target: '#incumbent.copying', actions: 'noteRequest' },
            'supervisor.beat': {
              target: 'attended',
              reenter: true,
              actions: { type: 'sendToSupervisor', params: { kind: 'Heartbeat' } },
            },
            'supervisor.disconnected': { target: 'alone', actions: 'noteUnattended' },
            // The supervisor ends a swap that never reached us, or that we ended ourselves: nothing to undo.
            'supervisor.aborted': { target: 'attended', reenter: true },
            'supervisor.requestedResume': { target: 'attended', reenter: true },
            'supervisor.requestedSeal': { target: 'alone', actions: ['closeSession', 'noteUnattended'] },
            'supervisor.committed': { target: 'alone', actions: ['closeSession', 'noteUnattended'] },
            'supervisor.violatedProtocol': { target: 'alone', actions: ['closeSession', 'noteUnattended'] },
          },
          after: { sessionIdleMs: { target: 'alone', actions: ['closeSession', 'noteUnattended'] } },
        },
      },
    },

    /** Still serving: what is copied now need not travel in the gap. Nothing has happened that would have to be undone. */
    copying: {
      tags: ['owner', 'accepting'],
      entry: 'startHeartbeat',
      exit: 'stopHeartbeat',
      invoke: {
        id: 'copyConnections',
        src: 'copyConnections',
        input: ({ context }) => ({ successorPid: context.successorPid }),
        onDone: 'draining',
        onError: 'draining',
      },
      on: {
        'process.stopRequested': 'stopping',
        'supervisor.aborted': 'serving',
        'supervisor.requestedResume': 'serving',
        'supervisor.disconnected': { target: 'serving', actions: 'noteUnattended' },
        'supervisor.requestedDrain': { target: 'serving', actions: ['closeSession', 'noteUnattended'] },
        'supervisor.requestedSeal': { target: 'serving', actions: ['closeSession', 'noteUnattended'] },
        'supervisor.committed': { target: 'serving', actions: ['closeSession', 'noteUnattended'] },
        'supervisor.violatedProtocol': { target: 'serving', actions: ['closeSession', 'noteUnattended'] },
      },
      after: { copyMs: 'draining' },
    },

    draining: {
      tags: ['owner'],
      entry: ['stopAccepting', 'startHeartbeat'],
      exit: 'stopHeartbeat',
      invoke: {
        id: 'drain',
        src: 'drain',
        input: ({ context }) => ({ budgetMs: context.drainBudgetMs }),
        onDone: [
          { guard: 'isStopping', target: 'closing' },
          { guard: 'isCancelled', target: 'resuming' },
          {
            target: 'parking',
            actions: { type: 'noteOpenConnections', params: ({ event }) => event.output.openConnections },
          },
        ],
        // X5: an error here must bring service back before anybody is told.
        onError: [
          { guard: 'isStopping', target: 'closing' },
          { guard: 'isCancelled', target: 'resuming' },
          { target: 'resuming', actions: { type: 'noteFailure', params: 'ERR_HANDOFF_DRAIN_FAILED' } },
        ],
      },
      initial: 'running',
      on: {
        'supervisor.disconnected': { target: '.cancelling', actions: ['cancelForResume', 'noteUnattended'] },
        'supervisor.aborted': { target: '.cancelling', actions: 'cancelForResume' },
        'supervisor.requestedResume': { target: '.cancelling', actions: 'cancelForResume' },
        'supervisor.violatedProtocol': {
          target: '.cancelling',
          actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
        },
        'process.stopRequested': { target: '.cancelling', actions: 'cancelForStop' },
      },
      states: {
        running: {
          on: {
            'supervisor.requestedDrain': {
              target: 'cancelling',
              actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
            },
            'supervisor.requestedSeal': {
              target: 'cancelling',
              actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
            },
            'supervisor.committed': {
              target: 'cancelling',
              actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
            },
          },
          after: {
            drainOverdueMs: {
              target: 'cancelling',
              actions: ['cancelForResume', { type: 'noteFailure', params: 'ERR_HANDOFF_DRAIN_FAILED' }],
            },
          },
        },
        cancelling: {
          entry: 'cancelHook',
          on: {
            // Already cancelled: only what changes the answer is taken note of.
            'supervisor.disconnected': { actions: 'noteUnattended' },
            'supervisor.violatedProtocol': { actions: ['closeSession', 'noteUnattended'] },
            'supervisor.aborted': {},
            'supervisor.requestedResume': {},
            'process.stopRequested': { actions: 'cancelForStop' },
          },
          // A drain that ignores its signal has only stopped accepting: going on without it loses nothing.
          after: {
            hookCancelGraceMs: [
              { guard: 'isStopping', target: '#incumbent.closing' },
              { target: '#incumbent.resuming' },
            ],
          },
        },
      },
    },

    /** The cut: nobody reads the resting connections from here on, until this process or the successor holds the lock and serves. */
    parking: {
      tags: ['owner'],
      entry: 'startHeartbeat',
      exit: 'stopHeartbeat',
      invoke: {
        id: 'parkConnections',
        src: 'parkConnections',
        onDone: [
          { guard: 'isStopping', target: 'closing' },
          { guard: 'isCancelled', target: 'resuming' },
          { target: 'drained' },
        ],
        // Connections that cannot move are no reason to fail a swap.
        onError: [
          { guard: 'isStopping', target: 'closing' },
          { guard: 'isCancelled', target: 'resuming' },
          { target: 'drained' },
        ],
      },
      on: {
        'supervisor.disconnected': { actions: ['cancelForResume', 'noteUnattended'] },
        'supervisor.aborted': { actions: 'cancelForResume' },
        'supervisor.requestedResume': { actions: 'cancelForResume' },
        'supervisor.requestedDrain': { actions: ['cancelForResume', 'closeSession', 'noteUnattended'] },
        'supervisor.requestedSeal': { actions: ['cancelForResume', 'closeSession', 'noteUnattended'] },
        'supervisor.committed': { actions: ['cancelForResume', 'closeSession', 'noteUnattended'] },
        'supervisor.violatedProtocol': { actions: ['cancelForResume', 'closeSession', 'noteUnattended'] },
        'process.stopRequested': { actions: 'cancelForStop' },
      },
      after: {
        cutMs: [
          { guard: 'isStopping', target: 'closing' },
          { guard: 'isCancelled', target: 'resuming' },
          { target: 'drained' },
        ],
      },
    },

    drained: {
      tags: ['owner'],
      entry: {
        type: 'sendToSupervisor',
        params: ({ context }) => ({
          kind: 'Drained',
          openConnections: context.openConnections,
          acceptClosed: true,
        }),
      },
      on: {
        'supervisor.requestedSeal': 'sealing',
        'supervisor.aborted': 'resuming',
        'supervisor.requestedResume': 'resuming',
        'supervisor.disconnected': { target: 'resuming', actions: 'noteUnattended' },
        'supervisor.requestedDrain': { target: 'resuming', actions: ['closeSession', 'noteUnattended'] },
        'supervisor.committed': { target: 'resuming', actions: ['closeSession', 'noteUnattended'] },
        'supervisor.violatedProtocol': { target: 'resuming', actions: ['closeSession', 'noteUnattended'] },
        'process.stopRequested': 'closing',
      },
      // X13: a supervisor that hangs must not hold the service.
      after: { decisionOverdueMs: { target: 'resuming', actions: ['closeSession', 'noteUnattended'] } },
    },

    sealing: {
      tags: ['owner'],
      entry: 'startHeartbeat',
      exit: 'stopHeartbeat',
      invoke: {
        id: 'seal',
        src: 'seal',
        onDone: [
          // Sealed and closed already: releasing by exit is what an orderly stop wants.
          { guard: 'isStopping', target: 'exiting' },
          // Sealed, lock still ours: nobody else can have written, but the state is closed.
          { guard: 'isCancelled', target: 'reopening' },
          {
            target: 'sealed',
            // INV-02: the lock goes only now. It goes before the word: the successor may be told at once.
            actions: [
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
        onError: [
          { guard: 'isStopping', target: 'closing' },
          {
            guard: 'canResume',
            target: 'resuming',
            actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SEAL_FAILED' },
          },
          { target: 'undoingSeal', actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SEAL_FAILED' } },
        ],
      },
      initial: 'running',
      on: {
        'supervisor.disconnected': { target: '.cancelling', actions: ['cancelForResume', 'noteUnattended'] },
        'supervisor.aborted': { target: '.cancelling', actions: 'cancelForResume' },
        'supervisor.requestedResume': { target: '.cancelling', actions: 'cancelForResume' },
        'supervisor.violatedProtocol': {
          target: '.cancelling',
          actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
        },
        'process.stopRequested': { target: '.cancelling', actions: 'cancelForStop' },
      },
      states: {
        running: {
          on: {
            'supervisor.requestedDrain': {
              target: 'cancelling',
              actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
            },
            'supervisor.requestedSeal': {
              target: 'cancelling',
              actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
            },
            'supervisor.committed': {
              target: 'cancelling',
              actions: ['cancelForResume', 'closeSession', 'noteUnattended'],
            },
          },
          after: { decisionOverdueMs: { target: 'cancelling', actions: 'cancelForResume' } },
        },
        cancelling: {
          entry: 'cancelHook',
          on: {
            'supervisor.disconnected': { actions: 'noteUnattended' },
            'supervisor.violatedProtocol': { actions: ['closeSession', 'noteUnattended'] },
            'supervisor.aborted': {},
            'supervisor.requestedResume': {},
            'process.stopRequested': { actions: 'cancelForStop' },
          },
          // Half-sealed data in an unknown hand: nothing in this process may touch it any more. A fresh one can.
          after: {
            hookCancelGraceMs: {
              target: '#incumbent.exiting',
              actions: [
                { type: 'noteFailure', params: 'ERR_HANDOFF_HOOK_TIMEOUT' },
                { type: 'noteExit', params: EXIT.hookTimeout },
              ],
            },
          },
        },
      },
    },

    sealed: {
      tags: ['lockFree'],
      on: {
        'supervisor.committed': 'lingering',
        'supervisor.aborted': 'reclaiming',
        'supervisor.requestedResume': 'reclaiming',
        'supervisor.disconnected': { target: 'reclaiming', actions: 'noteUnattended' },
        'supervisor.requestedDrain': { target: 'reclaiming', actions: ['closeSession', 'noteUnattended'] },
        'supervisor.requestedSeal': { target: 'reclaiming', actions: ['closeSession', 'noteUnattended'] },
        'supervisor.violatedProtocol': { target: 'reclaiming', actions: ['closeSession', 'noteUnattended'] },
        'process.stopRequested': 'exiting',
      },
      after: { decisionOverdueMs: 'reclaiming' },
    },

    /** Parked: the lock decides. Never left on a timer; only by the lock, by Commit, or by proof. */
    reclaiming: {
      tags: ['lockFree', 'parked'],
      initial: 'trying',
      on: {
        'supervisor.committed': 'lingering',
        'supervisor.requestedResume': {},
        'supervisor.aborted': {},
        'process.stopRequested': 'exiting',
      },
      states: {
        trying: {
          invoke: {
            id: 'acquireLock',
            src: 'acquireLock',
            onDone: [
              { guard: ({ event }) => event.output.held, target: '#incumbent.reopening' },
              // A supervisor that still holds our session may yet kill the successor: proof counts only without it.
              { guard: 'isAttended', target: 'waiting' },
              { target: 'looking' },
            ],
            onError: 'waiting',
          },
        },
        looking: {
          invoke: {
            id: 'probeControl',
            src: 'probeControl',
            onDone: [
              { guard: ({ event }) => event.output.answeredBy === 'other', target: '#incumbent.lingering' },
              { target: 'waiting' },
            ],
            onError: 'waiting',
          },
        },
        waiting: { after: { lockPollMs: 'trying' } },
      },
    },

    /** From disk, as at a cold start: the successor may have written (decision 2, INV-03). */
    reopening: {
      tags: ['owner'],
      entry: 'startHeartbeat',
      exit: 'stopHeartbeat',
      invoke: {
        id: 'openState',
        src: 'openState',
        input: { reason: 'reopen' },
        onDone: [
          { guard: 'isStopping', target: 'closing' },
          {
            target: 'republishing',
            actions: { type: 'noteCanResume', params: ({ event }) => event.output.canResume },
          },
        ],
        onError: {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_OPEN_FAILED' },
            { type: 'noteExit', params: EXIT.openFailed },
          ],
        },
      },
      on: {
        'supervisor.requestedResume': {},
        'supervisor.aborted': {},
        'process.stopRequested': [{ guard: 'isStopping', target: 'exiting' }, { actions: 'cancelForStop' }],
      },
      after: {
        openBudgetMs: {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_HOOK_TIMEOUT' },
            { type: 'noteExit', params: EXIT.hookTimeout },
          ],
        },
      },
    },

    /** The seal broke half-way and there is no hook to undo it: close what is open, then open from disk. */
    undoingSeal: {
      tags: ['owner'],
      entry: 'startHeartbeat',
      exit: 'stopHeartbeat',
      invoke: {
        id: 'closeState',
        src: 'closeState',
        onDone: [{ guard: 'isStopping', target: 'exiting' }, { target: 'reopening' }],
        // What could not be closed may still write: two writers in one process are two writers.
        onError: { target: 'exiting', actions: { type: 'noteExit', params: EXIT.resumeFailed } },
      },
      on: {
        'supervisor.requestedResume': {},
        'supervisor.aborted': {},
        'process.stopRequested': [{ guard: 'isStopping', target: 'exiting' }, { actions: 'cancelForStop' }],
      },
      after: { openBudgetMs: { target: 'exiting', actions: { type: 'noteExit', params: EXIT.hookTimeout } } },
    },

    /** Nothing was released: the daemon goes on where it stopped (allowed only before Sealed). */
    resuming: {
      tags: ['owner'],
      entry: 'startHeartbeat',
      exit: 'stopHeartbeat',
      invoke: {
        id: 'resume',
        src: 'resume',
        onDone: [{ guard: 'isStopping', target: 'closing' }, { target: 'republishing' }],
        // X6: a process that cannot resume is of no use; a fresh one is.
        onError: {
          target: 'exiting',
          actions: { type: 'noteExit', params: EXIT.resumeFailed },
        },
      },
      on: {
        'supervisor.requestedResume': {},
        'supervisor.aborted': {},
        'process.stopRequested': [{ guard: 'isStopping', target: 'exiting' }, { actions: 'cancelForStop' }],
      },
      after: { openBudgetMs: { target: 'exiting', actions: { type: 'noteExit', params: EXIT.hookTimeout } } },
    },

    /** INV-06: a rolled-back incumbent is reachable again; the successor may have renamed over its path. */
    republishing: {
      tags: ['owner'],
      invoke: {
        id: 'publishControl',
        src: 'publishControl',
        onDone: [
          { guard: 'isStopping', target: 'closing' },
          {
            guard: 'hasFailed',
            target: 'serving',
            // gap-24: told only now that it is true.
            actions: {
              type: 'sendToSupervisor',
              params: ({ context }) => ({
                kind: 'SealFailed',
                failure: context.failure ?? 'ERR_HANDOFF_SEAL_FAILED',
              }),
            },
          },
          { target: 'serving' },
        ],
        onError: {
          target: 'closing',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_CONTROL_SOCKET' },
            { type: 'noteExit', params: EXIT.controlSocket },
          ],
        },
      },
      on: {
        'supervisor.requestedResume': {},
        'supervisor.aborted': {},
        'process.stopRequested': [{ guard: 'isStopping', target: 'exiting' }, { actions: 'cancelForStop' }],
      },
    },

    /** An orderly stop: finish requests, close the state, release the lock. */
    stopping: {
      tags: ['owner'],
      entry: 'stopAccepting',
      invoke: {
        id: 'drain',
        src: 'drain',
        input: ({ context }) => ({ budgetMs: context.policy.stopGraceMs }),
        onDone: 'closing',
        onError: 'closing',
      },
      on: { 'process.stopRequested': 'closing' },
      after: { stopGraceMs: { target: 'closing', actions: 'cancelHook' } },
    },

    closing: {
      tags: ['owner'],
      invoke: {
        id: 'closeState',
        src: 'closeState',
        onDone: 'exiting',
        onError: {
          target: 'exiting',
          actions: [
            { type: 'noteFailure', params: 'ERR_HANDOFF_CLOSE_FAILED' },
            { type: 'noteExit', params: EXIT.failed },
          ],
        },
      },
      on: { 'process.stopRequested': 'exiting' },
      after: { hookCancelGraceMs: { target: 'exiting', actions: { type: 'noteExit', params: EXIT.hookTimeout } } },
    },

    /** Somebody else is proven to serve: only connections that could not move keep this process, and not for long. */
    lingering: {
      tags: ['lockFree'],
      invoke: { id: 'finishConnections', src: 'finishConnections', onDone: 'exiting', onError: 'exiting' },
      on: { 'process.stopRequested': 'exiting' },
      after: { lingerMs: 'exiting' },
    },

    exiting: {
      type: 'final',
      tags: ['ended'],
      // The lock is released by the end of the process, never before what it protects is closed.
      entry: { type: 'exitProcess', params: ({ context }) => ({ status: context.exitStatus }) },
    },
  },
  output: ({ context }) => ({ status: context.exitStatus, failure: context.failure }),
})

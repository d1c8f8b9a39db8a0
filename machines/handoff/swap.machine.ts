/**
 * One swap, as the supervisor (S) conducts it: successor first, then the incumbent, then the proof.
 *
 * It may never: let two processes hold the service, commit the incumbent before the successor was verified (INV-13),
 * close the successor's channel before that process is dead (an EOF means "go live"), or report an outcome that is not
 * true (INV-12). It asks nothing of the incumbent before the successor is up: a build that does not start costs nothing.
 */
import { assign, setup } from 'xstate'
import { unboundAction, unboundActor } from '../effects.js'
import type { FailureCode } from './failures.js'
import {
  type Fingerprint,
  type IncumbentEvent,
  isNotBehind,
  isSameData,
  type Revisions,
  type SuccessorEvent,
  type ToIncumbent,
  type ToSuccessor,
} from './messages.js'
import type { Policy } from './policy.js'
import type { JournalPhase } from './protocol.js'

export interface SwapInput {
  readonly policy: Policy
  readonly incumbentPid: number
}

export interface SwapContext {
  readonly policy: Policy
  readonly incumbentPid: number
  readonly successorPid: number | null
  /** PrepareHandoff was sent, and the session stands: the incumbent must be told how it ends. */
  readonly prepared: boolean
  /** It was asked to drain at least once; until then it serves, whatever becomes of this swap. */
  readonly disturbed: boolean
  /** `many`: the incumbent greets others while our session is open; a reference incumbent does not. */
  readonly session: 'one' | 'many'
  readonly incumbentAlive: boolean
  readonly successorAlive: boolean
  /** What the incumbent sealed; null when it died before it could say. */
  readonly sealed: { readonly revisions: Revisions; readonly fingerprint: Fingerprint } | null
  readonly failure: FailureCode | null
  readonly result: SwapResult
}

export type SwapResult = 'committed' | 'rolledBack' | 'nobodyServes'

export interface SwapOutput {
  readonly result: SwapResult
  readonly failure: FailureCode | null
  /** The process that serves now, or null. */
  readonly servingPid: number | null
  /** The incumbent died in mid-swap and the waiting successor took over (decision 5). */
  readonly failover: boolean
  /** The incumbent that was told to exit and may still run. */
  readonly retiringPid: number | null
}

export type SwapEvents =
  | IncumbentEvent
  | SuccessorEvent
  /** The operator, or an orderly stop of the supervisor, ends the swap while it can still be undone. */
  | { readonly type: 'operator.cancelled' }
  /** In probation: the successor stopped answering, or reports itself unhealthy. */
  | { readonly type: 'successor.becameUnhealthy' }

type Answer = { answeredBy: 'nobody' | 'incumbent' | 'successor' | 'other' }

export const swapMachine = setup({
  types: {
    context: {} as SwapContext,
    events: {} as SwapEvents,
    input: {} as SwapInput,
    output: {} as SwapOutput,
    tags: {} as 'undoable' | 'cut' | 'undoing' | 'committed' | 'ended',
  },
  actors: {
    /** Journal record on disk before anything goes on: before the spawn, and before anybody is told to let go. */
    writeJournal: unboundActor<void, { phase: JournalPhase }>('writeJournal'),
    spawnSuccessor: unboundActor<{ pid: number }>('spawnSuccessor'),
    /** Connect to the control socket; the incumbent's Hello comes as an event. */
    dialIncumbent: unboundActor<void>('dialIncumbent'),
    /** Look at the control path until the named process answers Hello there. */
    confirmServing: unboundActor<void, { role: 'incumbent' | 'successor'; pid: number }>('confirmServing'),
    /** One look at the control path. */
    probeControl: unboundActor<Answer>('probeControl'),
  },
  actions: {
    sendToIncumbent: unboundAction<ToIncumbent>('sendToIncumbent'),
    sendToSuccessor: unboundAction<ToSuccessor>('sendToSuccessor'),
    closeIncumbentSession: unboundAction('closeIncumbentSession'),
    closeSuccessorChannel: unboundAction('closeSuccessorChannel'),
    signalSuccessor: unboundAction<{ signal: 'SIGTERM' | 'SIGKILL' }>('signalSuccessor'),
    signalIncumbent: unboundAction<{ signal: 'SIGTERM' | 'SIGKILL' }>('signalIncumbent'),
    /** Journal record written meanwhile: what the world can tell again is not waited for (decision 14). */
    recordJournal: unboundAction<{ phase: JournalPhase }>('recordJournal'),
    clearJournal: unboundAction('clearJournal'),
    watchSuccessor: unboundAction('watchSuccessor'),
    recordUnexpected: unboundAction<{ event: string }>('recordUnexpected'),
    noteFailure: assign({ failure: ({ context }, code: FailureCode) => context.failure ?? code }),
    /** What was held against a process that is dead decides nothing any more. */
    forgetFailure: assign({ failure: null }),
    noteSuccessorPid: assign({ successorPid: (_, pid: number) => pid, successorAlive: true }),
    notePrepared: assign({ prepared: true, disturbed: true }),
    noteUnprepared: assign({ prepared: false }),
    noteIncumbentGone: assign({ incumbentAlive: false }),
    noteSuccessorGone: assign({ successorAlive: false }),
    noteSession: assign({ session: (_, session: 'one' | 'many') => session }),
    noteResult: assign({ result: (_, result: SwapResult) => result }),
    noteSealed: assign({ sealed: (_, sealed: { revisions: Revisions; fingerprint: Fingerprint }) => sealed }),
  },
  guards: {
    isIncumbentAlive: ({ context }) => context.incumbentAlive,
    isSuccessorAlive: ({ context }) => context.successorAlive,
    isPrepared: ({ context }) => context.prepared,
    isUndisturbed: ({ context }) => !context.disturbed,
    hasFailed: ({ context }) => context.failure !== null,
    /** Verdicts after which a successor may have gone live by its own deadline meanwhile. */
    mayServeAlready: ({ context }) =>
      context.successorAlive &&
      (context.failure === 'ERR_HANDOFF_DEADLINE_TIMEOUT' ||
        context.failure === 'ERR_HANDOFF_SUCCESSOR_SILENT' ||
        context.failure === 'ERR_HANDOFF_SUCCESSOR_NOT_SERVING'),
    isHeard: ({ context }) => context.prepared && context.session === 'many',
    hasProbation: ({ context }) => context.policy.probationMs > 0,
  },
  delays: {
    deadlineMs: ({ context }) => context.policy.deadlineMs,
    successorBootMs: ({ context }) => context.policy.successorBootMs,
    greetingMs: ({ context }) => context.policy.greetingMs,
    livenessMs: ({ context }) => context.policy.livenessMs,
    drainOverdueMs: ({ context }) => context.policy.drainGraceMs + context.policy.deadlineSlackMs,
    exitNoticeMs: ({ context }) => context.policy.exitNoticeMs,
    confirmMs: ({ context }) => context.policy.confirmMs,
    probationMs: ({ context }) => context.policy.probationMs,
    successorKillGraceMs: ({ context }) => context.policy.successorKillGraceMs,
    resumeBudgetMs: ({ context }) => context.policy.resumeBudgetMs,
  },
}).createMachine({
  id: 'swap',
  context: ({ input }) => ({
    policy: input.policy,
    incumbentPid: input.incumbentPid,
    successorPid: null,
    prepared: false,
    disturbed: false,
    session: 'one',
    incumbentAlive: true,
    successorAlive: false,
    sealed: null,
    failure: null,
    result: 'nobodyServes',
  }),
  initial: 'journaling',
  on: {
    'incumbent.exited': { actions: 'noteIncumbentGone' },
    'successor.progressed': {},
    'incumbent.progressed': {},
    // Where nobody owes a word any more, the end of a stream is no news; an incumbent cannot be told anything then.
    'successor.disconnected': {},
    'incumbent.disconnected': { actions: 'noteUnprepared' },
    'successor.*': { actions: { type: 'recordUnexpected', params: ({ event }) => ({ event: event.type }) } },
    'incumbent.*': { actions: { type: 'recordUnexpected', params: ({ event }) => ({ event: event.type }) } },
  },
  states: {
    journaling: {
      tags: ['undoable'],
      invoke: {
        id: 'writeJournal',
        src: 'writeJournal',
        input: { phase: 'negotiating' },
        onDone: 'spawning',
        onError: {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_JOURNAL_WRITE' },
        },
      },
      on: {
        'operator.cancelled': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_CANCELLED' },
        },
        'incumbent.exited': {
          target: 'undoing',
          actions: ['noteIncumbentGone', { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_EXITED' }],
        },
      },
      // A disk that hangs is no reason to hang with it.
      after: {
        greetingMs: { target: 'undoing', actions: { type: 'noteFailure', params: 'ERR_HANDOFF_JOURNAL_WRITE' } },
      },
    },

    /** Left only by its own end: a child whose pid is not known would be an orphan (INV-10). */
    spawning: {
      tags: ['undoable'],
      invoke: {
        id: 'spawnSuccessor',
        src: 'spawnSuccessor',
        onDone: [
          {
            guard: 'hasFailed',
            target: 'undoing',
            actions: { type: 'noteSuccessorPid', params: ({ event }) => event.output.pid },
          },
          {
            target: 'attempting',
            actions: { type: 'noteSuccessorPid', params: ({ event }) => event.output.pid },
          },
        ],
        onError: { target: 'undoing', actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SPAWN' } },
      },
      on: { 'operator.cancelled': { actions: { type: 'noteFailure', params: 'ERR_HANDOFF_CANCELLED' } } },
    },

    /** Everything that the deadline caps (decision 6). */
    attempting: {
      initial: 'awaitingSuccessor',
      after: {
        deadlineMs: {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_DEADLINE_TIMEOUT' },
        },
      },
      on: {
        'operator.cancelled': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_CANCELLED' },
        },
        // gap-13: noticed at once, by the child's end, in whatever phase.
        'successor.exited': {
          target: 'undoing',
          actions: ['noteSuccessorGone', { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_EXITED' }],
        },
        'successor.disconnected': { target: '.doubtingSuccessor' },
        'successor.violatedProtocol': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL' },
        },
        'successor.greeted': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL' },
        },
        'successor.becameReady': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL' },
        },
        // Decision 5: its lock is free and a successor stands ready, or is about to.
        'incumbent.exited': { target: '.opening', actions: ['noteIncumbentGone', 'forgetFailure'] },
        'incumbent.disconnected': { target: '.doubting', actions: 'noteUnprepared' },
        'incumbent.violatedProtocol': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL' },
        },
        'incumbent.greeted': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL' },
        },
        'incumbent.drained': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL' },
        },
        'incumbent.sealed': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL' },
        },
        // It serves again already: there is nothing left to tell it (gap-24).
        'incumbent.sealFailed': {
          target: 'undoing',
          actions: ['noteUnprepared', { type: 'noteFailure', params: 'ERR_HANDOFF_SEAL_FAILED' }],
        },
      },
      states: {
        /** The successor boots and prepares while the incumbent serves: outside the gap (decision 12). */
        awaitingSuccessor: {
          tags: ['undoable'],
          entry: { type: 'recordJournal', params: { phase: 'negotiating' } },
          on: {
            'incumbent.exited': { actions: 'noteIncumbentGone' },
            // Any other Hello breaks the protocol, like one at any other time.
            'successor.greeted': {
              guard: ({ context, event }) => event.pid === context.successorPid && event.versionOk,
              target: 'recording',
              actions: { type: 'sendToSuccessor', params: { kind: 'HelloAck' } },
            },
          },
          after: {
            successorBootMs: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT' },
            },
          },
        },

        /**
         * On disk before Begin can be said, and still outside the gap: a successor that was told to take the lock must be
         * known to the supervisor that comes after us, or it takes the lock in the middle of that one's next swap.
         */
        recording: {
          tags: ['undoable'],
          invoke: {
            id: 'writeJournal',
            src: 'writeJournal',
            input: { phase: 'negotiating' },
            onDone: [{ guard: 'isIncumbentAlive', target: 'dialling' }, { target: 'opening' }],
            onError: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_JOURNAL_WRITE' },
            },
          },
          on: { 'incumbent.exited': { actions: 'noteIncumbentGone' } },
          after: {
            greetingMs: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_JOURNAL_WRITE' },
            },
          },
        },

        dialling: {
          tags: ['undoable'],
          invoke: {
            id: 'dialIncumbent',
            src: 'dialIncumbent',
            onDone: 'awaitingIncumbent',
            onError: {
              target: 'doubting',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_UNREACHABLE' },
            },
          },
          after: {
            greetingMs: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_UNREACHABLE' },
            },
          },
        },

        awaitingIncumbent: {
          tags: ['undoable'],
          on: {
            'incumbent.greeted': {
              guard: ({ context, event }) => event.pid === context.incumbentPid && event.versionOk,
              target: 'draining',
              actions: [
                { type: 'noteSession', params: ({ event }) => event.session },
                { type: 'sendToIncumbent', params: { kind: 'HelloAck' } },
              ],
            },
          },
          after: {
            greetingMs: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_UNREACHABLE' },
            },
          },
        },

        draining: {
          tags: ['undoable'],
          entry: [
            'notePrepared',
            { type: 'recordJournal', params: { phase: 'draining' } },
            {
              type: 'sendToIncumbent',
              params: ({ context }) => ({ kind: 'PrepareHandoff', successorPid: context.successorPid ?? 0 }),
            },
          ],
          on: {
            'incumbent.drained': [
              { guard: ({ event }) => event.acceptClosed, target: 'sealing' },
              {
                target: '#swap.undoing',
                actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_STILL_ACCEPTING' },
              },
            ],
            'incumbent.sealFailed': {
              target: '#swap.undoing',
              actions: ['noteUnprepared', { type: 'noteFailure', params: 'ERR_HANDOFF_DRAIN_FAILED' }],
            },
          },
          initial: 'listening',
          states: {
            listening: {
              on: { 'incumbent.progressed': { target: 'listening', reenter: true } },
              after: {
                livenessMs: {
                  target: '#swap.undoing',
                  actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_SILENT' },
                },
              },
            },
          },
          after: {
            drainOverdueMs: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_DRAIN_FAILED' },
            },
          },
        },

        sealing: {
          tags: ['undoable', 'cut'],
          entry: [
            { type: 'sendToIncumbent', params: { kind: 'SealRequest' } },
            { type: 'recordJournal', params: { phase: 'sealing' } },
          ],
          on: {
            'incumbent.sealed': {
              target: 'opening',
              actions: {
                type: 'noteSealed',
                params: ({ event }) => ({ revisions: event.revisions, fingerprint: event.fingerprint }),
              },
            },
          },
          initial: 'listening',
          states: {
            listening: {
              on: { 'incumbent.progressed': { target: 'listening', reenter: true } },
              after: {
                livenessMs: {
                  target: '#swap.undoing',
                  actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_SILENT' },
                },
              },
            },
          },
        },

        /** Its channel closed: mostly the news of its exit, and with it the reason, is on the way. */
        doubtingSuccessor: {
          tags: ['undoable', 'cut'],
          on: {
            'incumbent.exited': { actions: 'noteIncumbentGone' },
            'incumbent.disconnected': { actions: 'noteUnprepared' },
            'incumbent.drained': {},
            'incumbent.sealed': {},
          },
          after: {
            exitNoticeMs: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_DISCONNECTED' },
            },
          },
        },

        /** Its socket closed: the news of its death may be on the way. Dead: go on. Alive: it took that as the abort. */
        doubting: {
          tags: ['undoable', 'cut'],
          after: {
            exitNoticeMs: {
              target: '#swap.undoing',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_DISCONNECTED' },
            },
          },
        },

        /** The successor takes the lock and opens. The incumbent may come and go: the lock decides. */
        opening: {
          tags: ['undoable', 'cut'],
          entry: [
            { type: 'sendToSuccessor', params: { kind: 'Begin' } },
            { type: 'recordJournal', params: { phase: 'awaitingReady' } },
          ],
          on: {
            'successor.becameReady': [
              {
                guard: ({ event }) => !event.healthy,
                target: '#swap.undoing',
                actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_UNHEALTHY' },
              },
              {
                guard: ({ context, event }) =>
                  context.sealed !== null && !isNotBehind(event.revisions, context.sealed.revisions),
                target: '#swap.undoing',
                actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_BEHIND' },
              },
              {
                guard: ({ context, event }) =>
                  context.sealed !== null && !isSameData(event.fingerprint, context.sealed.fingerprint),
                target: '#swap.undoing',
                actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_FINGERPRINT' },
              },
              { target: '#swap.verifying' },
            ],
            'incumbent.exited': { actions: 'noteIncumbentGone' },
            'incumbent.disconnected': { actions: 'noteUnprepared' },
          },
          initial: 'listening',
          states: {
            listening: {
              on: { 'successor.progressed': { target: 'listening', reenter: true } },
              after: {
                livenessMs: {
                  target: '#swap.undoing',
                  actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_SILENT' },
                },
              },
            },
          },
        },
      },
    },

    /** Ready was checked; the successor is told to go live and must answer on the control path (INV-09, INV-13). */
    verifying: {
      tags: ['cut'],
      entry: [
        { type: 'sendToSuccessor', params: { kind: 'Commit' } },
        { type: 'recordJournal', params: { phase: 'committed' } },
      ],
      invoke: {
        id: 'confirmServing',
        src: 'confirmServing',
        input: ({ context }) => ({ role: 'successor', pid: context.successorPid ?? 0 }),
        onDone: [{ guard: 'hasProbation', target: 'probation' }, { target: 'committed' }],
        onError: {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_NOT_SERVING' },
        },
      },
      on: {
        'successor.exited': {
          target: 'undoing',
          actions: ['noteSuccessorGone', { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_EXITED' }],
        },
      },
      after: {
        confirmMs: {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_NOT_SERVING' },
        },
      },
    },

    /** The successor serves; the incumbent stays sealed and warm, one message away from serving again (decision 11). */
    probation: {
      entry: 'watchSuccessor',
      on: {
        'successor.exited': {
          target: 'undoing',
          actions: ['noteSuccessorGone', { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_EXITED' }],
        },
        'successor.becameUnhealthy': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SUCCESSOR_UNHEALTHY' },
        },
        'operator.cancelled': {
          target: 'undoing',
          actions: { type: 'noteFailure', params: 'ERR_HANDOFF_CANCELLED' },
        },
        // Nobody to go back to: the successor is the service.
        'incumbent.exited': { target: 'committed', actions: 'noteIncumbentGone' },
      },
      after: { probationMs: 'committed' },
    },

    undoing: {
      tags: ['undoing'],
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            { guard: 'mayServeAlready', target: 'lookingOnceMore' },
            { guard: 'isSuccessorAlive', target: 'endingSuccessor' },
            { guard: 'isIncumbentAlive', target: 'tellingIncumbent' },
            { target: '#swap.nobodyServes' },
          ],
        },

        /** A supervisor that slept finds its successor serving by its own deadline: then that is the truth. */
        lookingOnceMore: {
          invoke: {
            id: 'probeControl',
            src: 'probeControl',
            onDone: [
              { guard: ({ event }) => event.output.answeredBy === 'successor', target: '#swap.committed' },
              { target: 'endingSuccessor' },
            ],
            onError: 'endingSuccessor',
          },
          on: {
            'successor.exited': { target: 'deciding', actions: 'noteSuccessorGone' },
          },
          after: { greetingMs: 'endingSuccessor' },
        },

        /** Dead first, channel closed after: an EOF would tell a living successor to go live (decision 4, gap-25). */
        endingSuccessor: {
          entry: [
            {
              type: 'sendToSuccessor',
              params: ({ context }) => ({ kind: 'Abort', failure: context.failure ?? 'ERR_HANDOFF_CANCELLED' }),
            },
            { type: 'signalSuccessor', params: { signal: 'SIGTERM' } },
          ],
          initial: 'asking',
          on: {
            'successor.exited': [
              { guard: 'isIncumbentAlive', target: 'tellingIncumbent', actions: 'noteSuccessorGone' },
              { target: '#swap.nobodyServes', actions: 'noteSuccessorGone' },
            ],
          },
          states: {
            asking: { after: { successorKillGraceMs: 'killing' } },
            killing: { entry: { type: 'signalSuccessor', params: { signal: 'SIGKILL' } } },
          },
        },

        /** The successor is dead, killed or by itself: only now is its channel closed. */
        tellingIncumbent: {
          entry: ['closeSuccessorChannel', { type: 'recordJournal', params: { phase: 'resumingAfterAbort' } }],
          always: [
            {
              guard: 'isPrepared',
              target: 'resumingIncumbent',
              actions: { type: 'sendToIncumbent', params: { kind: 'ResumeAfterAbort' } },
            },
            { target: 'resumingIncumbent' },
          ],
        },

        /** Reported only when it answers (INV-12). */
        resumingIncumbent: {
          invoke: {
            id: 'confirmServing',
            src: 'confirmServing',
            input: ({ context }) => ({ role: 'incumbent', pid: context.incumbentPid }),
            onDone: '#swap.rolledBack',
            onError: {
              target: 'endingIncumbent',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_RESUME' },
            },
          },
          on: {
            'incumbent.exited': { target: '#swap.nobodyServes', actions: 'noteIncumbentGone' },
            'incumbent.sealFailed': {},
            'incumbent.drained': {},
            'incumbent.sealed': {},
          },
          after: {
            // Its control path is lost, its service is not: it was never asked to stop.
            confirmMs: { guard: 'isUndisturbed', target: '#swap.rolledBack' },
            resumeBudgetMs: {
              target: 'endingIncumbent',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_RESUME' },
            },
          },
          initial: 'deciding',
          states: {
            deciding: { always: [{ guard: 'isHeard', target: 'listening' }, { target: 'unheard' }] },
            /** Reopening may take long; an incumbent that beats is given the whole budget, a mute one is not. */
            listening: {
              on: {
                'incumbent.progressed': { target: 'listening', reenter: true },
                'incumbent.disconnected': 'unheard',
              },
              after: {
                livenessMs: {
                  target: '#swap.undoing.endingIncumbent',
                  actions: { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_SILENT' },
                },
              },
            },
            /** A reference incumbent greets nobody while our session is open: it is closed, and only the path speaks. */
            unheard: { entry: 'closeIncumbentSession' },
          },
        },

        /** It neither serves nor ends, and it may hold the lock: it makes room for a fresh one (INV-08). */
        endingIncumbent: {
          entry: { type: 'signalIncumbent', params: { signal: 'SIGKILL' } },
          on: { 'incumbent.exited': { target: '#swap.nobodyServes', actions: 'noteIncumbentGone' } },
        },
      },
    },

    committed: {
      type: 'final',
      tags: ['committed', 'ended'],
      entry: [
        { type: 'noteResult', params: 'committed' },
        { type: 'sendToIncumbent', params: { kind: 'Commit' } },
        'closeSuccessorChannel',
        // The journal is left: it names the incumbent until that has ended, for a supervisor that comes after us.
        'closeIncumbentSession',
      ],
    },
    rolledBack: {
      type: 'final',
      tags: ['ended'],
      entry: [{ type: 'noteResult', params: 'rolledBack' }, 'closeIncumbentSession', 'clearJournal'],
    },
    nobodyServes: {
      type: 'final',
      tags: ['ended'],
      entry: [
        { type: 'noteResult', params: 'nobodyServes' },
        'closeSuccessorChannel',
        'closeIncumbentSession',
        'clearJournal',
      ],
    },
  },
  output: ({ context }): SwapOutput => ({
    result: context.result,
    failure: context.failure,
    servingPid:
      context.result === 'committed'
        ? context.successorPid
        : context.result === 'rolledBack'
          ? context.incumbentPid
          : null,
    failover: context.result === 'committed' && context.sealed === null,
    retiringPid: context.result === 'committed' && context.incumbentAlive ? context.incumbentPid : null,
  }),
})

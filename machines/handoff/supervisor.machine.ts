/**
 * The supervisor (S): holds the listening sockets, starts the daemon, replaces its program, starts it again when it dies.
 *
 * It may never: start a primitive without having looked for a living one first (INV-01, decision 9), close a listener
 * while it lives (INV-04), run two swaps at a time, or leave a process behind that nobody knows (INV-10). To a build that
 * is only rehearsed it can say nothing but Abort: it gets no Begin, so it never has the lock, the path or a client (INV-01).
 * It may itself die at any instant: `recovering` finds what is alive and adopts it, listeners included (INV-07).
 */
import { and, assign, not, setup } from 'xstate'
import { unboundAction, unboundActor } from '../effects.js'
import type { FailureCode } from './failures.js'
import { type Policy, respawnPauseMs } from './policy.js'
import {
  cancelled,
  type Look,
  leftoversOf,
  nobodyServes,
  REFUSALS,
  rehearsalReport,
  type SupervisorContext,
  type SupervisorEvents,
  type SupervisorInput,
} from './supervisor-context.js'
import { type SwapOutput, swapMachine } from './swap.machine.js'

export type { Look, SupervisorContext, SupervisorEvents, SupervisorInput } from './supervisor-context.js'

export const supervisorMachine = setup({
  types: {
    context: {} as SupervisorContext,
    events: {} as SupervisorEvents,
    input: {} as SupervisorInput,
    output: {} as { failure: FailureCode | null },
    tags: {} as 'serving' | 'swapping' | 'starting' | 'degraded' | 'ended',
  },
  actors: {
    /** The journal of a predecessor; a corrupt one is set aside and reads as none (gap-18). */
    readJournal: unboundActor<{ pids: readonly number[]; begun: boolean }>('readJournal'),
    /** One look: who answers on the control path, which journaled processes live. */
    lookAround: unboundActor<Look, { pids: readonly number[] }>('lookAround'),
    /** Get the listeners back from a living primitive; what it does not give is bound. */
    takeListeners: unboundActor<void, { pid: number }>('takeListeners'),
    bindListeners: unboundActor<void>('bindListeners'),
    /** The same once more, for an address that was taken a moment ago. */
    rebindListeners: unboundActor<void>('rebindListeners'),
    /** Kill processes that neither serve nor end, and wait for their exit. */
    fence: unboundActor<void, { pids: readonly number[] }>('fence'),
    /** In the journal before anything is started: who finds it waits for a process that it cannot know (INV-10). */
    recordStart: unboundActor<void>('recordStart'),
    /**
     * `requested`: the build of the swap that is owed; otherwise the last one that served. Leaves the new pid in the
     * journal: a supervisor that dies before anybody answers must not start a rival (INV-10).
     */
    startPrimitive: unboundActor<{ pid: number }, { build: 'current' | 'requested' }>('startPrimitive'),
    confirmServing: unboundActor<void, { pid: number }>('confirmServing'),
    startRehearsed: unboundActor<{ pid: number }>('startRehearsed'),
    /** The swap machine; the door binds its effects. */
    swap: swapMachine,
  },
  actions: {
    /** Notice the exit of a process that is no child of ours; one that was to retire serves again, and is left in peace. */
    watchPrimitive: unboundAction<{ pid: number }>('watchPrimitive'),
    /** Let a committed-away incumbent end: SIGTERM after its grace, then SIGKILL; reaped in any case. */
    retireIncumbent: unboundAction<{ pid: number }>('retireIncumbent'),
    /** The same for what a predecessor left behind: watched, so that each end is told, then retired. */
    retireLeftovers: unboundAction<{ pids: readonly number[] }>('retireLeftovers'),
    signalPrimitive: unboundAction<{ signal: 'SIGTERM' | 'SIGKILL' }>('signalPrimitive'),
    clearJournal: unboundAction('clearJournal'),
    /** Settle the promise of the swap that was asked for. */
    reportOutcome: unboundAction<SwapOutput>('reportOutcome'),
    /** A swap while one is running, or while there is nothing to swap. */
    refuseSwap: unboundAction('refuseSwap'),
    cancelSwap: unboundAction('cancelSwap'),
    sendToRehearsed: unboundAction<{ kind: 'Abort'; pid: number | null }>('sendToRehearsed'),
    signalRehearsed: unboundAction<{ signal: 'SIGTERM'; pid: number | null }>('signalRehearsed'),
    /** SIGKILL unless it has ended, also to one that is only being born; its channel is closed. It owned nothing. */
    endRehearsed: unboundAction<{ pid: number | null }>('endRehearsed'),
    /** Settle the promise of the rehearsal that was asked for; null: it passed. */
    reportRehearsal: unboundAction<{ failure: FailureCode | null }>('reportRehearsal'),
    notePids: assign({ journaled: (_, pids: readonly number[]) => pids }),
    noteBegun: assign({ begun: (_, begun: boolean) => begun }),
    notePrimitive: assign({ primitivePid: (_, pid: number | null) => pid }),
    /** Who serves is nobody that is to end. */
    noteFound: assign({
      primitivePid: (_, pid: number | null) => pid,
      retiring: ({ context }, pid) => context.retiring.filter((other) => other !== pid),
    }),
    noteRetiring: assign({
      retiring: ({ context }, pids: readonly number[]) => [...new Set([...context.retiring, ...pids])].sort(),
    }),
    noteEnded: assign({ retiring: ({ context }, pid: number) => context.retiring.filter((other) => other !== pid) }),
    noteFailure: assign({ failure: (_, code: FailureCode | null) => code }),
    countRefusal: assign({ refusals: ({ context }) => Math.min(context.refusals + 1, REFUSALS) }),
    forgetRecovery: assign({ begun: false, refusals: 0 }),
    noteOwed: assign({ owed: true }),
    notePaid: assign({ owed: false }),
    noteStop: assign({ stopOwed: true }),
    noteLeave: assign({ leaveOwed: true }),
    notePolicy: assign({ policy: (_, policy: Policy) => policy }),
    countFailure: assign({
      failures: ({ context }) => Math.min(context.failures + 1, context.policy.crashLoopLimit),
    }),
    clearFailures: assign({ failures: 0, failure: null }),
    noteRehearsed: assign({ rehearsedPid: (_, pid: number) => pid }),
    noteVerdict: assign({
      verdict: ({ context }, verdict: 'passed' | FailureCode) => context.verdict ?? verdict,
    }),
    forgetRehearsed: assign({ rehearsedPid: null, verdict: null }),
  },
  guards: {
    isPrimitive: ({ context }, pid: number) => context.primitivePid === pid,
    isRehearsed: ({ context }, pid: number) => context.rehearsedPid === pid,
    isLastRetiring: ({ context }, pid: number) => context.retiring.length === 1 && context.retiring[0] === pid,
    hasRetiring: ({ context }) => context.retiring.length > 0,
    isRefused: ({ context }) => context.refusals >= REFUSALS,
    isStopOwed: ({ context }) => context.stopOwed,
    isLeaveOwed: ({ context }) => context.leaveOwed,
    isBegun: ({ context }) => context.begun,
    hasJournaled: ({ context }) => context.journaled.length > 0,
    hasFailedBefore: ({ context }) => context.failures > 0,
    isOwed: ({ context }) => context.owed,
    isCrashLooping: ({ context }) => context.failures >= context.policy.crashLoopLimit,
    hasPrimitive: ({ context }) => context.primitivePid !== null,
  },
  delays: {
    settlePollMs: ({ context }) => context.policy.settlePollMs,
    // Never before a successor's own deadline, which is ours plus slack: it may still be opening.
    settleMs: ({ context }) =>
      Math.max(context.policy.settleMs, context.policy.deadlineMs + 4 * context.policy.deadlineSlackMs),
    openBudgetMs: ({ context }) => context.policy.openBudgetMs,
    stableMs: ({ context }) => context.policy.stableMs,
    // The primitive drains within its own grace first.
    stopGraceMs: ({ context }) => context.policy.stopGraceMs + context.policy.deadlineSlackMs,
    respawnPauseMs: ({ context }) => respawnPauseMs(context.policy, context.failures),
    successorBootMs: ({ context }) => context.policy.successorBootMs,
    exitNoticeMs: ({ context }) => context.policy.exitNoticeMs,
    successorKillGraceMs: ({ context }) => context.policy.successorKillGraceMs,
  },
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => ({
    policy: input.policy,
    primitivePid: null,
    journaled: [],
    begun: false,
    refusals: 0,
    retiring: [],
    failures: 0,
    owed: false,
    stopOwed: false,
    leaveOwed: false,
    failure: null,
    rehearsedPid: null,
    verdict: null,
  }),
  initial: 'recovering',
  on: {
    'swap.requested': { actions: 'refuseSwap' },
    'primitive.exited': { actions: { type: 'noteEnded', params: ({ event }) => event.pid } },
    'operator.reconfigured': { actions: { type: 'notePolicy', params: ({ event }) => event.policy } },
  },
  states: {
    /** Look before binding, look before starting (decision 8). */
    recovering: {
      tags: ['starting'],
      initial: 'readingJournal',
      on: { 'operator.stopped': 'stopped', 'operator.left': 'stopped' },
      exit: 'forgetRecovery',
      states: {
        readingJournal: {
          invoke: {
            id: 'readJournal',
            src: 'readJournal',
            onDone: {
              target: 'watching',
              actions: [
                { type: 'notePids', params: ({ event }) => event.output.pids },
                { type: 'noteBegun', params: ({ event }) => event.output.begun },
              ],
            },
            onError: 'watching',
          },
        },
        watching: {
          initial: 'looking',
          // Who is in no journal may be a stranger: it is not ended, and what it holds is asked for.
          after: { settleMs: [{ guard: 'hasJournaled', target: 'fencing' }, { target: 'binding' }] },
          states: {
            looking: {
              invoke: {
                id: 'lookAround',
                src: 'lookAround',
                input: ({ context }) => ({ pids: context.journaled }),
                onDone: [
                  {
                    guard: ({ event }) => event.output.answeringPid !== null,
                    target: '#supervisor.recovering.adopting',
                    actions: [
                      { type: 'noteFound', params: ({ event }) => event.output.answeringPid },
                      { type: 'noteRetiring', params: ({ event }) => leftoversOf(event.output) },
                      { type: 'retireLeftovers', params: ({ event }) => ({ pids: leftoversOf(event.output) }) },
                    ],
                  },
                  { guard: ({ event }) => event.output.livingPids.length > 0, target: 'settling' },
                  // Its word stays in the journal until our own start takes its place.
                  { guard: 'isBegun', target: '#supervisor.recovering.binding' },
                  // So may be what the last of those it names had begun.
                  {
                    target: '#supervisor.recovering.binding',
                    actions: [
                      'clearJournal',
                      { type: 'noteBegun', params: ({ context }) => context.journaled.length > 0 },
                      { type: 'notePids', params: [] },
                    ],
                  },
                ],
                onError: 'settling',
              },
            },
            /** A swap goes on without us: both sides know how to end it. */
            settling: { after: { settlePollMs: 'looking' } },
          },
        },
        /** It had longer than its own deadline: neither serving nor ended, it stands in the way (X12). */
        fencing: {
          invoke: {
            id: 'fence',
            src: 'fence',
            input: ({ context }) => ({ pids: context.journaled }),
            onDone: { target: 'watching', actions: { type: 'notePids', params: [] } },
            onError: 'watching',
          },
        },
        adopting: {
          // What is found alive is ours to stop as well.
          on: { 'operator.stopped': { actions: 'noteStop' } },
          invoke: {
            id: 'takeListeners',
            src: 'takeListeners',
            input: ({ context }) => ({ pid: context.primitivePid ?? 0 }),
            onDone: [
              {
                guard: 'isStopOwed',
                target: '#supervisor.stopping',
                actions: { type: 'watchPrimitive', params: ({ context }) => ({ pid: context.primitivePid ?? 0 }) },
              },
              // Who comes after us must know of them too, until they have ended.
              {
                guard: 'hasRetiring',
                target: '#supervisor.serving',
                actions: [
                  { type: 'notePids', params: [] },
                  { type: 'watchPrimitive', params: ({ context }) => ({ pid: context.primitivePid ?? 0 }) },
                ],
              },
              {
                target: '#supervisor.serving',
                actions: [
                  'clearJournal',
                  { type: 'notePids', params: [] },
                  { type: 'watchPrimitive', params: ({ context }) => ({ pid: context.primitivePid ?? 0 }) },
                ],
              },
            ],
            // It keeps what it has; or it died meanwhile, and who holds the address was begun by its supervisor too.
            onError: { target: 'lookingForHolder', actions: ['countRefusal', { type: 'noteBegun', params: true }] },
          },
        },
        binding: {
          invoke: {
            id: 'bindListeners',
            src: 'bindListeners',
            onDone: '#supervisor.starting',
            onError: 'lookingForHolder',
          },
        },
        /** The address is taken. By a primitive of a dead supervisor that did not serve when we looked? */
        lookingForHolder: {
          invoke: {
            id: 'lookAround',
            src: 'lookAround',
            input: { pids: [] },
            onDone: [
              {
                guard: and([({ event }) => event.output.answeringPid !== null, not('isRefused')]),
                target: 'adopting',
                actions: { type: 'noteFound', params: ({ event }) => event.output.answeringPid },
              },
              // It serves on without us: to ask again and again would only cost it time.
              {
                guard: ({ event }) => event.output.answeringPid !== null,
                target: '#supervisor.failed',
                actions: [
                  { type: 'notePrimitive', params: ({ event }) => event.output.answeringPid },
                  { type: 'noteFailure', params: 'ERR_HANDOFF_LISTENERS' },
                ],
              },
              // Stopped or overloaded, but there: it is worth as much as one that the journal names (INV-07).
              {
                guard: ({ event }) => event.output.livingPids.length > 0,
                target: 'watching',
                actions: { type: 'notePrimitive', params: null },
              },
              { guard: 'isBegun', target: 'awaitingHolder', actions: { type: 'notePrimitive', params: null } },
              {
                target: '#supervisor.failed',
                actions: { type: 'noteFailure', params: 'ERR_HANDOFF_LISTENERS' },
              },
            ],
            onError: {
              target: '#supervisor.failed',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_LISTENERS' },
            },
          },
        },
        /** Most likely the program that a predecessor had just started: within its budget it answers, or ends (INV-07). */
        awaitingHolder: {
          initial: 'pausing',
          after: {
            openBudgetMs: {
              target: '#supervisor.failed',
              actions: { type: 'noteFailure', params: 'ERR_HANDOFF_LISTENERS' },
            },
          },
          states: {
            pausing: { after: { settlePollMs: 'looking' } },
            looking: {
              invoke: {
                id: 'lookAround',
                src: 'lookAround',
                input: { pids: [] },
                onDone: [
                  {
                    guard: ({ event }) => event.output.answeringPid !== null,
                    target: '#supervisor.recovering.adopting',
                    actions: { type: 'noteFound', params: ({ event }) => event.output.answeringPid },
                  },
                  { target: 'binding' },
                ],
                onError: 'pausing',
              },
            },
            binding: {
              invoke: {
                id: 'rebindListeners',
                src: 'rebindListeners',
                onDone: '#supervisor.starting',
                onError: 'pausing',
              },
            },
          },
        },
      },
    },

    /** A cold start: the lock is the primitive's own business, the listeners are ours. */
    starting: {
      tags: ['starting'],
      initial: 'recording',
      states: {
        /** Without the record a supervisor that dies between fork and its next write would leave a process that nobody knows. */
        recording: {
          on: {
            'operator.stopped': { target: '#supervisor.stopped', actions: 'clearJournal' },
            'operator.left': { target: '#supervisor.stopped', actions: 'clearJournal' },
          },
          invoke: {
            id: 'recordStart',
            src: 'recordStart',
            onDone: 'spawning',
            // A full disk is no reason not to serve.
            onError: 'spawning',
          },
        },
        /** Left only by its own end: a child whose pid is not known would be an orphan (INV-10). */
        spawning: {
          on: { 'operator.stopped': { actions: 'noteStop' }, 'operator.left': { actions: 'noteLeave' } },
          invoke: {
            id: 'startPrimitive',
            src: 'startPrimitive',
            input: ({ context }) => ({ build: context.owed ? 'requested' : 'current' }),
            onDone: [
              {
                guard: 'isStopOwed',
                target: '#supervisor.stopping',
                actions: { type: 'notePrimitive', params: ({ event }) => event.output.pid },
              },
              {
                guard: 'isLeaveOwed',
                target: '#supervisor.stopped',
                actions: { type: 'notePrimitive', params: ({ event }) => event.output.pid },
              },
              {
                target: 'confirming',
                actions: { type: 'notePrimitive', params: ({ event }) => event.output.pid },
              },
            ],
            onError: [
              // The stop that follows clears the journal.
              {
                guard: 'isStopOwed',
                target: '#supervisor.pausing',
                actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SPAWN' },
              },
              {
                target: '#supervisor.pausing',
                actions: ['clearJournal', 'countFailure', { type: 'noteFailure', params: 'ERR_HANDOFF_SPAWN' }],
              },
            ],
          },
        },
        confirming: {
          invoke: {
            id: 'confirmServing',
            src: 'confirmServing',
            input: ({ context }) => ({ pid: context.primitivePid ?? 0 }),
            onDone: [
              {
                guard: 'isOwed',
                target: '#supervisor.serving',
                actions: [
                  {
                    type: 'reportOutcome',
                    params: ({ context }) => ({
                      result: 'committed',
                      failure: null,
                      servingPid: context.primitivePid,
                      failover: true,
                      retiringPid: null,
                    }),
                  },
                  'notePaid',
                  'clearJournal',
                ],
              },
              { target: '#supervisor.serving', actions: 'clearJournal' },
            ],
            onError: { target: 'ending', actions: { type: 'noteFailure', params: 'ERR_HANDOFF_START_TIMEOUT' } },
          },
          on: {
            'operator.stopped': '#supervisor.stopping',
            'operator.left': '#supervisor.stopped',
            // A build that keeps failing is not worth waiting for when a better one is at hand.
            'swap.requested': [
              { guard: 'hasFailedBefore', target: 'replacing', actions: 'noteOwed' },
              { actions: 'refuseSwap' },
            ],
            'primitive.exited': {
              guard: { type: 'isPrimitive', params: ({ event }) => event.pid },
              target: '#supervisor.pausing',
              actions: [
                'countFailure',
                { type: 'notePrimitive', params: null },
                { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_EXITED' },
              ],
            },
          },
          after: {
            openBudgetMs: { target: 'ending', actions: { type: 'noteFailure', params: 'ERR_HANDOFF_START_TIMEOUT' } },
          },
        },
        /** Nothing was served from here: the build that was asked for takes its place at once. */
        replacing: {
          entry: { type: 'signalPrimitive', params: { signal: 'SIGKILL' } },
          on: {
            'operator.stopped': '#supervisor.stopping',
            'operator.left': '#supervisor.stopped',
            'primitive.exited': {
              guard: { type: 'isPrimitive', params: ({ event }) => event.pid },
              target: 'recording',
              actions: { type: 'notePrimitive', params: null },
            },
          },
        },
        ending: {
          entry: { type: 'signalPrimitive', params: { signal: 'SIGKILL' } },
          on: {
            'operator.stopped': '#supervisor.stopping',
            'operator.left': '#supervisor.stopped',
            'primitive.exited': {
              guard: { type: 'isPrimitive', params: ({ event }) => event.pid },
              target: '#supervisor.pausing',
              actions: ['countFailure', { type: 'notePrimitive', params: null }],
            },
          },
        },
      },
    },

    serving: {
      tags: ['serving'],
      initial: 'fresh',
      on: {
        'swap.requested': [{ guard: 'hasRetiring', target: 'clearing' }, { target: 'swapping' }],
        'primitive.exited': [
          {
            guard: { type: 'isPrimitive', params: ({ event }) => event.pid },
            target: 'pausing',
            actions: [
              'countFailure',
              { type: 'notePrimitive', params: null },
              { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_EXITED' },
            ],
          },
          {
            guard: { type: 'isLastRetiring', params: ({ event }) => event.pid },
            actions: [{ type: 'noteEnded', params: ({ event }) => event.pid }, 'clearJournal'],
          },
        ],
        'operator.stopped': 'stopping',
        'operator.left': 'stopped',
      },
      states: {
        fresh: {
          on: { 'rehearsal.requested': 'rehearsing' },
          after: { stableMs: { target: 'stable', actions: 'clearFailures' } },
        },
        stable: { on: { 'rehearsal.requested': 'rehearsing' } },
        /**
         * Everything else goes on as it does in `serving`: a swap that is asked for, a stop, and the death of the primitive
         * leave this state, and with it the rehearsed process ends at once.
         */
        rehearsing: {
          initial: 'spawning',
          exit: [
            { type: 'endRehearsed', params: ({ context }) => ({ pid: context.rehearsedPid }) },
            { type: 'reportRehearsal', params: rehearsalReport },
            'forgetRehearsed',
          ],
          on: {
            'primitive.exited': {
              guard: { type: 'isRehearsed', params: ({ event }) => event.pid },
              target: '.ended',
              actions: { type: 'noteVerdict', params: 'ERR_HANDOFF_SUCCESSOR_EXITED' },
            },
          },
          states: {
            spawning: {
              invoke: {
                id: 'startRehearsed',
                src: 'startRehearsed',
                onDone: {
                  target: 'awaitingHello',
                  actions: { type: 'noteRehearsed', params: ({ event }) => event.output.pid },
                },
                onError: { target: 'ended', actions: { type: 'noteVerdict', params: 'ERR_HANDOFF_SPAWN' } },
              },
            },
            /** It boots, imports, and runs its `prepare`. Never acknowledged: a Begin would be a violation to it. */
            awaitingHello: {
              on: {
                'rehearsed.greeted': [
                  {
                    guard: ({ context, event }) => event.pid === context.rehearsedPid && event.versionOk,
                    target: 'aborting',
                    actions: { type: 'noteVerdict', params: 'passed' },
                  },
                  {
                    target: 'aborting',
                    actions: { type: 'noteVerdict', params: 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL' },
                  },
                ],
                'rehearsed.violatedProtocol': {
                  target: 'aborting',
                  actions: { type: 'noteVerdict', params: 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL' },
                },
                'rehearsed.disconnected': 'doubting',
              },
              after: {
                successorBootMs: {
                  target: 'aborting',
                  actions: { type: 'noteVerdict', params: 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT' },
                },
              },
            },
            /** Mostly the news of its exit, and with it the reason, is on the way. */
            doubting: {
              after: {
                exitNoticeMs: {
                  target: 'aborting',
                  actions: { type: 'noteVerdict', params: 'ERR_HANDOFF_SUCCESSOR_DISCONNECTED' },
                },
              },
            },
            aborting: {
              entry: {
                type: 'sendToRehearsed',
                params: ({ context }) => ({ kind: 'Abort', pid: context.rehearsedPid }),
              },
              after: { successorKillGraceMs: 'terminating' },
            },
            terminating: {
              entry: {
                type: 'signalRehearsed',
                params: ({ context }) => ({ signal: 'SIGTERM', pid: context.rehearsedPid }),
              },
              after: { successorKillGraceMs: 'ended' },
            },
            ended: { always: '#supervisor.serving.fresh' },
          },
        },
      },
    },

    /** A swap was asked for, and a process of the last one still lives: it ends soon, or is ended. */
    clearing: {
      tags: ['serving', 'swapping'],
      always: { guard: not('hasRetiring'), target: 'swapping' },
      on: {
        'primitive.exited': {
          guard: { type: 'isPrimitive', params: ({ event }) => event.pid },
          // What was asked for is still due: the retired one may serve again, or the new build is started at once.
          target: 'looking',
          actions: [
            'countFailure',
            'noteOwed',
            { type: 'notePrimitive', params: null },
            { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_EXITED' },
          ],
        },
        'operator.stopped': { target: 'stopping', actions: { type: 'reportOutcome', params: cancelled } },
        'operator.left': { target: 'stopped', actions: { type: 'reportOutcome', params: cancelled } },
      },
    },

    swapping: {
      tags: ['serving', 'swapping'],
      initial: 'running',
      invoke: {
        id: 'swap',
        src: 'swap',
        input: ({ context }) => ({ policy: context.policy, incumbentPid: context.primitivePid ?? 0 }),
        onDone: [
          {
            guard: ({ event }) => event.output.result === 'nobodyServes',
            target: 'pausing',
            actions: [
              'countFailure',
              { type: 'notePrimitive', params: null },
              { type: 'noteFailure', params: ({ event }) => event.output.failure },
              { type: 'reportOutcome', params: ({ event }) => event.output },
            ],
          },
          {
            guard: ({ event }) => event.output.retiringPid !== null,
            target: 'settled',
            actions: [
              { type: 'notePrimitive', params: ({ event }) => event.output.servingPid },
              { type: 'noteRetiring', params: ({ event }) => [event.output.retiringPid ?? 0] },
              { type: 'retireIncumbent', params: ({ event }) => ({ pid: event.output.retiringPid ?? 0 }) },
              { type: 'reportOutcome', params: ({ event }) => event.output },
            ],
          },
          {
            target: 'settled',
            actions: [
              'clearJournal',
              { type: 'notePrimitive', params: ({ event }) => event.output.servingPid },
              { type: 'reportOutcome', params: ({ event }) => event.output },
            ],
          },
        ],
      },
      on: {
        // A stop waits for the verdict: half a swap is no place to leave the data. A second one does not wait.
        'operator.stopped': [
          { guard: 'isStopOwed', target: '#supervisor.stopping.killing' },
          { actions: ['cancelSwap', 'noteStop'] },
        ],
        'operator.left': { actions: 'noteLeave' },
      },
      states: { running: {} },
    },

    settled: {
      tags: ['serving'],
      always: [
        { guard: 'isStopOwed', target: 'stopping' },
        { guard: 'isLeaveOwed', target: 'stopped' },
        { target: 'serving' },
      ],
    },

    /** Exponential backoff; clients wait in the listeners' queues meanwhile (INV-04). */
    pausing: {
      tags: ['degraded'],
      initial: 'answering',
      on: {
        'operator.stopped': 'stopping',
        'operator.left': 'stopped',
        // A deploy that mends a crash loop need not wait for the backoff.
        'swap.requested': { target: 'looking', actions: 'noteOwed' },
      },
      after: { respawnPauseMs: 'looking' },
      states: {
        answering: {
          always: [
            { guard: 'isStopOwed', target: '#supervisor.stopping' },
            { guard: 'isLeaveOwed', target: '#supervisor.stopped' },
            { guard: 'isOwed', target: '#supervisor.lookingOnceMore' },
            { target: 'counting' },
          ],
        },
        counting: { always: [{ guard: 'isCrashLooping', target: 'crashLooping' }, { target: 'backingOff' }] },
        backingOff: {},
        crashLooping: {},
      },
    },

    /** The start that a swap asked for has failed: whoever serves meanwhile is the better answer than "nobody" (INV-12). */
    lookingOnceMore: {
      tags: ['degraded'],
      invoke: {
        id: 'lookAround',
        src: 'lookAround',
        input: { pids: [] },
        onDone: [
          {
            guard: ({ event }) => event.output.answeringPid !== null,
            target: 'clearing',
            actions: [
              { type: 'noteFound', params: ({ event }) => event.output.answeringPid },
              { type: 'watchPrimitive', params: ({ event }) => ({ pid: event.output.answeringPid ?? 0 }) },
              'clearJournal',
              'notePaid',
            ],
          },
          { target: 'pausing', actions: [{ type: 'reportOutcome', params: nobodyServes }, 'notePaid'] },
        ],
        onError: { target: 'pausing', actions: [{ type: 'reportOutcome', params: nobodyServes }, 'notePaid'] },
      },
      on: { 'operator.stopped': { actions: 'noteStop' }, 'operator.left': { actions: 'noteLeave' } },
    },

    /** Somebody may serve that we do not know of: look at the path before every start. */
    looking: {
      tags: ['degraded'],
      invoke: {
        id: 'lookAround',
        src: 'lookAround',
        input: { pids: [] },
        onDone: [
          {
            guard: and([({ event }) => event.output.answeringPid !== null, 'isOwed']),
            target: 'clearing',
            actions: [
              { type: 'noteFound', params: ({ event }) => event.output.answeringPid },
              { type: 'watchPrimitive', params: ({ event }) => ({ pid: event.output.answeringPid ?? 0 }) },
              'clearJournal',
              'notePaid',
            ],
          },
          {
            guard: ({ event }) => event.output.answeringPid !== null,
            target: 'serving',
            actions: [
              { type: 'noteFound', params: ({ event }) => event.output.answeringPid },
              { type: 'watchPrimitive', params: ({ event }) => ({ pid: event.output.answeringPid ?? 0 }) },
              'clearJournal',
            ],
          },
          { target: 'starting' },
        ],
        onError: 'starting',
      },
      on: { 'operator.stopped': 'stopping', 'operator.left': 'stopped' },
    },

    stopping: {
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            { guard: 'hasPrimitive', target: 'asking' },
            { target: '#supervisor.stopped', actions: 'clearJournal' },
          ],
        },
        asking: {
          entry: { type: 'signalPrimitive', params: { signal: 'SIGTERM' } },
          on: { 'operator.stopped': 'killing' },
          after: { stopGraceMs: 'killing' },
        },
        killing: { entry: { type: 'signalPrimitive', params: { signal: 'SIGKILL' } } },
      },
      on: {
        'primitive.exited': {
          guard: { type: 'isPrimitive', params: ({ event }) => event.pid },
          target: 'stopped',
          actions: [{ type: 'notePrimitive', params: null }, 'clearJournal'],
        },
      },
    },

    stopped: { type: 'final', tags: ['ended'] },
    failed: { type: 'final', tags: ['ended'] },
  },
  output: ({ context }) => ({ failure: context.failure }),
})

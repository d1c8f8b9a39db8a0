/**
 * The broker's side of one client connection, from accept to the end: Hello, reply, and the handoff to the backend.
 *
 * It may never: write to the client between reply and EVENT (INV-24), write EVENT without a valid ACK in hand, spend a
 * token twice (INV-21), or let go of a connection that the backend may hold without cutting it for everybody (INV-22).
 * Whatever happens here ends here: no event of one client reaches another one (W1).
 */
import { assign, setup } from 'xstate'
import { unboundAction } from '../effects.js'
import type { Failure, Reason, Stage } from './outcomes.js'
import type { BrokerPolicy } from './policy.js'

export interface ConnectionInput {
  readonly policy: BrokerPolicy
  /** Key of the connection's handles in src/; constant in a world. */
  readonly id: number
}

export interface ConnectionContext extends ConnectionInput {
  readonly failure: Failure | null
}

export type ConnectionEvents =
  /** A whole Hello was read and judged; what to answer is ready. */
  | { readonly type: 'client.askedForHandoff' }
  /** Anything else that deserves an answer: a refusal, an admin verb, a client that will not adopt (W5). */
  | { readonly type: 'client.asked' }
  | { readonly type: 'client.left' }
  | { readonly type: 'client.unreadable' }
  | { readonly type: 'reply.sent' }
  | { readonly type: 'reply.failed' }
  | { readonly type: 'handoff.cleared' }
  | { readonly type: 'handoff.declined'; readonly reason: Reason }
  | { readonly type: 'backend.dialled' }
  | { readonly type: 'backend.unreachable'; readonly reason: Reason }
  | { readonly type: 'transfer.done' }
  | { readonly type: 'transfer.failed'; readonly reason: Reason }
  | { readonly type: 'backend.accepted' }
  | { readonly type: 'backend.rejected' }
  | { readonly type: 'backend.answeredWrongly' }
  | { readonly type: 'backend.left' }
  | { readonly type: 'event.written' }
  | { readonly type: 'commit.impossible'; readonly reason: Reason }
  | { readonly type: 'broker.stopped' }

const failed = (stage: Stage, reason: Reason) => ({ type: 'noteFailure' as const, params: { stage, reason } })
const fallBack = (stage: Stage, reason: Reason) => ({
  target: '#connection.fallingBack' as const,
  actions: failed(stage, reason),
})
const cutOff = (stage: Stage, reason: Reason) => ({
  target: '#connection.withdrawing' as const,
  actions: failed(stage, reason),
})
const giveUp = (stage: Stage, reason: Reason) => ({
  target: '#connection.closed' as const,
  actions: failed(stage, reason),
})
const withReason = (stage: Stage) => ({
  type: 'noteFailure' as const,
  params: ({ event }: { event: { readonly reason: Reason } }) => ({ stage, reason: event.reason }),
})

export const connectionMachine = setup({
  types: {
    context: {} as ConnectionContext,
    events: {} as ConnectionEvents,
    input: {} as ConnectionInput,
    tags: {} as 'exchanging' | 'handingOff' | 'handedOver' | 'adopted' | 'fellBack' | 'ended',
  },
  actions: {
    readHello: unboundAction('readHello'),
    sendReply: unboundAction('sendReply'),
    /** Last look before a handoff costs anything: client still there (W5), breaker closed (W7), room left. */
    screenHandoff: unboundAction('screenHandoff'),
    dialBackend: unboundAction('dialBackend'),
    /** One sendmsg(2) with the raw token and the descriptor, then the framed offer. */
    transferConnection: unboundAction('transferConnection'),
    awaitAck: unboundAction('awaitAck'),
    /**
     * Deadline and both peers looked at once more, token consumed, ACK taken from the socket, EVENT written: at once or
     * not at all, since a client that has no room for 39 bytes is not reading.
     */
    commitHandoff: unboundAction('commitHandoff'),
    /** Close the handoff connection with nothing left unread in it: the backend's go signal (W3). */
    releaseBackend: unboundAction('releaseBackend'),
    /** shutdown(2) of the client connection for all its holders, handoff connection closed with the ACK unread or with CANCEL (W9). */
    cutConnection: unboundAction('cutConnection'),
    revokeToken: unboundAction('revokeToken'),
    closeHandles: unboundAction('closeHandles'),
    reportOutcome: unboundAction<{ readonly adopted: boolean; readonly failure: Failure | null }>('reportOutcome'),
    noteFailure: assign({ failure: (_, failure: Failure) => failure }),
  },
  delays: {
    helloTimeoutMs: ({ context }) => context.policy.helloTimeoutMs,
    replyTimeoutMs: ({ context }) => context.policy.replyTimeoutMs,
    handoffBudgetMs: ({ context }) => context.policy.handoffBudgetMs,
    dialTimeoutMs: ({ context }) => context.policy.dialTimeoutMs,
    ackTimeoutMs: ({ context }) => context.policy.ackTimeoutMs,
  },
}).createMachine({
  id: 'connection',
  context: ({ input }) => ({ ...input, failure: null }),
  initial: 'readingHello',
  states: {
    readingHello: {
      tags: 'exchanging',
      entry: 'readHello',
      on: {
        'client.askedForHandoff': 'negotiated',
        'client.asked': 'answering',
        'client.left': giveUp('hello', 'hungUp'),
        'client.unreadable': giveUp('hello', 'ioError'),
        'broker.stopped': giveUp('hello', 'stopped'),
      },
      after: { helloTimeoutMs: giveUp('hello', 'timeout') },
    },
    /** The reply is all this client gets: it was refused, asked something else, or will dial for itself. */
    answering: {
      tags: 'exchanging',
      entry: 'sendReply',
      on: {
        'reply.sent': 'closed',
        'reply.failed': giveUp('reply', 'hungUp'),
        'broker.stopped': giveUp('reply', 'stopped'),
      },
      after: { replyTimeoutMs: giveUp('reply', 'timeout') },
    },
    /** The reply carries a token. Until EVENT the client hears nothing more from the broker. */
    negotiated: {
      tags: 'exchanging',
      entry: 'sendReply',
      on: {
        'reply.sent': 'handingOff',
        'reply.failed': fallBack('reply', 'hungUp'),
        'broker.stopped': fallBack('reply', 'stopped'),
      },
      after: { replyTimeoutMs: fallBack('reply', 'timeout') },
    },
    handingOff: {
      tags: ['exchanging', 'handingOff'],
      initial: 'screening',
      states: {
        screening: {
          entry: 'screenHandoff',
          on: {
            'handoff.cleared': 'dialling',
            'handoff.declined': { target: '#connection.fallingBack', actions: withReason('screen') },
          },
        },
        dialling: {
          entry: 'dialBackend',
          on: {
            'backend.dialled': 'transferring',
            'backend.unreachable': { target: '#connection.fallingBack', actions: withReason('dial') },
            'client.left': fallBack('dial', 'hungUp'),
            'broker.stopped': fallBack('dial', 'stopped'),
          },
          after: { dialTimeoutMs: fallBack('dial', 'timeout') },
        },
        /** From here on the descriptor may have left: only cutting the connection takes it back (INV-22). */
        transferring: {
          entry: 'transferConnection',
          on: {
            'transfer.done': 'awaitingAck',
            'transfer.failed': { target: '#connection.withdrawing', actions: withReason('transfer') },
            'broker.stopped': cutOff('transfer', 'stopped'),
          },
        },
        awaitingAck: {
          entry: 'awaitAck',
          on: {
            'backend.accepted': 'ready',
            'backend.rejected': cutOff('ack', 'rejected'),
            'backend.answeredWrongly': cutOff('ack', 'answeredWrongly'),
            'backend.left': cutOff('ack', 'backendLeft'),
            'client.left': cutOff('ack', 'hungUp'),
            'broker.stopped': cutOff('ack', 'stopped'),
          },
          after: { ackTimeoutMs: cutOff('ack', 'timeout') },
        },
        ready: {
          entry: 'commitHandoff',
          on: {
            'event.written': '#connection.done',
            'commit.impossible': { target: '#connection.withdrawing', actions: withReason('commit') },
          },
        },
      },
      // One absolute clock over all of them: a peer that trickles stretches nothing (W2, W4).
      after: { handoffBudgetMs: cutOff('budget', 'timeout') },
    },
    /** The backend never had the connection: EOF sends the client to the baseline path. */
    fallingBack: {
      tags: 'fellBack',
      entry: 'revokeToken',
      always: 'closed',
    },
    /** The backend may have it: the connection ends for all holders before the client can come back another way. */
    withdrawing: {
      tags: 'fellBack',
      entry: ['cutConnection', 'revokeToken'],
      always: 'closed',
    },
    done: {
      type: 'final',
      tags: ['adopted', 'ended'],
      entry: ['releaseBackend', 'closeHandles', { type: 'reportOutcome', params: { adopted: true, failure: null } }],
    },
    closed: {
      type: 'final',
      tags: 'ended',
      entry: [
        'closeHandles',
        { type: 'reportOutcome', params: ({ context }) => ({ adopted: false, failure: context.failure }) },
      ],
    },
  },
})

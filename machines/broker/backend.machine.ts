/**
 * The backend's side of one handoff: descriptor, offer, answer, and the broker's verdict.
 *
 * It may never: touch the passed connection before the broker has released it (W3, INV-26), keep it once the broker has
 * withdrawn (W9, INV-22), or leave a descriptor open on any way out.
 */
import { assign, setup } from 'xstate'
import { unboundAction } from '../effects.js'
import type { OfferFault } from './outcomes.js'
import type { BrokerPolicy } from './policy.js'

export interface OfferInput {
  readonly policy: BrokerPolicy
  readonly id: number
}

export interface OfferContext extends OfferInput {
  readonly fault: OfferFault | null
}

export type OfferEvents =
  /** Sixteen raw bytes with exactly one stream socket. */
  | { readonly type: 'connection.received' }
  | { readonly type: 'connection.malformed'; readonly fault: OfferFault }
  | { readonly type: 'offer.sound' }
  /** Readable, but not acceptable: it gets an answer, so that the broker falls back now. */
  | { readonly type: 'offer.unacceptable' }
  | { readonly type: 'offer.malformed' }
  | { readonly type: 'ack.sent' }
  | { readonly type: 'ack.failed' }
  /** EOF of the handoff connection after our ACK: EVENT is written. */
  | { readonly type: 'broker.released' }
  /** Reset, or bytes where none belong. */
  | { readonly type: 'broker.withdrew' }
  | { readonly type: 'broker.left' }
  | { readonly type: 'backend.stopped' }

const drop = (fault: OfferFault) => ({
  target: '#offer.dropped' as const,
  actions: { type: 'noteFault' as const, params: fault },
})

export const backendMachine = setup({
  types: {
    context: {} as OfferContext,
    events: {} as OfferEvents,
    input: {} as OfferInput,
    tags: {} as 'holding' | 'promised' | 'serving' | 'ended',
  },
  actions: {
    receiveConnection: unboundAction('receiveConnection'),
    readOffer: unboundAction('readOffer'),
    sendAcceptance: unboundAction('sendAcceptance'),
    sendRejection: unboundAction('sendRejection'),
    awaitGo: unboundAction('awaitGo'),
    /** The passed connection now belongs to the service. */
    adoptConnection: unboundAction('adoptConnection'),
    dropConnection: unboundAction('dropConnection'),
    closeHandoff: unboundAction('closeHandoff'),
    reportOffer: unboundAction<{ readonly adopted: boolean; readonly fault: OfferFault | null }>('reportOffer'),
    noteFault: assign({ fault: (_, fault: OfferFault) => fault }),
  },
  delays: {
    offerTimeoutMs: ({ context }) => context.policy.offerTimeoutMs,
    goTimeoutMs: ({ context }) => context.policy.goTimeoutMs,
  },
}).createMachine({
  id: 'offer',
  context: ({ input }) => ({ ...input, fault: null }),
  initial: 'receiving',
  states: {
    /** One absolute clock over descriptor and offer. */
    receiving: {
      initial: 'connection',
      states: {
        connection: {
          entry: 'receiveConnection',
          on: {
            'connection.received': 'offer',
            'connection.malformed': {
              target: '#offer.dropped',
              actions: { type: 'noteFault', params: ({ event }) => event.fault },
            },
          },
        },
        offer: {
          tags: 'holding',
          entry: 'readOffer',
          on: {
            'offer.sound': '#offer.accepting',
            'offer.unacceptable': '#offer.rejecting',
            'offer.malformed': drop('malformedOffer'),
          },
        },
      },
      on: { 'broker.left': drop('brokerLeft'), 'backend.stopped': drop('stopped') },
      after: { offerTimeoutMs: drop('timeout') },
    },
    /** The descriptor goes first: the client's quick way back depends on it. */
    rejecting: {
      entry: ['dropConnection', 'sendRejection'],
      on: { 'ack.sent': drop('rejected'), 'ack.failed': drop('rejected'), 'backend.stopped': drop('rejected') },
      after: { offerTimeoutMs: drop('rejected') },
    },
    accepting: {
      tags: 'holding',
      entry: 'sendAcceptance',
      on: { 'ack.sent': 'awaitingGo', 'ack.failed': drop('ackFailed'), 'backend.stopped': drop('stopped') },
      after: { offerTimeoutMs: drop('ackFailed') },
    },
    /**
     * The connection stays unread and unwritten until the broker has told the client (INV-26). A backend that is asked to
     * stop waits here for the verdict: the client may have been told already that this is its connection (INV-24).
     */
    awaitingGo: {
      tags: ['holding', 'promised'],
      entry: 'awaitGo',
      on: { 'broker.released': 'adopted', 'broker.withdrew': drop('withdrawn') },
      after: { goTimeoutMs: drop('timeout') },
    },
    adopted: {
      type: 'final',
      tags: ['serving', 'ended'],
      entry: ['adoptConnection', 'closeHandoff', { type: 'reportOffer', params: { adopted: true, fault: null } }],
    },
    dropped: {
      type: 'final',
      tags: 'ended',
      entry: [
        'dropConnection',
        'closeHandoff',
        { type: 'reportOffer', params: ({ context }) => ({ adopted: false, fault: context.fault }) },
      ],
    },
  },
})

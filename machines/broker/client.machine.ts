/**
 * The client: one connection to a service, by whichever way works.
 *
 * It may never: report a failed handoff to its caller (INV-24), send a byte of the application before the route is decided
 * (INV-23), or go on reading a connection it has given up. The baseline path stays authoritative.
 */
import { assign, setup } from 'xstate'
import { unboundAction } from '../effects.js'
import type { ClientFault, Route } from './outcomes.js'
import type { BrokerPolicy } from './policy.js'

export interface ClientInput {
  /** Key of the attempt's handles in src/; constant in a world. */
  readonly id: number
  readonly policy: BrokerPolicy
  /** An endpoint remembered from an earlier negotiation, for the version the client itself speaks. */
  readonly cached: boolean
}

export interface ClientContext extends ClientInput {
  readonly route: Route | null
  readonly fault: ClientFault | null
}

export type ClientEvents =
  | { readonly type: 'cache.dialled' }
  | { readonly type: 'cache.unreachable' }
  | { readonly type: 'broker.dialled' }
  | { readonly type: 'broker.unreachable' }
  /** Negotiated, and both sides set the capability, and there is a token. */
  | { readonly type: 'broker.offeredHandoff' }
  | { readonly type: 'broker.negotiated' }
  | { readonly type: 'broker.refused' }
  /** Negotiated without an endpoint and without a token: there is nothing to connect to. */
  | { readonly type: 'broker.namedNothing' }
  /** A frame that belongs nowhere, or bytes that are none. */
  | { readonly type: 'broker.violatedProtocol' }
  | { readonly type: 'broker.left' }
  /** EVENT with our own token. */
  | { readonly type: 'broker.handedOver' }
  | { readonly type: 'backend.dialled' }
  | { readonly type: 'backend.unreachable' }
  | { readonly type: 'backend.unnamed' }
  | { readonly type: 'caller.aborted' }

const fail = (fault: ClientFault) => ({
  target: '#client.failed' as const,
  actions: { type: 'noteFault' as const, params: fault },
})
const connected = (route: Route) => ({
  target: '#client.connected' as const,
  actions: { type: 'noteRoute' as const, params: route },
})

export const clientMachine = setup({
  types: {
    context: {} as ClientContext,
    events: {} as ClientEvents,
    input: {} as ClientInput,
    tags: {} as 'waiting' | 'connected' | 'failed' | 'ended',
  },
  actions: {
    dialCached: unboundAction('dialCached'),
    dialBroker: unboundAction('dialBroker'),
    sendHello: unboundAction('sendHello'),
    awaitEvent: unboundAction('awaitEvent'),
    /** Destroys whatever connection is open and stops reading it. */
    dropConnection: unboundAction('dropConnection'),
    dialBackend: unboundAction('dialBackend'),
    deliverConnection: unboundAction<{ readonly route: Route }>('deliverConnection'),
    deliverFault: unboundAction<{ readonly fault: ClientFault }>('deliverFault'),
    noteRoute: assign({ route: (_, route: Route) => route }),
    noteFault: assign({ fault: (_, fault: ClientFault) => fault }),
  },
  guards: { hasCachedEndpoint: ({ context }) => context.cached },
  delays: {
    dialTimeoutMs: ({ context }) => context.policy.clientDialTimeoutMs,
    helloTimeoutMs: ({ context }) => context.policy.clientHelloTimeoutMs,
    readyTimeoutMs: ({ context }) => context.policy.readyTimeoutMs,
  },
}).createMachine({
  id: 'client',
  context: ({ input }) => ({ ...input, route: null, fault: null }),
  initial: 'choosing',
  on: { 'caller.aborted': fail('aborted') },
  states: {
    choosing: { always: [{ guard: 'hasCachedEndpoint', target: 'diallingCached' }, { target: 'diallingBroker' }] },
    diallingCached: {
      tags: 'waiting',
      entry: 'dialCached',
      on: { 'cache.dialled': connected('cachedEndpoint'), 'cache.unreachable': 'diallingBroker' },
      after: { dialTimeoutMs: { target: 'diallingBroker', actions: 'dropConnection' } },
    },
    diallingBroker: {
      tags: 'waiting',
      entry: 'dialBroker',
      on: { 'broker.dialled': 'negotiating', 'broker.unreachable': fail('brokerUnreachable') },
      after: { dialTimeoutMs: fail('brokerUnreachable') },
    },
    negotiating: {
      tags: 'waiting',
      entry: 'sendHello',
      on: {
        'broker.offeredHandoff': 'awaitingReady',
        'broker.negotiated': 'reconnecting',
        'broker.refused': fail('refused'),
        'broker.namedNothing': fail('noBackendPipe'),
        'broker.violatedProtocol': fail('brokerProtocol'),
        'broker.left': fail('brokerLeft'),
      },
      after: { helloTimeoutMs: fail('brokerSilent') },
    },
    /** The broker may be passing this connection on. Whatever is not EVENT means: go the other way, silently. */
    awaitingReady: {
      tags: 'waiting',
      entry: 'awaitEvent',
      on: {
        'broker.handedOver': connected('handlePassed'),
        'broker.left': 'reconnecting',
        'broker.violatedProtocol': 'reconnecting',
      },
      after: { readyTimeoutMs: 'reconnecting' },
    },
    /** The old connection is gone before the new one is dialled: the two are never open together. */
    reconnecting: {
      tags: 'waiting',
      entry: ['dropConnection', 'dialBackend'],
      on: {
        'backend.dialled': connected('brokerNegotiated'),
        'backend.unreachable': fail('backendUnreachable'),
        'backend.unnamed': fail('noBackendPipe'),
      },
      after: { dialTimeoutMs: fail('backendUnreachable') },
    },
    connected: {
      type: 'final',
      tags: ['connected', 'ended'],
      entry: { type: 'deliverConnection', params: ({ context }) => ({ route: context.route ?? 'brokerNegotiated' }) },
    },
    failed: {
      type: 'final',
      tags: ['failed', 'ended'],
      entry: [
        'dropConnection',
        { type: 'deliverFault', params: ({ context }) => ({ fault: context.fault ?? 'brokerUnreachable' }) },
      ],
    },
  },
})

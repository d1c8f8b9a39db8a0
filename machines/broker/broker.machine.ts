/**
 * The broker as a whole: it owns the endpoint, and every client connection is a child that cannot harm it.
 *
 * It may never: end because of anything a client or a backend does (W1), wait for one client before it accepts the next
 * (W2), or close its endpoint while it may still have to serve (a drained broker resumes).
 */
import { assign, setup } from 'xstate'
import { unboundAction } from '../effects.js'
import type { BrokerPolicy } from './policy.js'

export interface BrokerInput {
  readonly policy: BrokerPolicy
}

export interface BrokerContext extends BrokerInput {
  /** Client connections alive; never above `maxConnections`. */
  readonly connections: number
}

export type BrokerEvents =
  | { readonly type: 'endpoint.opened' }
  | { readonly type: 'endpoint.failed' }
  /** Which one, src knows: it tells each before it accepts the next. */
  | { readonly type: 'client.accepted' }
  | { readonly type: 'connection.ended' }
  /** accept(2) failed for want of descriptors or memory. Other errors of one accept concern one client only. */
  | { readonly type: 'accept.starved' }
  | { readonly type: 'broker.drainRequested' }
  | { readonly type: 'broker.resumeRequested' }
  | { readonly type: 'broker.stopRequested' }

const startConnection = (pressed: boolean) => ({ type: 'startConnection' as const, params: { pressed } })
const admitPressed = (target: 'one' | 'two') => ({
  guard: 'hasRoom' as const,
  target,
  actions: ['countIn' as const, startConnection(true)],
})

export const brokerMachine = setup({
  types: {
    context: {} as BrokerContext,
    events: {} as BrokerEvents,
    input: {} as BrokerInput,
    tags: {} as 'accepting' | 'pressed' | 'drained' | 'ended',
  },
  actions: {
    openEndpoint: unboundAction('openEndpoint'),
    startAccepting: unboundAction('startAccepting'),
    /** At once: nothing is accepted any more. The endpoint stays open, so clients wait in its backlog unrefused. */
    stopAccepting: unboundAction('stopAccepting'),
    startConnection: unboundAction<{ readonly pressed: boolean }>('startConnection'),
    /** One refusal with a time to come back, unasked, and the end: past the limit nobody is given memory. */
    turnAway: unboundAction('turnAway'),
    abandonConnections: unboundAction('abandonConnections'),
    closeEndpoint: unboundAction('closeEndpoint'),
    reportDrained: unboundAction('reportDrained'),
    countIn: assign({ connections: ({ context }) => context.connections + 1 }),
    countOut: assign({ connections: ({ context }) => Math.max(0, context.connections - 1) }),
    forgetAll: assign({ connections: 0 }),
  },
  guards: {
    hasRoom: ({ context }) => context.connections < context.policy.maxConnections,
    isLast: ({ context }) => context.connections <= 1,
    isEmpty: ({ context }) => context.connections === 0,
  },
  delays: {
    acceptPauseMs: ({ context }) => context.policy.acceptPauseMs,
    drainTimeoutMs: ({ context }) => context.policy.drainTimeoutMs,
  },
}).createMachine({
  id: 'broker',
  context: ({ input }) => ({ policy: input.policy, connections: 0 }),
  initial: 'opening',
  states: {
    opening: {
      entry: 'openEndpoint',
      on: { 'endpoint.opened': 'serving', 'endpoint.failed': 'closed', 'broker.stopRequested': 'closed' },
    },
    serving: {
      entry: 'startAccepting',
      exit: 'stopAccepting',
      initial: 'easy',
      on: {
        'connection.ended': { actions: 'countOut' },
        'broker.drainRequested': 'draining',
        'broker.stopRequested': 'stopping',
      },
      states: {
        easy: {
          tags: 'accepting',
          on: {
            'client.accepted': [
              { guard: 'hasRoom', actions: ['countIn', startConnection(false)] },
              { actions: 'turnAway' },
            ],
            'accept.starved': 'pausing',
          },
        },
        /** Nothing is accepted for a moment: what runs may end and give its descriptors back. */
        pausing: {
          tags: 'pressed',
          entry: 'stopAccepting',
          exit: 'startAccepting',
          after: { acceptPauseMs: 'pressed' },
        },
        /** Descriptors are short: Hellos are refused with a time to come back, three good accepts in a row recover. */
        pressed: {
          tags: ['accepting', 'pressed'],
          initial: 'none',
          on: { 'accept.starved': 'pausing', 'client.accepted': { actions: 'turnAway' } },
          states: {
            none: { on: { 'client.accepted': admitPressed('one') } },
            one: { on: { 'client.accepted': admitPressed('two') } },
            two: {
              on: {
                'client.accepted': {
                  guard: 'hasRoom',
                  target: '#broker.serving.easy',
                  actions: ['countIn', startConnection(false)],
                },
              },
            },
          },
        },
      },
    },
    /** Exchanges in flight run to their end; new clients wait in the backlog for whoever accepts next. */
    draining: {
      initial: 'emptying',
      on: {
        // Accepted by the kernel's word before the drain, told after it.
        'client.accepted': { guard: 'hasRoom', target: '.emptying', actions: ['countIn', startConnection(false)] },
        'broker.resumeRequested': 'serving',
        'broker.stopRequested': 'stopping',
      },
      states: {
        emptying: {
          always: { guard: 'isEmpty', target: 'empty' },
          on: { 'connection.ended': { actions: 'countOut' } },
          after: { drainTimeoutMs: { target: 'empty', actions: ['abandonConnections', 'forgetAll'] } },
        },
        empty: { tags: 'drained', entry: 'reportDrained' },
      },
    },
    stopping: {
      always: { guard: 'isEmpty', target: 'closed' },
      on: {
        'connection.ended': [{ guard: 'isLast', target: 'closed', actions: 'countOut' }, { actions: 'countOut' }],
      },
      after: { drainTimeoutMs: { target: 'closed', actions: ['abandonConnections', 'forgetAll'] } },
    },
    closed: { type: 'final', tags: 'ended', entry: 'closeEndpoint' },
  },
})

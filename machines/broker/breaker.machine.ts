/**
 * One backend's breaker: after too many failed handoffs in one window its endpoint is left alone until the window ends, and
 * clients take the baseline path at once (W7). The window is fixed: it starts with the first failure and success ends it.
 */
import { assign, setup } from 'xstate'
import type { BrokerPolicy } from './policy.js'

export type BreakerInput = Pick<BrokerPolicy, 'breakerFailures' | 'breakerWindowMs'>

export interface BreakerContext {
  readonly policy: BreakerInput
  readonly failures: number
}

export type BreakerEvents = { readonly type: 'handoff.failed' } | { readonly type: 'handoff.succeeded' }

export const breakerMachine = setup({
  types: {
    context: {} as BreakerContext,
    events: {} as BreakerEvents,
    input: {} as BreakerInput,
    tags: {} as 'open',
  },
  actions: {
    countFailure: assign({
      failures: ({ context }) => Math.min(context.failures + 1, context.policy.breakerFailures),
    }),
    forgetFailures: assign({ failures: 0 }),
  },
  guards: { isLastAllowed: ({ context }) => context.failures + 1 >= context.policy.breakerFailures },
  delays: { breakerWindowMs: ({ context }) => context.policy.breakerWindowMs },
}).createMachine({
  id: 'breaker',
  context: ({ input }) => ({
    policy: { breakerFailures: input.breakerFailures, breakerWindowMs: input.breakerWindowMs },
    failures: 0,
  }),
  initial: 'quiet',
  states: {
    quiet: {
      entry: 'forgetFailures',
      on: {
        'handoff.failed': [
          { guard: 'isLastAllowed', target: 'counting.open', actions: 'countFailure' },
          { target: 'counting.closed', actions: 'countFailure' },
        ],
      },
    },
    counting: {
      initial: 'closed',
      states: {
        closed: {
          on: {
            'handoff.failed': [
              { guard: 'isLastAllowed', target: 'open', actions: 'countFailure' },
              { actions: 'countFailure' },
            ],
          },
        },
        open: { tags: 'open' },
      },
      on: { 'handoff.succeeded': 'quiet' },
      after: { breakerWindowMs: 'quiet' },
    },
  },
})

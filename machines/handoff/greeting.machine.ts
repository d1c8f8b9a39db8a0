/**
 * One connection on the incumbent's control socket, from accept to session: Hello out, HelloAck in.
 *
 * Each connection has its own, so a silent or a looking peer pins nobody. It may never greet for a process that does not
 * serve: a Hello on the control path is the proof that others commit and give up by (INV-09, INV-12).
 */
import { assign, setup } from 'xstate'
import { unboundAction } from '../effects.js'
import type { Policy } from './policy.js'

export type GreetingEvents =
  /** The incumbent no longer serves. */
  | { readonly type: 'incumbent.stoppedServing' }
  | { readonly type: 'supervisor.acknowledged'; readonly versionOk: boolean }
  | { readonly type: 'supervisor.beat' }
  | { readonly type: 'supervisor.disconnected' }
  | { readonly type: 'supervisor.violatedProtocol' }

export const greetingMachine = setup({
  types: {
    context: {} as { readonly policy: Policy; readonly attended: boolean },
    events: {} as GreetingEvents,
    input: {} as { readonly policy: Policy },
    output: {} as { attended: boolean },
  },
  actions: {
    sendHello: unboundAction('sendHello'),
    sendHeartbeat: unboundAction('sendHeartbeat'),
    noteAttended: assign({ attended: true }),
  },
  delays: { sessionIdleMs: ({ context }) => context.policy.sessionIdleMs },
}).createMachine({
  id: 'greeting',
  context: ({ input }) => ({ policy: input.policy, attended: false }),
  initial: 'greeting',
  on: {
    'supervisor.disconnected': '.closed',
    'supervisor.violatedProtocol': '.closed',
    'incumbent.stoppedServing': '.closed',
  },
  states: {
    greeting: {
      entry: 'sendHello',
      on: {
        'supervisor.acknowledged': [
          { guard: ({ event }) => event.versionOk, target: 'attended', actions: 'noteAttended' },
          { target: 'closed' },
        ],
        'supervisor.beat': { actions: 'sendHeartbeat' },
      },
      after: { sessionIdleMs: 'closed' },
    },
    attended: { type: 'final' },
    closed: { type: 'final' },
  },
  output: ({ context }) => ({ attended: context.attended }),
})

/**
 * The closed world of the broker protocol: the real connection, backend and client machines, the kernel between them, and
 * SIGKILL, silence, refusal and every timer at any moment.
 *
 * One request of the client is the measure: it must be answered, and served exactly once, whatever breaks on the way.
 * T1: the backend's go timer is longer than the broker's handoff budget, so it fires only under a broker that hangs
 * outside the two system calls between ACK and release. Without that order no protocol of one round trip is safe.
 */
import { restOf } from '../explore/effects.js'
import type { World } from '../explore/world.js'
import { type BrokerWorldState, emptyConnection, emptyHandoff, idle, type Role } from './kernel.js'
import { createArrivals } from './world-arrivals.js'
import { type BrokerWorldOptions, createWorldContext, NONE, ROLES, type Steppers, type Steps } from './world-context.js'
import { createEffects } from './world-effects.js'
import { createFaults } from './world-faults.js'

export { type BrokerWorldOptions, CALLS } from './world-context.js'

type State = BrokerWorldState

export interface BrokerWorld extends World<State> {
  readonly steppers: Steppers
}

export function createBrokerWorld(options: BrokerWorldOptions = {}): BrokerWorld {
  const context = createWorldContext(options)
  const { faults, stalls, policy, steppers, absorb, step } = context
  const { execute, speak } = createEffects(context)
  const arrivals = createArrivals(context, speak)
  const { timers, breakings, stops } = createFaults(context)

  function* processSteps(state: State, role: Role): Steps {
    const proc = state[role]
    if (!proc.alive) return
    const [effect] = proc.outbox
    if (effect !== undefined) {
      const action = effect.kind === 'action' ? effect.type : effect.kind
      const shorter: State = { ...state, [role]: { ...proc, outbox: restOf(proc.outbox) } }
      const { state: done, event, covers = NONE } = execute(shorter, role, action)
      const next = step(`${role}:${action}`, 'progress', done, role, event)
      yield covers === NONE ? next : { ...next, covers: [...covers, ...(next.covers ?? NONE)] }
      return
    }
    yield* timers(state, role)
    yield* arrivals[role](state)
  }

  return {
    steppers,
    coverable: [steppers.client, steppers.broker, steppers.backend].flatMap(({ parts }) => [
      ...parts.states,
      ...parts.transitions.map(({ id }) => id),
    ]),
    initial() {
      const state: State = {
        client: idle,
        broker: idle,
        backend: idle,
        conn: emptyConnection,
        handoff: emptyHandoff,
        plain: { dialled: false, asked: false, answered: false },
        ghosts: {
          tokensConsumed: 0,
          tokenRevoked: false,
          readyWritten: false,
          withdrawn: false,
          brokerReport: 'none',
          backendReport: 'none',
          screened: false,
          served: 0,
          answered: false,
          orphaned: false,
          spokeTooEarly: false,
          excused: false,
        },
        faultsLeft: faults,
        mute: false,
        stalled: null,
        reply: 'offer',
        overdue: false,
      }
      const starting = (cached: boolean) => absorb(idle, steppers.client.start({ id: 0, policy, cached }))
      return stalls.flatMap((stalled) => [
        { ...state, stalled, client: starting(false) },
        { ...state, stalled, client: starting(true) },
      ])
    },
    *steps(state) {
      for (const role of ROLES) yield* processSteps(state, role)
      yield* breakings(state)
      yield* stops(state)
    },
    key: (state) => [
      state.client,
      state.broker,
      state.backend,
      state.conn,
      state.handoff,
      state.plain,
      state.ghosts,
      state.faultsLeft,
      state.mute,
      state.stalled,
      state.reply,
      state.overdue,
    ],
    describe: (state) => ({
      ...state,
      ...Object.fromEntries(
        ROLES.map((role) => {
          const { machine, ...proc } = state[role]
          return [role, { ...proc, value: machine === null ? null : steppers[role].view(machine).value }]
        }),
      ),
    }),
  }
}

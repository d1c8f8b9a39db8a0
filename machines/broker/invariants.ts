/** What always holds when a client's connection passes to a backend; each one is cited by id where code upholds it. */
import type { Property } from '../explore/property.js'
import type { BrokerWorldState, Proc, Role } from './kernel.js'
import type { BrokerWorld } from './world.js'

type State = BrokerWorldState

/** INV-21 to INV-30, and what must be seen happening so that they do not hold for want of events. */
export function brokerProperties({ steppers }: Pick<BrokerWorld, 'steppers'>): readonly Property<State>[] {
  const view = (state: State, role: Role) => {
    const { machine } = state[role]
    return machine === null ? null : steppers[role].view(machine)
  }
  const has = (state: State, role: Role, tag: string): boolean => view(state, role)?.hasTag(tag) ?? false
  const waits = (proc: Proc, ended: boolean): boolean =>
    proc.alive && proc.machine !== null && proc.outbox.length === 0 && !ended
  const ended = (state: State, role: Role): boolean =>
    state[role].alive && has(state, role, 'ended') && state[role].outbox.length === 0
  const settled = (state: State, role: Role): boolean =>
    !state[role].alive || state[role].machine === null || (has(state, role, 'ended') && state[role].outbox.length === 0)

  return [
    {
      id: 'INV-21',
      kind: 'always',
      says: 'a token is consumed at most once, EVENT is written only for a consumed one, and a failed handoff leaves none',
      holds: ({ ghosts }) => {
        if (ghosts.screened && ghosts.brokerReport === 'fellBack' && !ghosts.tokenRevoked) return 'a token is left'
        return ghosts.tokensConsumed <= 1 && (!ghosts.readyWritten || ghosts.tokensConsumed === 1)
      },
    },
    {
      id: 'INV-22',
      kind: 'always',
      says: 'broker and backend never both have a say: what the broker took back, the backend cannot serve',
      holds: (state) => {
        if (has(state, 'backend', 'serving') && state.broker.alive && has(state, 'broker', 'handingOff')) return 'both'
        const { withdrawn, backendReport } = state.ghosts
        return !(withdrawn && backendReport === 'adopted' && state.conn.clientOpen) || 'withdrawn and adopted'
      },
    },
    {
      id: 'INV-23',
      kind: 'always',
      says: 'no byte of the client is lost or doubled: its request is served once, by whoever answers',
      holds: ({ ghosts }) => ghosts.served <= 1 && (!ghosts.answered || ghosts.served === 1),
    },
    {
      id: 'INV-24',
      kind: 'always',
      says: 'a failed handoff is never an error of the client',
      holds: (state) => {
        if (state.ghosts.excused) return true
        if (has(state, 'client', 'failed')) return 'the client failed'
        return state.ghosts.orphaned ? 'the connection its caller was given broke' : true
      },
    },
    {
      id: 'INV-25',
      kind: 'always',
      says: 'every wait is bounded',
      holds: (state) => {
        for (const role of ['client', 'broker', 'backend'] as const) {
          if (waits(state[role], has(state, role, 'ended')) && state[role].timers.length === 0) return role
        }
        return true
      },
    },
    {
      id: 'INV-26',
      kind: 'always',
      says: 'EVENT comes before every byte of the backend, as long as there is a broker to write it',
      holds: ({ ghosts }) => !ghosts.spokeTooEarly,
    },
    {
      id: 'INV-27',
      kind: 'always',
      says: 'every end is reported, and the broker’s report is the truth: adopted means that EVENT was written',
      holds: (state) => {
        const { brokerReport, backendReport, readyWritten } = state.ghosts
        if (ended(state, 'broker') && brokerReport === 'none') return 'the broker is silent'
        if (ended(state, 'backend') && backendReport === 'none') return 'the backend is silent'
        return brokerReport === 'none' || (brokerReport === 'adopted') === readyWritten
      },
    },
    {
      id: 'INV-30',
      kind: 'always',
      says: 'a client never has two connections at a time, and none when it has failed',
      holds: (state) => {
        if (state.plain.dialled && state.conn.clientOpen) return 'two'
        return !(ended(state, 'client') && has(state, 'client', 'failed') && state.conn.clientOpen) || 'one too many'
      },
    },
    {
      id: 'INV-28',
      kind: 'eventually',
      says: 'a living client gets its answer, or an error that has nothing to do with the handoff',
      holds: (state) =>
        !state.client.alive || state.ghosts.answered || state.ghosts.orphaned || has(state, 'client', 'failed'),
      stays: true,
    },
    {
      id: 'INV-29',
      kind: 'eventually',
      says: 'no descriptor is left over: the broker holds none, the backend none but that of a client it serves',
      holds: (state) => {
        if (!settled(state, 'broker') || !settled(state, 'backend')) return state.mute
        const { conn, handoff } = state
        const clean = !conn.brokerHolds && !handoff.brokerOpen && !handoff.backendOpen
        return clean && (!conn.backendHolds || (has(state, 'backend', 'serving') && conn.clientOpen))
      },
      stays: true,
    },
    {
      id: 'W5',
      kind: 'always',
      says: 'no backend is dialled for a client that was not looked at first',
      holds: ({ handoff, ghosts }) => !handoff.dialled || ghosts.screened,
    },
    {
      id: 'sees-adoption',
      kind: 'sometimes',
      says: 'the client is answered on the connection that carried its Hello',
      holds: ({ ghosts, plain }) => ghosts.answered && !plain.dialled,
    },
    {
      id: 'sees-fallback',
      kind: 'sometimes',
      says: 'the client is answered on the baseline path after a handoff that failed',
      holds: ({ ghosts, plain, handoff }) => ghosts.answered && plain.dialled && handoff.dialled,
    },
    {
      id: 'sees-withdrawal',
      kind: 'sometimes',
      says: 'a backend that has promised reads the reset of a broker that took the connection back',
      holds: ({ handoff, ghosts }) => handoff.reset && ghosts.backendReport === 'dropped' && ghosts.withdrawn,
    },
    {
      id: 'sees-hang-up',
      kind: 'sometimes',
      says: 'a client that hung up costs no handoff',
      holds: ({ ghosts, handoff, conn }) =>
        ghosts.screened && !handoff.dialled && !conn.clientOpen && ghosts.brokerReport === 'fellBack',
    },
  ]
}

/** What a process does, one system call a step: a SIGKILL may fall between any two of them. */
import type { AnyEventObject } from 'xstate'
import type { Effect } from '../explore/effects.js'
import {
  type BrokerWorldState,
  closeClientEnd,
  closeHandoffOfBackend,
  closeHandoffOfBroker,
  emptyHandoff,
  ghost,
  type Role,
  writeToClient,
} from './kernel.js'
import type { WorldContext } from './world-context.js'

type State = BrokerWorldState
export interface Result {
  readonly state: State
  /** What the call tells its caller at once. */
  readonly event?: AnyEventObject
  readonly covers?: readonly string[]
}

export function createEffects(context: WorldContext) {
  const { begin, hasTag, absorb, pipelines, serverSpeaksFirst } = context

  function execute(state: State, role: Role, action: string): Result {
    if (role === 'client') return executeClient(state, action)
    return role === 'broker' ? executeBroker(state, action) : executeBackend(state, action)
  }

  function executeClient(state: State, action: string): Result {
    switch (action) {
      case 'dialCached': {
        // What was remembered may be out of date while the broker knows better: unreachable is no error.
        if (state.stalled === 'dialCached') return { state }
        if (!state.backend.alive) return { state, event: { type: 'cache.unreachable' } }
        return { state: { ...state, plain: { ...state.plain, dialled: true } }, event: { type: 'cache.dialled' } }
      }
      case 'dialBroker': {
        if (state.stalled === 'dialBroker') return { state }
        if (!state.broker.alive)
          return { state: ghost(state, { excused: true }), event: { type: 'broker.unreachable' } }
        const conn = { ...state.conn, clientOpen: true, brokerHolds: true }
        const started = begin('broker')
        const accepted = { ...state, conn, broker: absorb(state.broker, started) }
        return { state: accepted, event: { type: 'broker.dialled' }, covers: started.covers }
      }
      case 'sendHello': {
        const sent = pipelines ? (['hello', 'request'] as const) : (['hello'] as const)
        return { state: { ...state, conn: { ...state.conn, toServer: sent } } }
      }
      case 'dropConnection':
        return { state: closeClientEnd(state) }
      case 'dialBackend': {
        if (state.stalled === 'dialPipe') return { state }
        if (state.reply === 'tokenOnly') {
          return { state: ghost(state, { excused: true }), event: { type: 'backend.unnamed' } }
        }
        if (!state.backend.alive) {
          return { state: ghost(state, { excused: true }), event: { type: 'backend.unreachable' } }
        }
        return { state: { ...state, plain: { ...state.plain, dialled: true } }, event: { type: 'backend.dialled' } }
      }
      case 'deliverConnection':
        return { state: sendRequest(state) }
      default:
        return { state }
    }
  }

  function sendRequest(state: State): State {
    if (state.plain.dialled) return { ...state, plain: { ...state.plain, asked: true } }
    if (pipelines) return state
    return { ...state, conn: { ...state.conn, toServer: [...state.conn.toServer, 'request'] } }
  }

  function executeBroker(state: State, action: string): Result {
    switch (action) {
      case 'sendReply': {
        if (state.stalled === 'reply') return { state }
        const written = writeToClient(state, state.reply)
        return written === null
          ? { state, event: { type: 'reply.failed' } }
          : { state: written, event: { type: 'reply.sent' } }
      }
      case 'screenHandoff': {
        const looked = ghost(state, { screened: true })
        return state.conn.clientOpen
          ? { state: looked, event: { type: 'handoff.cleared' } }
          : { state: looked, event: { type: 'handoff.declined', reason: 'hungUp' } }
      }
      case 'dialBackend': {
        if (state.stalled === 'dialHandoff') return { state }
        if (!state.backend.alive) return { state, event: { type: 'backend.unreachable', reason: 'unreachable' } }
        const handoff = { ...emptyHandoff, dialled: true, brokerOpen: true, backendOpen: true }
        const started = begin('backend')
        return {
          state: { ...state, handoff, backend: absorb(state.backend, started) },
          event: { type: 'backend.dialled' },
          covers: started.covers,
        }
      }
      case 'transferConnection': {
        if (state.stalled === 'transfer') return { state }
        if (!state.handoff.backendOpen) return { state, event: { type: 'transfer.failed', reason: 'sendFailed' } }
        return withNext(state, 'broker', 'transferConnection.offer', {
          handoff: { ...state.handoff, toBackend: [...state.handoff.toBackend, 'connection'] },
        })
      }
      case 'transferConnection.offer': {
        if (!state.handoff.backendOpen) return { state, event: { type: 'transfer.failed', reason: 'sendFailed' } }
        const handoff = { ...state.handoff, toBackend: [...state.handoff.toBackend, 'offer' as const] }
        return { state: { ...state, handoff }, event: { type: 'transfer.done' } }
      }
      case 'commitHandoff': {
        const { handoff, conn } = state
        if (state.overdue) return { state, event: { type: 'commit.impossible', reason: 'timeout' } }
        if (!conn.clientOpen) return { state, event: { type: 'commit.impossible', reason: 'hungUp' } }
        if (!handoff.backendOpen) return { state, event: { type: 'commit.impossible', reason: 'backendLeft' } }
        const taken = { handoff: { ...handoff, toBroker: [] } }
        const consumed = ghost(state, { tokensConsumed: state.ghosts.tokensConsumed + 1 })
        return withNext(consumed, 'broker', 'commitHandoff.event', taken)
      }
      case 'commitHandoff.event': {
        const written = writeToClient(state, 'ready')
        return written === null
          ? { state, event: { type: 'commit.impossible', reason: 'hungUp' } }
          : { state: ghost(written, { readyWritten: true }), event: { type: 'event.written' } }
      }
      case 'cutConnection': {
        const cut = cancel({ ...state, conn: { ...state.conn, cut: true } })
        return { state: ghost(closeHandoffOfBroker(cut), { withdrawn: true }) }
      }
      case 'revokeToken':
        return { state: ghost(state, { tokenRevoked: true }) }
      case 'releaseBackend':
        return { state: closeHandoffOfBroker(state) }
      case 'closeHandles':
        return { state: closeHandoffOfBroker({ ...state, conn: { ...state.conn, brokerHolds: false } }) }
      case 'reportOutcome':
        return {
          state: ghost(state, { brokerReport: hasTag(state, 'broker', 'adopted') ? 'adopted' : 'fellBack' }),
        }
      default:
        return { state }
    }
  }

  /** An ACK that is already taken can no longer make the closing a reset: a CANCEL frame says the same. */
  function cancel(state: State): State {
    const { handoff, ghosts } = state
    if (ghosts.tokensConsumed === 0 || !handoff.backendOpen) return state
    return { ...state, handoff: { ...handoff, toBackend: [...handoff.toBackend, 'cancel'] } }
  }

  function executeBackend(state: State, action: string): Result {
    switch (action) {
      case 'sendAcceptance':
      case 'sendRejection': {
        if (state.stalled === 'ack') return { state }
        if (!state.handoff.brokerOpen) return { state, event: { type: 'ack.failed' } }
        const answer = action === 'sendAcceptance' ? ('accepted' as const) : ('rejected' as const)
        const handoff = { ...state.handoff, toBroker: [...state.handoff.toBroker, answer] }
        return { state: { ...state, handoff }, event: { type: 'ack.sent' } }
      }
      case 'dropConnection':
        return { state: { ...state, conn: { ...state.conn, backendHolds: false } } }
      case 'closeHandoff':
        return { state: closeHandoffOfBackend(state) }
      case 'adoptConnection':
        return { state: serverSpeaksFirst ? speak(state, 'greeting') : state }
      case 'reportOffer':
        return { state: ghost(state, { backendReport: hasTag(state, 'backend', 'serving') ? 'adopted' : 'dropped' }) }
      default:
        return { state }
    }
  }

  function speak(state: State, item: 'greeting' | 'answer'): State {
    const written = writeToClient(state, item)
    if (written === null) return state
    return state.broker.alive && !state.ghosts.readyWritten ? ghost(written, { spokeTooEarly: true }) : written
  }

  function withNext(state: State, role: Role, action: string, change: Partial<State>): Result {
    const proc = state[role]
    const next: Effect = { kind: 'action', type: action }
    return { state: { ...state, ...change, [role]: { ...proc, outbox: [next, ...proc.outbox] } } }
  }

  return { execute, speak }
}

/** What can arrive at each process, and what it makes of it. */
import type { AnyEventObject } from 'xstate'
import { type BrokerWorldState, clientReadsEnd, ghost, type Reply, type ToClient } from './kernel.js'
import type { Steps, WorldContext } from './world-context.js'

type State = BrokerWorldState
type Speak = (state: State, item: 'greeting' | 'answer') => State
const OTHER_REPLIES: readonly Reply[] = ['plain', 'nameless', 'tokenOnly', 'refusal', 'garbled']

export function createArrivals(context: WorldContext, speak: Speak) {
  const { isIn, hasTag, step, steppers } = context

  const hears = (item: ToClient): AnyEventObject => {
    switch (item) {
      case 'offer':
      case 'tokenOnly':
        return { type: 'broker.offeredHandoff' }
      case 'plain':
        return { type: 'broker.negotiated' }
      case 'nameless':
        return { type: 'broker.namedNothing' }
      case 'refusal':
        return { type: 'broker.refused' }
      default:
        return { type: 'broker.violatedProtocol' }
    }
  }
  /** Refused, or answered with something no client can use: that is the broker's word and no failed handoff. */
  const heard = (state: State, item: ToClient): State =>
    item === 'offer' || item === 'plain' ? state : ghost(state, { excused: true })

  function* clientReads(state: State): Steps {
    const [first, ...rest] = state.conn.toClient
    const took = { ...state, conn: { ...state.conn, toClient: rest } }
    const end = clientReadsEnd(state)
    if (isIn(state, 'client', 'negotiating')) {
      if (first !== undefined)
        yield step(`client:reads ${first}`, 'progress', heard(took, first), 'client', hears(first))
      else if (end) {
        const excused = ghost(state, { excused: true })
        yield step('client:reads end before reply', 'progress', excused, 'client', { type: 'broker.left' })
      }
    } else if (isIn(state, 'client', 'awaitingReady')) {
      if (first === 'ready') yield step('client:reads EVENT', 'progress', took, 'client', { type: 'broker.handedOver' })
      else if (first !== undefined) {
        yield step('client:reads junk', 'progress', took, 'client', { type: 'broker.violatedProtocol' })
      } else if (end) yield step('client:reads end', 'progress', state, 'client', { type: 'broker.left' })
    } else if (hasTag(state, 'client', 'connected') && !state.ghosts.answered && !state.ghosts.orphaned) {
      yield* applicationReads(state, first, took, end)
    }
  }

  function* applicationReads(state: State, first: string | undefined, took: State, end: boolean): Steps {
    if (state.plain.dialled) {
      if (state.plain.answered) yield step('client:is answered', 'progress', ghost(state, { answered: true }), 'client')
      else if (!state.backend.alive) {
        yield step('client:loses backend', 'progress', ghost(state, { orphaned: true, excused: true }), 'client')
      }
    } else if (first === 'answer')
      yield step('client:is answered', 'progress', ghost(took, { answered: true }), 'client')
    else if (first !== undefined) yield step('client:reads greeting', 'progress', took, 'client')
    else if (end) {
      const excused = state.ghosts.excused || !state.backend.alive
      yield step('client:loses connection', 'progress', ghost(state, { orphaned: true, excused }), 'client')
    }
  }

  function* brokerReads(state: State): Steps {
    const { conn, handoff } = state
    if (isIn(state, 'broker', 'readingHello')) {
      if (conn.toServer[0] === 'hello') {
        const read = { ...state, conn: { ...conn, toServer: conn.toServer.slice(1) } }
        yield step('broker:reads Hello', 'progress', read, 'broker', { type: 'client.askedForHandoff' })
        for (const reply of OTHER_REPLIES) {
          const type = reply === 'tokenOnly' ? 'client.askedForHandoff' : 'client.asked'
          yield step(`broker:decides on ${reply}`, 'progress', { ...read, reply }, 'broker', { type })
        }
        if (state.faultsLeft > 0) {
          const spent = { ...ghost(state, { excused: true }), faultsLeft: state.faultsLeft - 1 }
          yield step('broker:cannot read Hello', 'fault', spent, 'broker', { type: 'client.unreadable' })
        }
      } else if (!conn.clientOpen)
        yield step('broker:sees hang-up', 'progress', state, 'broker', { type: 'client.left' })
      return
    }
    if (isIn(state, 'broker', { handingOff: 'awaitingAck' })) {
      const [answer] = handoff.toBroker
      // Peeked, not taken: until EVENT is due the ACK stays unread, so that closing is a withdrawal (W9).
      if (answer === 'accepted')
        yield step('broker:sees ACK', 'progress', state, 'broker', { type: 'backend.accepted' })
      else if (answer === 'rejected') {
        yield step('broker:sees rejection', 'progress', state, 'broker', { type: 'backend.rejected' })
      } else if (answer === 'junk') {
        yield step('broker:sees junk', 'progress', state, 'broker', { type: 'backend.answeredWrongly' })
      } else if (!handoff.backendOpen) {
        yield step('broker:sees backend gone', 'progress', state, 'broker', { type: 'backend.left' })
      }
    }
    if (!conn.clientOpen && hasTag(state, 'broker', 'handingOff')) {
      const proc = state.broker
      if (proc.machine !== null && steppers.broker.handles(proc.machine, { type: 'client.left' })) {
        yield step('broker:sees hang-up', 'progress', state, 'broker', { type: 'client.left' })
      }
    }
  }

  function* backendReads(state: State): Steps {
    if (!state.mute) yield* offerReads(state)
    yield* serviceReads(state)
  }

  function* offerReads(state: State): Steps {
    const { handoff, conn } = state
    if (state.backend.machine === null || hasTag(state, 'backend', 'ended')) return
    const [first, ...rest] = handoff.toBackend
    const took = { ...state, handoff: { ...handoff, toBackend: rest } }
    if (isIn(state, 'backend', { receiving: 'connection' }) && first === 'connection') {
      const held = { ...took, conn: { ...conn, backendHolds: true } }
      yield step('backend:receives connection', 'progress', held, 'backend', { type: 'connection.received' })
      if (state.faultsLeft > 0) {
        const event = { type: 'connection.malformed', fault: 'notAStreamSocket' }
        yield step('backend:receives junk', 'fault', { ...held, faultsLeft: state.faultsLeft - 1 }, 'backend', event)
      }
    } else if (isIn(state, 'backend', { receiving: 'offer' }) && first === 'offer') {
      yield step('backend:accepts offer', 'progress', took, 'backend', { type: 'offer.sound' })
      yield step('backend:rejects offer', 'progress', took, 'backend', { type: 'offer.unacceptable' })
      if (state.faultsLeft > 0) {
        const spent = { ...took, faultsLeft: state.faultsLeft - 1 }
        yield step('backend:cannot read offer', 'fault', spent, 'backend', { type: 'offer.malformed' })
        const junk = { ...spent, handoff: { ...spent.handoff, toBroker: ['junk' as const] }, mute: true }
        yield step('backend:answers junk', 'fault', junk, 'backend')
      }
    } else if (first === 'cancel' && isIn(state, 'backend', 'awaitingGo')) {
      yield step('backend:reads CANCEL', 'progress', took, 'backend', { type: 'broker.withdrew' })
    } else if (first === undefined && !handoff.brokerOpen) {
      const waits = isIn(state, 'backend', 'awaitingGo')
      const type = !waits ? 'broker.left' : handoff.reset ? 'broker.withdrew' : 'broker.released'
      yield step(`backend:reads ${type.slice(7)}`, 'progress', state, 'backend', { type })
    }
  }

  function* serviceReads(state: State): Steps {
    const { conn, plain, ghosts } = state
    if (hasTag(state, 'backend', 'serving') && conn.backendHolds) {
      if (conn.toServer.includes('request')) {
        const read = { ...state, conn: { ...conn, toServer: [] } }
        const answered = speak(ghost(read, { served: ghosts.served + 1 }), 'answer')
        yield step('backend:serves adopted client', 'progress', answered, 'backend')
      } else if (!conn.clientOpen || conn.cut) {
        const closed = { ...state, conn: { ...conn, backendHolds: false } }
        yield step('backend:closes adopted client', 'progress', closed, 'backend')
      }
    }
    if (plain.asked && !plain.answered && plain.dialled) {
      const answered = { ...ghost(state, { served: ghosts.served + 1 }), plain: { ...plain, answered: true } }
      yield step('backend:serves reconnected client', 'progress', answered, 'backend')
    }
  }

  return { client: clientReads, broker: brokerReads, backend: backendReads }
}

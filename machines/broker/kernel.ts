/**
 * The piece of kernel the broker's world needs: one client connection with several holders of its server end, one handoff
 * connection that carries it, one ordinary connection to the backend, and processes that can die between any two calls.
 */
import type { AnyEventObject } from 'xstate'
import type { Effect } from '../explore/effects.js'
import type { SnapshotId } from '../explore/machine-stepper.js'

export type Role = 'client' | 'broker' | 'backend'

/** One process: its machine, what it still has to do, and the timers it has armed. */
export interface Proc {
  readonly alive: boolean
  /** Null while there is nothing to run: a backend before the first handoff. */
  readonly machine: SnapshotId | null
  readonly outbox: readonly Effect[]
  readonly timers: readonly ArmedTimer[]
}

export interface ArmedTimer {
  readonly id: string
  readonly event: AnyEventObject
}

export type FromClient = 'hello' | 'request'
/** `offer`: Negotiated with a token; `plain`: without one; `nameless`: without endpoint and token; `tokenOnly`: without endpoint. */
export type Reply = 'offer' | 'plain' | 'nameless' | 'tokenOnly' | 'refusal' | 'garbled'
export type ToClient = Reply | 'ready' | 'greeting' | 'answer'

/** The connection that carried Hello. Its server end lives as long as broker, backend or a message in flight holds it. */
export interface ClientConnection {
  readonly toServer: readonly FromClient[]
  readonly toClient: readonly ToClient[]
  readonly clientOpen: boolean
  readonly brokerHolds: boolean
  readonly backendHolds: boolean
  /** shutdown(2): at an end for every holder, whoever still has a descriptor. */
  readonly cut: boolean
}

export interface HandoffConnection {
  readonly dialled: boolean
  readonly toBackend: readonly ('connection' | 'offer' | 'cancel')[]
  readonly toBroker: readonly ('accepted' | 'rejected' | 'junk')[]
  readonly brokerOpen: boolean
  readonly backendOpen: boolean
  /** The broker closed with something unread: the backend reads ECONNRESET and not EOF. */
  readonly reset: boolean
}

/** The baseline path. */
export interface PlainConnection {
  readonly dialled: boolean
  readonly asked: boolean
  readonly answered: boolean
}

/** The calls that can block for ever when the other side does not do its part. */
export type Call = 'dialCached' | 'dialBroker' | 'dialHandoff' | 'dialPipe' | 'reply' | 'transfer' | 'ack'

/** What no process knows, and every property needs. */
export interface Ghosts {
  readonly tokensConsumed: number
  readonly tokenRevoked: boolean
  readonly readyWritten: boolean
  readonly withdrawn: boolean
  readonly brokerReport: 'none' | 'adopted' | 'fellBack'
  readonly backendReport: 'none' | 'adopted' | 'dropped'
  /** The broker looked whether the client is still there (W5). */
  readonly screened: boolean
  /** Times the backend served the client's one request. */
  readonly served: number
  readonly answered: boolean
  /** The connection its caller was given ended before the answer. */
  readonly orphaned: boolean
  /** The backend wrote to the client while a living broker had not written EVENT (W3). */
  readonly spokeTooEarly: boolean
  /** Something that is no handoff failure took the service away: the client may fail. */
  readonly excused: boolean
}

export interface BrokerWorldState {
  readonly client: Proc
  readonly broker: Proc
  readonly backend: Proc
  readonly conn: ClientConnection
  readonly handoff: HandoffConnection
  readonly plain: PlainConnection
  readonly ghosts: Ghosts
  readonly faultsLeft: number
  /** The handoff side of the backend stopped answering; its ordinary endpoint has not. */
  readonly mute: boolean
  /** The one call that blocks and never returns: a full backlog, or a peer that reads nothing. */
  readonly stalled: Call | null
  /** What the broker has decided to answer. */
  readonly reply: Reply
  /** The broker's budget for the handoff is over, by its own clock. */
  readonly overdue: boolean
}

export const idle: Proc = { alive: true, machine: null, outbox: [], timers: [] }

export const emptyConnection: ClientConnection = {
  toServer: [],
  toClient: [],
  clientOpen: false,
  brokerHolds: false,
  backendHolds: false,
  cut: false,
}

export const emptyHandoff: HandoffConnection = {
  dialled: false,
  toBackend: [],
  toBroker: [],
  brokerOpen: false,
  backendOpen: false,
  reset: false,
}

/** Does anybody, or a message on its way, still hold the server end? */
export const isHeld = ({ conn, handoff }: BrokerWorldState): boolean =>
  conn.brokerHolds || conn.backendHolds || (handoff.backendOpen && handoff.toBackend.includes('connection'))

/** The client reads EOF: nothing queued, and no one left who could write. */
export const clientReadsEnd = (state: BrokerWorldState): boolean =>
  state.conn.toClient.length === 0 && (state.conn.cut || !isHeld(state))

/** A write by any holder of the server end; lost when the client is gone. @returns null for EPIPE */
export function writeToClient(state: BrokerWorldState, item: ToClient): BrokerWorldState | null {
  const { conn } = state
  if (!conn.clientOpen || conn.cut) return null
  return { ...state, conn: { ...conn, toClient: [...conn.toClient, item] } }
}

export function closeHandoffOfBroker(state: BrokerWorldState): BrokerWorldState {
  const { handoff } = state
  if (!handoff.brokerOpen) return state
  const reset = handoff.reset || handoff.toBroker.length > 0
  return { ...state, handoff: { ...handoff, brokerOpen: false, toBroker: [], reset } }
}

/** Descriptors in flight die with the end that would have received them. */
export const closeHandoffOfBackend = (state: BrokerWorldState): BrokerWorldState => ({
  ...state,
  handoff: { ...state.handoff, backendOpen: false, toBackend: [] },
})

export const closeClientEnd = (state: BrokerWorldState): BrokerWorldState => ({
  ...state,
  conn: { ...state.conn, clientOpen: false, toClient: [] },
})

/** SIGKILL: whatever it held is closed, whatever it had still to do is not done. */
export function kill(state: BrokerWorldState, role: Role): BrokerWorldState {
  const dead: Proc = { alive: false, machine: state[role].machine, outbox: [], timers: [] }
  const after = { ...state, [role]: dead }
  switch (role) {
    case 'client':
      return { ...closeClientEnd(after), plain: { ...after.plain, dialled: false } }
    case 'broker':
      return closeHandoffOfBroker({ ...after, conn: { ...after.conn, brokerHolds: false } })
    case 'backend':
      return closeHandoffOfBackend({ ...after, conn: { ...after.conn, backendHolds: false } })
  }
}

export const ghost = (state: BrokerWorldState, marks: Partial<Ghosts>): BrokerWorldState => ({
  ...state,
  ghosts: { ...state.ghosts, ...marks },
})

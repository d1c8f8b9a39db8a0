/** One live connection as the attached server sees it, and the rule that says whether it may be left unread. */
import type { ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import { hasParser, unsentBytes } from './private-node.js'

export interface Connection {
  /** Unique in its table, for as long as the process lives. */
  readonly id: number
  /** The socket that requests are read from: of a TLS server the decrypted one, once there is one. */
  socket: Socket
  readonly server: Server
  /** Raw streams have no requests; HTTP connections do. */
  readonly protocol: 'http' | 'stream'
  /** `performance.now()` at accept, ms. */
  readonly acceptedAt: number
  /** A TLS handshake is under way. */
  handshaking: boolean
  /** Requests begun and not answered, oldest first: pipelining allows many. */
  readonly unanswered: ServerResponse[]
  /** `socket.bytesRead` when the last answer was complete: the fallback for a Node that hides its parsers. */
  bytesReadAtAnswer: number
  /** Set while nobody reads the connection. `timeoutMs` is what the socket's own idle timer is to be set to again. */
  parked: { readonly timeoutMs: number; readonly paused: boolean } | null
  /** Came from another process. `used`: requests were answered there; `idleTimer`: ours until its next request begins. */
  adopted: { readonly used: boolean; idleTimer: boolean } | null
}

export type BusyReason =
  | 'handshaking'
  | 'openStream'
  | 'upgraded'
  | 'awaitingAnswer'
  | 'sendingAnswer'
  | 'requestArriving'

/**
 * Why a connection cannot be left unread just now, or null when it can: nothing half-answered, nothing half-parsed, every
 * queue empty. All bytes read so far then belong to answered requests, so another process may go on reading.
 * @param betweenRequests what `socketsBetweenRequests` says about its server
 */
export function whyBusy(connection: Connection, betweenRequests: ReadonlySet<Socket> | null): BusyReason | null {
  const { socket } = connection
  if (connection.protocol === 'stream') return 'openStream'
  if (connection.handshaking) return 'handshaking'
  if (connection.unanswered.length > 0) return 'awaitingAnswer'
  if (socket.bytesRead > 0 && !hasParser(socket)) return 'upgraded'
  if (socket.writableLength > 0 || unsentBytes(socket) > 0) return 'sendingAnswer'
  if (socket.readableLength > 0) return 'requestArriving'
  // The parser of a connection that never sent anything counts as active, so the first clause is needed.
  const between =
    socket.bytesRead === 0 ||
    (betweenRequests === null ? socket.bytesRead === connection.bytesReadAtAnswer : betweenRequests.has(socket))
  return between ? null : 'requestArriving'
}

/** What the socket holds beyond the protocol's own knowledge: nothing may be half-written or read and not delivered. */
export const isQuiet = (socket: Socket): boolean =>
  socket.writableLength === 0 && unsentBytes(socket) === 0 && socket.readableLength === 0 && !socket.destroyed

/** Bytes whose meaning only the daemon knows: HTTP ended by an upgrade, or there never was any. */
export const isOpaque = (busy: BusyReason | null): boolean => busy === 'upgraded' || busy === 'openStream'

/** `address:port` of the other end, or null for a Unix socket or a connection that is gone. */
export function peerOf({ socket }: Connection): string | null {
  return socket.remoteAddress === undefined ? null : `${socket.remoteAddress}:${socket.remotePort}`
}

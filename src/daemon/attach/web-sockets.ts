/**
 * WebSockets of `ws` that move with the program, at frame boundaries, each with what the daemon wants to remember of it.
 *
 * Everything private of `ws` is here, and checked for each connection before it is used: where a version differs, the
 * connection does not move; it is closed with 1012 and told when to come back, as those with compression are.
 */
import type { Socket } from 'node:net'
import type { WebSocket, WebSocketServer } from 'ws'
import type { Json, MovableProtocol, ParkAnswer } from './movable-protocol.js'

export interface WebSocketMoves {
  /** What the next program must know of this client, as plain data. Called once or twice a swap; changes nothing. */
  exportState(socket: WebSocket): Json
  /** In the successor: the client goes on where it was. Set its listeners up; messages arrive from the next turn on. */
  importState(socket: WebSocket, state: Json): void
  /** Clients that cannot move are asked to come back after a random part of this, ms, so that they do not all come at once. */
  readonly comeBackWithinMs?: number
}

/** RFC 6455 has no code for it; the registry of RFC 6455 names 1012 "Service Restart". */
const SERVICE_RESTART = 1012
const COME_BACK_WITHIN_MS = 5_000

interface Receiver {
  readonly _state: number
  readonly _bufferedBytes: number
  readonly _fragments: readonly unknown[]
  readonly _fragmented: number
  readonly writableLength: number
}
interface Sender {
  readonly _state: number
  readonly _bufferedBytes: number
  readonly _queue: readonly unknown[]
}
interface Internals {
  readonly _receiver?: Receiver | null
  readonly _sender?: Sender | null
  readonly _socket?: Socket | null
  _protocol?: unknown
  setSocket?(socket: Socket, head: Buffer, options: object): void
}

/** For `listeners.x.attach(httpServer, webSockets(server, …))`; the server is `new WebSocketServer({ server: httpServer })` or alike. */
export function webSockets(server: WebSocketServer, moves: WebSocketMoves): MovableProtocol {
  const known = new WeakMap<Socket, WebSocket>()
  const learn = (socket: WebSocket): void => {
    const { _socket: carrier } = socket as unknown as Internals
    if (carrier) known.set(carrier, socket)
  }
  server.on('connection', learn)
  return {
    park(socket): ParkAnswer {
      const found = known.get(socket)
      // Upgraded to something else, or still in its handshake.
      if (found === undefined) return 'stays'
      const rests = restOf(found)
      return rests === true ? { state: { protocol: found.protocol, state: moves.exportState(found) } } : rests
    },
    adopt(socket, state) {
      const { protocol, state: own } = state as { protocol: string; state: Json }
      const revived = revive(server, socket, protocol)
      known.set(socket, revived)
      moves.importState(revived, own)
    },
    dismiss(socket) {
      const waitMs = Math.floor(Math.random() * (moves.comeBackWithinMs ?? COME_BACK_WITHIN_MS))
      known.get(socket)?.close(SERVICE_RESTART, `restarting, reconnect in ${waitMs} ms`)
    },
  }
}

/** True at a frame boundary with nothing on its way in either direction. */
function restOf(socket: WebSocket): true | 'busy' | 'stays' {
  const { _receiver: receiver, _sender: sender } = socket as unknown as Internals
  // Compression keeps its dictionary in zlib, out of reach.
  if (socket.extensions !== '' || socket.readyState !== socket.OPEN) return 'stays'
  if (!isKnownReceiver(receiver) || !isKnownSender(sender)) return 'stays'
  const hears = receiver._state === 0 && receiver._bufferedBytes === 0 && receiver.writableLength === 0
  const between = receiver._fragments.length === 0 && receiver._fragmented === 0
  const said = sender._state === 0 && sender._bufferedBytes === 0 && sender._queue.length === 0
  return hears && between && said && !socket.isPaused ? true : 'busy'
}

const isKnownReceiver = (receiver: Receiver | null | undefined): receiver is Receiver =>
  receiver != null &&
  [receiver._state, receiver._bufferedBytes, receiver._fragmented, receiver.writableLength].every(Number.isInteger) &&
  Array.isArray(receiver._fragments)

const isKnownSender = (sender: Sender | null | undefined): sender is Sender =>
  sender != null && [sender._state, sender._bufferedBytes].every(Number.isInteger) && Array.isArray(sender._queue)

/** What `ws` does at the end of its handshake, without one. @throws TypeError when this `ws` has no such way in */
function revive(server: WebSocketServer, socket: Socket, protocol: string): WebSocket {
  const { options } = server
  const Class = (options as { WebSocket?: new (address: null, protocols: undefined, options: object) => WebSocket })
    .WebSocket
  if (Class === undefined) throw new TypeError('this version of ws names no class for its connections')
  const revived = new Class(null, undefined, options)
  const internals = revived as unknown as Internals
  if (typeof internals.setSocket !== 'function') throw new TypeError('this version of ws gives sockets to nobody')
  internals._protocol = protocol
  internals.setSocket(socket, Buffer.alloc(0), options)
  if (!isKnownReceiver(internals._receiver) || !isKnownSender(internals._sender)) {
    throw new TypeError('this version of ws keeps its state elsewhere')
  }
  if (server.clients) {
    server.clients.add(revived)
    revived.on('close', () => server.clients.delete(revived))
  }
  return revived
}

/**
 * Every private corner of Node that connections lean on, in one place: each is checked before it is used, and has a public
 * way out where the check fails. Nothing else in this folder touches an underscore or a Node symbol.
 */
import net, { type Server, type Socket } from 'node:net'

/** What libuv's stream handle offers to JS; the same on TCP, Pipe and TLSWrap in Node 20 to 26. */
interface StreamHandle {
  reading: boolean
  readonly fd: number
  readonly writeQueueSize: number
  readStop(): number
  readStart(): number
}

interface ConnectionsList {
  idle(): readonly { readonly socket?: Socket }[]
}

/** Which private features are trusted; what is `false` uses the fallback named here. */
export interface PrivateFeatures {
  /** Stop libuv at once, whatever state the stream is in. Without: `socket.pause()`. */
  readStop: boolean
  /** Ask the HTTP parser whether it is between two requests. Without: bytes read since the last answer. */
  idleParsers: boolean
  /** Keep a resting server from announcing `close`. Without: the daemon's own `close` listeners may run on an abort. */
  closeEvent: boolean
  /** Open a socket on a descriptor without reading from it. Without: connections do not move, they end where they are. */
  adoptPaused: boolean
}

const trusted: PrivateFeatures = { readStop: true, idleParsers: true, closeEvent: true, adoptPaused: true }

export const privateFeatures = (): Readonly<PrivateFeatures> => trusted

/** Sends a feature's callers to its fallback, or back. The self-check does this; nothing else has to. */
export function trustFeature(feature: keyof PrivateFeatures, on: boolean): void {
  trusted[feature] = on
}

/**
 * Leaves what arrives from now on in the kernel. `pause()` alone only stops the stream: libuv goes on reading into its
 * buffer, and what user space has read cannot be left to another process.
 */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket)
  if (!trusted.readStop || handle === null || !isFunction(handle.readStop)) {
    socket.pause()
    return
  }
  if (!handle.reading) return
  handle.reading = false
  handle.readStop()
}

/** The way back from {@link stopReading}; bytes and EOF that waited in the kernel arrive in the next turn of the loop. */
export function startReading(socket: Socket): void {
  const handle = handleOf(socket)
  if (!trusted.readStop || handle === null || !isFunction(handle.readStart)) {
    socket.resume()
    return
  }
  if (handle.reading) return
  handle.reading = true
  handle.readStart()
}

/** The descriptor under a socket (under TLS: of the TCP socket below), or null when it is closed. */
export function descriptorOf(socket: Socket): number | null {
  const fd = handleOf(socket)?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : null
}

/** Bytes that libuv has accepted but the kernel has not; 0 when Node does not say. */
export function unsentBytes(socket: Socket): number {
  const size = handleOf(socket)?.writeQueueSize
  return typeof size === 'number' ? size : 0
}

/**
 * Sockets whose HTTP parser is between two requests, or null when Node does not say. A connection that has not sent
 * anything yet is *not* in it: its parser runs against `headersTimeout` from the start.
 */
export function socketsBetweenRequests(server: Server): ReadonlySet<Socket> | null {
  const list = trusted.idleParsers ? connectionsOf(server) : undefined
  if (list === undefined || !isFunction(list.idle)) return null
  const sockets = new Set<Socket>()
  for (const parser of list.idle()) if (parser.socket !== undefined) sockets.add(parser.socket)
  return sockets
}

/** False once an upgrade has taken the socket away from HTTP. */
export function hasParser(socket: Socket): boolean {
  const parser = field(socket, 'parser')
  return parser !== null && parser !== undefined
}

/** The TCP socket that carries a TLS socket; undefined when Node does not say: then its handshake was not counted. */
export function carrierOf(socket: Socket): Socket | undefined {
  const parent = field(socket, '_parent')
  return parent instanceof net.Socket ? parent : undefined
}

/**
 * A server that stops accepting and has no connection left announces `close`, and daemons clean up on that. A server that
 * only rests until the outcome is known must not say so. @returns the undo
 */
export function holdCloseEvent(server: Server): () => void {
  if (!trusted.closeEvent || !isFunction(field(server, '_emitCloseIfDrained'))) return () => {}
  const own = server as unknown as { _emitCloseIfDrained?: () => void }
  own._emitCloseIfDrained = () => {}
  return () => {
    delete own._emitCloseIfDrained
  }
}

/**
 * Node begins to list HTTP connections only when the server listens; those adopted earlier would escape both
 * `headersTimeout` and {@link socketsBetweenRequests}. No effect where it already does, or cannot.
 */
export function listConnectionsEarly(server: Server): void {
  if (connectionsOf(server) !== undefined) return
  const begin = server.listeners('listening').find((listener) => listener.name === 'setupConnectionsTracking')
  begin?.call(server)
}

/**
 * A socket on a descriptor of another process, which nobody reads until it is resumed. It must be paused before the HTTP
 * server sees it, because a listener for data starts the flow; `manualStart` keeps the constructor from reading.
 * @throws when the descriptor is no TCP or Unix stream socket; it is still open then
 */
export function openPaused(fd: number, allowHalfOpen: boolean): Socket {
  const options = { fd, readable: true, writable: true, allowHalfOpen, manualStart: true }
  const socket = new net.Socket(options)
  socket.pause()
  return socket
}

function handleOf(socket: Socket): StreamHandle | null {
  return (field(socket, '_handle') as StreamHandle | null | undefined) ?? null
}

function connectionsOf(server: Server): ConnectionsList | undefined {
  const symbol = Object.getOwnPropertySymbols(server).find((s) => s.description === 'http.server.connections')
  return symbol === undefined ? undefined : (field(server, symbol) as ConnectionsList | undefined)
}

function field(object: object, key: string | symbol): unknown {
  return (object as Record<string | symbol, unknown>)[key]
}

function isFunction(value: unknown): value is (...args: never[]) => unknown {
  return typeof value === 'function'
}

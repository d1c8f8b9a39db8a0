/** Live connections on their way from the incumbent: staged unread while it serves, read once this process goes live. */
import type { Server as HttpServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { attachError } from '../../errors/attach.js'
import { isHandoffError } from '../../errors/handoff-error.js'
import { closeFd, dup } from '../../os/fds.js'
import type { Connection } from './connection.js'
import { type ConnectionTable, isHttpServer } from './connection-table.js'
import type { Json, MovableProtocol } from './movable-protocol.js'
import type { Parked } from './outgoing.js'
import { unpark, unreadBytes } from './park.js'
import { descriptorOf, listConnectionsEarly, openPaused, privateFeatures } from './private-node.js'
import { holdServerTimeouts } from './server-timeouts.js'

/** Node advertises keep-alive one second shorter than it keeps it, so that a late request does not meet a close, ms. */
const KEEP_ALIVE_BUFFER_MS = 1000
/** What Node's `getTicketKeys()` gives, and what `setTicketKeys()` throws at anything else for. */
const TICKET_KEY_BYTES = 48

export class IncomingConnections {
  readonly #table: ConnectionTable
  readonly #server: Server
  readonly #listener: string
  readonly #protocol: MovableProtocol | undefined
  readonly #staged = new Map<number, Connection>()
  #restoreTimeouts: (() => void) | undefined

  constructor(table: ConnectionTable, server: Server, listener: string, protocol?: MovableProtocol) {
    this.#table = table
    this.#server = server
    this.#listener = listener
    this.#protocol = protocol
  }

  get size(): number {
    return this.#staged.size
  }

  /**
   * Builds the socket and its parser ahead of the cut (20 to 30 µs each), reading nothing. Takes the descriptor over,
   * also when it throws. @throws ERR_HANDOFF_ATTACH_ADOPT
   */
  stage(id: number, fd: number): void {
    // Timers of the server run from here; they have no business with a connection that nobody reads.
    this.#restoreTimeouts ??= holdServerTimeouts(this.#server)
    this.#staged.set(id, this.#adopt(fd))
  }

  /** {@link stage}, false for a connection that cannot be adopted: it stays with the incumbent. */
  tryStage(id: number, fd: number): boolean {
    try {
      this.stage(id, fd)
      return true
    } catch (error) {
      if (isHandoffError(error, 'ERR_HANDOFF_ATTACH_ADOPT')) return false
      throw error
    }
  }

  /** Clients resume the TLS sessions that they have, where both programs set the same `sessionIdContext`. */
  useTicketKeys(keys: Buffer): void {
    if (this.#server instanceof TlsServer && keys.length === TICKET_KEY_BYTES) this.#server.setTicketKeys(keys)
  }

  has(id: number): boolean {
    return this.#staged.has(id)
  }

  /** The incumbent keeps these, or they are closed there: lets go of our copies. */
  drop(ids: Iterable<number>): void {
    for (const id of ids) {
      this.#staged.get(id)?.socket.destroy()
      this.#staged.delete(id)
    }
  }

  /**
   * The incumbent reads no more: from here on these are ours, those with a request waiting first. Staged ones that are
   * not among them are dropped. @returns how many are read now
   */
  goLive(parked: readonly Parked[]): number {
    const live = parked.flatMap(({ id, used, state }) => {
      const connection = this.#staged.get(id)
      this.#staged.delete(id)
      return connection === undefined || connection.socket.destroyed ? [] : [{ connection, used, state }]
    })
    this.drop([...this.#staged.keys()])
    this.#restoreTimeouts?.()
    this.#restoreTimeouts = undefined
    const withRequest = live.filter(({ connection }) => unreadBytes(connection) > 0)
    const waiting = new Set(withRequest)
    let count = 0
    for (const { connection, used, state } of [...withRequest, ...live.filter((each) => !waiting.has(each))]) {
      if (state === undefined) this.#begin(connection, used)
      else if (!this.#beginWith(connection, state)) continue
      count++
    }
    return count
  }

  /** The handoff was aborted: closes our copies; the incumbent's are untouched. */
  abandon(): void {
    this.goLive([])
  }

  /** From an older server of this process; it stays unread until that is over for all. */
  takeOver(connection: Connection, state: string): void {
    const fd = descriptorOf(connection.socket)
    if (fd === null || this.#protocol === undefined) return
    const copy = dup(fd)
    connection.socket.destroy()
    const taken = this.#track(copy)
    this.#protocol.adopt(taken.socket, JSON.parse(state) as Json)
    taken.socket.pause()
  }

  #begin(staged: Connection, used: boolean): void {
    const connection = this.#youngEnough(staged)
    const timeoutMs = used ? idleTimeoutMs(this.#server, connection) : 0
    connection.adopted = { used, idleTimer: timeoutMs > 0 }
    connection.parked = { timeoutMs, paused: true }
    unpark(connection)
  }

  /** In the middle of a protocol that this program must know as well; without it the connection ends here. */
  #beginWith(staged: Connection, state: string): boolean {
    const connection = this.#withoutParser(staged)
    if (this.#protocol === undefined || connection === null) {
      staged.socket.destroy()
      return false
    }
    try {
      this.#protocol.adopt(connection.socket, JSON.parse(state) as Json)
    } catch (error) {
      connection.socket.destroy()
      process.emitWarning(`listener "${this.#listener}": a connection could not be adopted: ${error}`)
      return false
    }
    unpark(connection)
    return true
  }

  /** It was staged for HTTP, since it might have rested as such. */
  #withoutParser(staged: Connection): Connection | null {
    if (staged.protocol === 'stream') return staged
    const fd = descriptorOf(staged.socket)
    if (fd === null) return null
    const copy = dup(fd)
    staged.socket.destroy()
    return this.#track(copy)
  }

  #track(fd: number): Connection {
    const connection = this.#table.track(this.#server, this.#open(fd))
    connection.parked = { timeoutMs: 0, paused: true }
    return connection
  }

  /** A parser's clock runs from its start; one that was staged for long would be answered with a 408 for nothing. */
  #youngEnough(staged: Connection): Connection {
    const limitMs = requestLimitMs(this.#server)
    const fd = descriptorOf(staged.socket)
    if (fd === null || performance.now() - staged.acceptedAt < limitMs / 2) return staged
    const copy = dup(fd)
    staged.socket.destroy()
    return this.#adopt(copy)
  }

  #adopt(fd: number): Connection {
    if (!isHttpServer(this.#server)) return this.#track(fd)
    // Without the list the parser's state stays hidden, and the connection could not move on at the next handoff.
    listConnectionsEarly(this.#server)
    const socket = this.#open(fd)
    this.#server.emit('connection', socket)
    const connection = this.#table.of(socket)
    if (connection === undefined) {
      socket.destroy()
      throw attachError('ERR_HANDOFF_ATTACH_ADOPT', [this.#listener])
    }
    connection.adopted = { used: false, idleTimer: false }
    connection.parked = { timeoutMs: 0, paused: true }
    return connection
  }

  #open(fd: number): Socket {
    try {
      if (!isHttpServer(this.#server) && this.#protocol === undefined) {
        throw new TypeError('a server that speaks no HTTP adopts connections only with a protocol that moves')
      }
      if (!privateFeatures().adoptPaused) throw new TypeError('this Node cannot open a socket without reading from it')
      return openPaused(fd, (this.#server as { allowHalfOpen?: boolean }).allowHalfOpen === true)
    } catch (error) {
      closeFd(fd)
      throw attachError('ERR_HANDOFF_ATTACH_ADOPT', [this.#listener], error)
    }
  }
}

/** Shortest of the limits that Node sets on a request from the start of its parser, ms; Infinity without one. */
function requestLimitMs(server: Server): number {
  const { headersTimeout, requestTimeout } = server as HttpServer
  return Math.min(...[headersTimeout, requestTimeout].map((ms) => (ms > 0 ? ms : Number.POSITIVE_INFINITY)))
}

/**
 * How long an adopted connection may idle before its next request, ms; 0 for ever. Its parser counts as if a request had
 * begun, so Node would end a longer wait with an unsolicited 408: we close it before, as keep-alive would.
 */
function idleTimeoutMs(server: Server, connection: Connection): number {
  const { keepAliveTimeout } = server as HttpServer
  const keepAliveMs = keepAliveTimeout > 0 ? keepAliveTimeout + KEEP_ALIVE_BUFFER_MS : Number.POSITIVE_INFINITY
  const parserAgeMs = performance.now() - connection.acceptedAt
  const idleMs = Math.min(keepAliveMs, Math.max(1, (requestLimitMs(server) - parserAgeMs) * 0.9))
  return Number.isFinite(idleMs) ? idleMs : 0
}

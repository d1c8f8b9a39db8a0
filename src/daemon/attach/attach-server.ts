/** The traps of a shared listening socket and of keep-alive connections, behind one handle per listener. */
import { createServer } from 'node:http'
import { type Server, Socket } from 'node:net'
import { attachError } from '../../errors/attach.js'
import { Acceptor, type ListenerSocket } from './acceptor.js'
import { checkPrivateNode } from './check-private-node.js'
import { isOpaque, isQuiet } from './connection.js'
import { ConnectionTable, isHttpServer } from './connection-table.js'
import { Drain, type DrainOptions, type DrainResult, FIRST_BYTE_GRACE_MS } from './drain.js'
import { refuse } from './forward.js'
import { IncomingConnections } from './incoming.js'
import { LateRest } from './late-rest.js'
import type { MovableProtocol } from './movable-protocol.js'
import { canMoveConnections, isMovableHttp, OutgoingConnections } from './outgoing.js'
import { unreadBytes } from './park.js'
import { redirectHandlers } from './redirect.js'
import { type Handler, RequestGate } from './request-gate.js'
import { holdServerTimeouts } from './server-timeouts.js'

export interface ConnectionFacts {
  readonly open: number
  /** Handshaking, half-arrived, unanswered, upgraded, or raw. */
  readonly inFlight: number
  /** `open` less `inFlight`. */
  readonly idle: number
  /** Those of the idle ones that nobody reads. */
  readonly parked: number
}

export interface ReleaseResult {
  /** Idle connections closed. */
  readonly idleClosed: number
  /** Those of them on which a request had arrived unread: their clients see a reset. */
  readonly withUnread: number
}

export interface AttachOptions {
  /**
   * The handle that this attach() replaces, when the daemon built a new server after an abort. Its connections are taken
   * over as they are, parked ones included, and their next requests reach the new server's handlers.
   */
  readonly replaces?: AttachedServer
  /** For connections that speak no HTTP: all of a net server's, and those that were upgraded. */
  readonly protocol?: MovableProtocol
  /** How long a drain waits for the first byte of a connection accepted just before it, ms. Default 200. */
  readonly firstByteGraceMs?: number
}

type Phase = 'open' | 'draining' | 'released' | 'superseded'

const attached = new WeakMap<Server, AttachedServer>()

/**
 * Stands a net, http, https or derived server (express, fastify, hono) on a listening socket that others hold too. Nothing
 * is accepted before `startAccepting()`. Attaching the same server to the same listener again returns the same handle.
 * @throws ERR_HANDOFF_ATTACH_USAGE_ALREADY_LISTENING, ERR_HANDOFF_ATTACH_USAGE_ALREADY_ATTACHED
 */
export function attachServer(listener: ListenerSocket, server: Server, options: AttachOptions = {}): AttachedServer {
  const known = attached.get(server)
  if (known !== undefined) {
    if (known.listener.fd === listener.fd) return known
    throw attachError('ERR_HANDOFF_ATTACH_USAGE_ALREADY_ATTACHED', [listener.name, known.listener.name])
  }
  if (server.listening) throw attachError('ERR_HANDOFF_ATTACH_USAGE_ALREADY_LISTENING', [listener.name])
  const handle = new AttachedServer(listener, server, options)
  attached.set(server, handle)
  return handle
}

export class AttachedServer {
  readonly listener: ListenerSocket
  readonly server: Server
  readonly #acceptor: Acceptor
  readonly #table: ConnectionTable
  /** This server and those it replaced: their connections live on. */
  readonly #servers: Server[]
  readonly #firstByteGraceMs: number
  readonly #protocol: MovableProtocol | undefined
  #phase: Phase = 'open'
  #drain: Drain | undefined
  #draining: Promise<DrainResult> | undefined
  #restoreTimeouts: (() => void)[] = []
  /** Of this server, where it speaks HTTP/2. */
  readonly #gate: RequestGate | undefined
  readonly #sessions = new Set<Session>()
  /**
   * From the end of a drain on, where requests come over HTTP/1: a connection that was busy then is still read, and what it
   * asks next must not be answered from state that is being sealed.
   */
  #lateGate: RequestGate | undefined
  /** What an older program's sessions ask comes in here. */
  #forwarded: { server: Server; gate: RequestGate } | undefined
  /** @internal a successor stands ready to take connections over; the next drain leaves those as they are that can go. */
  keepsConnections = false

  /** @internal use {@link attachServer} */
  constructor(listener: ListenerSocket, server: Server, { replaces, protocol, firstByteGraceMs }: AttachOptions) {
    this.listener = listener
    this.server = server
    this.#acceptor = new Acceptor(listener, server)
    this.#protocol = protocol
    this.#firstByteGraceMs = firstByteGraceMs ?? FIRST_BYTE_GRACE_MS
    const previous = replaces === undefined ? undefined : replaces.#supersede()
    this.#table = previous?.table ?? new ConnectionTable()
    this.#servers = [server, ...(previous?.servers ?? [])]
    for (const older of previous?.servers ?? []) redirectHandlers(older, server)
    this.#table.watch(server)
    if (isHttp2Server(server) && server.listenerCount('request') > 0) {
      this.#gate = new RequestGate(server)
      if (previous?.gate !== undefined) this.#gate.inherit(previous.gate)
    }
    if (isHttp2Server(server)) {
      server.on('session', (session: Session) => {
        this.#sessions.add(session)
        session.once('close', () => this.#sessions.delete(session))
      })
    }
    if (previous?.drain !== undefined) {
      this.#phase = 'draining'
      this.#drain = previous.drain
      this.#restoreTimeouts = [...previous.restoreTimeouts, holdServerTimeouts(server)]
      if (previous.protocol !== undefined) this.#inherit(previous.protocol)
      this.#holdLate()
      if (previous.gate !== undefined) this.#lateGate?.inherit(previous.gate)
    }
    // Proven while there is time, needed at the first drain.
    void checkPrivateNode()
  }

  /**
   * Goes live: listens on a fresh duplicate with the listener's real backlog. After a drain it is the way back as well:
   * parked connections are read again, what arrived meanwhile is served, answers keep their connections.
   * @throws ERR_HANDOFF_ATTACH_LISTEN
   */
  async startAccepting(): Promise<void> {
    this.#assertUsable('startAccepting()')
    this.#endDrain()
    await this.#acceptor.start()
  }

  /** Leaves new clients to the queue. Connections go on being served; nothing is closed. */
  async stopAccepting(): Promise<void> {
    await this.#acceptor.stop()
  }

  /**
   * Stops accepting and waits until no request is in flight. Answers not begun yet say `Connection: close`; idle
   * connections, also those that become idle later, stay open and unread until {@link resume} or {@link release}.
   * A second call while one is under way returns the same promise.
   */
  drain(options: DrainOptions): Promise<DrainResult> {
    this.#assertUsable('drain()')
    this.#draining ??= this.#runDrain(options).finally(() => {
      this.#draining = undefined
    })
    return this.#draining
  }

  /** The handoff was aborted; the same as {@link startAccepting}. */
  resume(): Promise<void> {
    return this.startAccepting()
  }

  /**
   * The successor serves: closes the parked connections. Those still busy end by themselves, with `Connection: close`
   * where that can still be said, and are closed as soon as they are idle.
   */
  async release(): Promise<ReleaseResult> {
    this.#assertUsable('release()')
    await this.stopAccepting()
    this.#phase = 'released'
    this.#drain ??= this.#newDrain(false)
    this.#drain.closeIdle()
    for (const gate of [this.#lateGate, ...this.#gates()]) gate?.sendOn(refuse)
    // What lingers now is bounded by Node's own timeouts again.
    for (const restore of this.#restoreTimeouts.splice(0)) restore()
    let idleClosed = 0
    let withUnread = 0
    for (const connection of this.#table.all) {
      if (connection.parked === null || connection.socket.destroyed) continue
      idleClosed++
      if (unreadBytes(connection) > 0) withUnread++
      connection.socket.destroy()
    }
    this.#dismissOpaque()
    this.#acceptor.retire()
    return { idleClosed, withUnread }
  }

  /** Resolves when no connection is left, or at the signal. */
  async ended(signal: AbortSignal): Promise<void> {
    await this.#table.empty(signal)
  }

  /** Requests can be answered here that other processes send on. */
  get answersHttp(): boolean {
    return (isHttpServer(this.server) || isHttp2Server(this.server)) && this.server.listenerCount('request') > 0
  }

  /** A connection from a replaced incumbent, which sends on what its sessions ask. Takes the descriptor over. */
  serveForwarded(fd: number): void {
    if (this.#forwarded === undefined) {
      // The other end is our own predecessor: it closes what it needs no more, and nobody else waits.
      const server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 })
      const gate = new RequestGate(server, (request, response) => void this.server.emit('request', request, response))
      this.#forwarded = { server, gate }
    }
    this.#forwarded.server.emit('connection', new Socket({ fd, readable: true, writable: true, allowHalfOpen: true }))
  }

  /**
   * The successor serves, and answers what comes to the sessions that stay here: TLS, HTTP/2, and what it had no room for.
   * They are read again. Connections that have moved must be detached before.
   */
  async forward(handler: Handler): Promise<void> {
    this.#assertUsable('forward()')
    await this.stopAccepting()
    this.#phase = 'released'
    this.#dismissOpaque()
    this.#holdLate()
    this.#lateGate?.sendOn(handler)
    for (const gate of this.#gates()) gate.sendOn(handler)
    for (const restore of this.#restoreTimeouts.splice(0)) restore()
    this.#drain?.end()
    this.#acceptor.retire()
  }

  /** HTTP/2 clients are told that their session takes no more requests. */
  sayGoodbye(): void {
    for (const session of this.#sessions) session.close()
  }

  /** For one exchange with one successor: the connections that can go to it. Close it afterwards. */
  outgoing(): OutgoingConnections {
    return new OutgoingConnections(this.#table, this.#protocol, this.server)
  }

  /** After {@link forward}: what was busy at the cut can still move when it rests. Null where this Node moves nothing. */
  lateRest(tell: () => void): LateRest | null {
    return canMoveConnections() ? new LateRest(this.#table, isMovableHttp, tell) : null
  }

  /** For one exchange with the incumbent: its connections, staged on this server. */
  incoming(): IncomingConnections {
    return new IncomingConnections(this.#table, this.server, this.listener.name, this.#protocol)
  }

  /** Counts, for status reports; a look at every connection. */
  connections(): ConnectionFacts {
    const look = this.#table.look()
    let inFlight = 0
    let parked = 0
    for (const connection of this.#table.all) {
      if (connection.parked !== null) parked++
      else if (look(connection) !== null) inFlight++
    }
    const open = this.#table.all.size
    return { open, inFlight, idle: open - inFlight, parked }
  }

  async #runDrain(options: DrainOptions): Promise<DrainResult> {
    await this.stopAccepting()
    if (this.#drain === undefined) {
      this.#phase = 'draining'
      this.#drain = this.#newDrain(options.keepConnections ?? this.keepsConnections)
      this.#restoreTimeouts = this.#servers.map(holdServerTimeouts)
    }
    await checkPrivateNode()
    const drain = this.#drain
    for (const gate of this.#gates()) gate.hold()
    const result = await drain.wait(options)
    if (this.#drain === drain) this.#holdLate()
    let held = 0
    for (const gate of this.#gates()) held += await gate.quiet(options.deadline, options.signal)
    return held === 0 ? result : { ...result, inFlight: result.inFlight + held }
  }

  /** Their sessions live in objects of the old state, which is closed: the new protocol adopts them, as a successor's would. */
  #inherit(old: MovableProtocol): void {
    const incoming = this.incoming()
    const look = this.#table.look()
    for (const connection of [...this.#table.all]) {
      if (connection.parked === null || !isOpaque(look(connection))) continue
      const answer = isQuiet(connection.socket) ? old.park(connection.socket) : 'busy'
      if (typeof answer === 'object') incoming.takeOver(connection, JSON.stringify(answer.state))
    }
  }

  #holdLate(): void {
    if (this.#lateGate !== undefined || !isHttpServer(this.server)) return
    this.#lateGate = new RequestGate(this.server)
    this.#lateGate.hold()
  }

  #gates(): RequestGate[] {
    return [this.#gate, this.#forwarded?.gate].filter((gate) => gate !== undefined)
  }

  #dismissOpaque(): void {
    const look = this.#table.look()
    for (const connection of this.#table.all) {
      if (!connection.socket.destroyed && isOpaque(look(connection))) this.#protocol?.dismiss?.(connection.socket)
    }
  }

  #newDrain(keepConnections: boolean): Drain {
    return new Drain(this.#table, {
      keepConnections,
      firstByteGraceMs: this.#firstByteGraceMs,
      protocol: this.#protocol,
    })
  }

  #endDrain(): void {
    this.#phase = 'open'
    for (const restore of this.#restoreTimeouts.splice(0)) restore()
    this.#drain?.end()
    this.#drain = undefined
    for (const gate of this.#gates()) gate.open()
    this.#lateGate?.remove()
    this.#lateGate = undefined
  }

  #supersede() {
    this.#assertUsable('attach() to replace it')
    this.#phase = 'superseded'
    this.#acceptor.retire()
    return {
      table: this.#table,
      servers: this.#servers,
      drain: this.#drain,
      protocol: this.#protocol,
      gate: this.#gate ?? this.#lateGate,
      restoreTimeouts: this.#restoreTimeouts.splice(0),
    }
  }

  #assertUsable(asked: string): void {
    if (this.#phase === 'superseded') {
      throw attachError('ERR_HANDOFF_ATTACH_STATE_SUPERSEDED', [this.listener.name, asked])
    }
    if (this.#phase === 'released') throw attachError('ERR_HANDOFF_ATTACH_STATE_RELEASED', [this.listener.name, asked])
  }
}

/** What is used of an HTTP/2 session. */
interface Session {
  close(): void
  once(event: 'close', listener: () => void): unknown
}

/** Both kinds of HTTP/2 server, and no other, take new settings. */
const isHttp2Server = (server: Server): boolean =>
  typeof (server as { updateSettings?: unknown }).updateSettings === 'function'

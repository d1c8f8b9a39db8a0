/** Every connection of the servers behind one listener, kept by events that Node documents. */
import diagnostics from 'node:diagnostics_channel'
import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { Server, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { type BusyReason, type Connection, whyBusy } from './connection.js'
import { carrierOf, socketsBetweenRequests } from './private-node.js'

export interface TableEvents {
  /** A request has begun; runs before its handler. */
  onRequest(connection: Connection): void
  /** Something that {@link whyBusy} looks at may have changed. */
  onChange(connection: Connection): void
  /** The connection is closed and no longer in the table. */
  onGone(connection: Connection): void
}

/** A classifier over one look at the parsers; valid for the current turn of the event loop only. */
export type Look = (connection: Connection) => BusyReason | null

/** Published by Node for every HTTP/1 request of the process, also those that end in `checkContinue` or a refusal. */
const REQUEST_START = 'http.server.request.start'

export const isHttpServer = (server: Server): boolean => server instanceof HttpServer || server instanceof HttpsServer

export class ConnectionTable {
  readonly #bySocket = new Map<Socket, Connection>()
  readonly #all = new Set<Connection>()
  readonly #byId = new Map<number, Connection>()
  readonly #unhook: (() => void)[] = []
  readonly #observers = new Set<Partial<TableEvents>>()
  #lastId = 0

  get all(): ReadonlySet<Connection> {
    return this.#all
  }

  /** @returns the undo */
  observe(events: Partial<TableEvents>): () => void {
    this.#observers.add(events)
    return () => this.#observers.delete(events)
  }

  byId(id: number): Connection | undefined {
    return this.#byId.get(id)
  }

  of(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket)
  }

  /** Counts the connections that the server gets from now on. */
  watch(server: Server): void {
    const secure = server instanceof TlsServer
    const http = isHttpServer(server)
    this.#on(server, 'connection', (socket: Socket) => this.#add(server, socket, http ? 'http' : 'stream', secure))
    if (secure)
      this.#on(server, 'secureConnection', (socket: Socket) => this.#secured(server, socket, http ? 'http' : 'stream'))
    if (!http) return
    const onStart = (message: unknown): void => {
      const { server: of, socket, request, response } = message as RequestStart
      const connection = of === server ? this.#bySocket.get(socket) : undefined
      if (connection !== undefined) this.#begin(connection, request, response)
    }
    diagnostics.subscribe(REQUEST_START, onStart)
    this.#unhook.push(() => diagnostics.unsubscribe(REQUEST_START, onStart))
  }

  /** A connection that no server announces: adopted in the middle of its protocol. */
  track(server: Server, socket: Socket): Connection {
    return this.#add(server, socket, 'stream', false)
  }

  /** Looks at the parsers of each server once, however many connections are asked about. */
  look(): Look {
    const sets = new Map<Server, ReadonlySet<Socket> | null>()
    return (connection) => {
      let between = sets.get(connection.server)
      if (between === undefined) {
        between = socketsBetweenRequests(connection.server)
        sets.set(connection.server, between)
      }
      return whyBusy(connection, between)
    }
  }

  /** Resolves when no connection is left, or at the signal. */
  empty(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#all.size > 0 && !signal.aborted) return
        unobserve()
        signal.removeEventListener('abort', look)
        resolve()
      }
      const unobserve = this.observe({ onGone: look })
      signal.addEventListener('abort', look)
      look()
    })
  }

  /** Takes all hooks back; what is in the table stays countable. */
  unwatch(): void {
    for (const unhook of this.#unhook.splice(0)) unhook()
  }

  #on(server: Server, event: string, listener: (socket: Socket) => void): void {
    server.on(event, listener)
    this.#unhook.push(() => server.off(event, listener))
  }

  #add(server: Server, socket: Socket, protocol: Connection['protocol'], handshaking: boolean): Connection {
    const connection: Connection = {
      id: ++this.#lastId,
      socket,
      server,
      protocol,
      acceptedAt: performance.now(),
      handshaking,
      unanswered: [],
      bytesReadAtAnswer: 0,
      parked: null,
      adopted: null,
    }
    this.#all.add(connection)
    this.#byId.set(connection.id, connection)
    this.#follow(connection, socket)
    return connection
  }

  #follow(connection: Connection, socket: Socket): void {
    this.#bySocket.set(socket, connection)
    socket.once('close', () => {
      this.#bySocket.delete(socket)
      if (connection.socket !== socket) return
      this.#all.delete(connection)
      this.#byId.delete(connection.id)
      this.#tell('onGone', connection)
    })
    this.#tell('onChange', connection)
  }

  #secured(server: Server, socket: Socket, protocol: Connection['protocol']): void {
    const carrier = carrierOf(socket)
    const connection = carrier === undefined ? undefined : this.#bySocket.get(carrier)
    if (connection === undefined) {
      this.#add(server, socket, protocol, false)
      return
    }
    connection.socket = socket
    connection.handshaking = false
    this.#follow(connection, socket)
  }

  #begin(connection: Connection, request: IncomingMessage, response: ServerResponse): void {
    connection.unanswered.push(response)
    // The request may outlast its answer: an unread body goes on arriving.
    request.once('close', () => this.#changed(connection))
    response.once('close', () => {
      const at = connection.unanswered.indexOf(response)
      if (at >= 0) connection.unanswered.splice(at, 1)
      this.#changed(connection)
    })
    if (connection.adopted?.idleTimer === true) {
      // Node resets only an idle timer that it has set itself: a slow answer would be cut off by this one.
      connection.adopted.idleTimer = false
      connection.socket.setTimeout((connection.server as HttpServer).timeout)
    }
    this.#tell('onRequest', connection)
  }

  #tell(what: keyof TableEvents, connection: Connection): void {
    for (const observer of this.#observers) observer[what]?.(connection)
  }

  #changed(connection: Connection): void {
    if (!this.#all.has(connection)) return
    if (connection.unanswered.length === 0) connection.bytesReadAtAnswer = connection.socket.bytesRead
    this.#tell('onChange', connection)
  }
}

interface RequestStart {
  readonly server: Server
  readonly socket: Socket
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

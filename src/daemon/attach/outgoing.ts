/** Live connections on their way to the successor: which can go, which have gone away, which must stay. */
import type { Server } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { type BusyReason, type Connection, isOpaque, isQuiet, peerOf } from './connection.js'
import type { ConnectionTable } from './connection-table.js'
import type { MovableProtocol } from './movable-protocol.js'
import { descriptorOf, hasParser, privateFeatures } from './private-node.js'

/** The fallbacks are good enough to wait on the same socket, not to let another process read on from the same byte. */
export function canMoveConnections(): boolean {
  const { readStop, idleParsers } = privateFeatures()
  return readStop && idleParsers
}

/** Plain HTTP/1.1, never used or still in the hands of its parser: TLS keeps its session in this process. */
export const isMovableHttp = ({ protocol, server, socket }: Connection): boolean =>
  !(server instanceof TlsServer) && protocol === 'http' && (socket.bytesRead === 0 || hasParser(socket))

/** A copy for the successor to stage. The descriptor stays ours: the successor's copy travels with the message. */
export interface Offer {
  readonly id: number
  readonly fd: number
}

/** A connection that rests and may be read by the successor from the moment it goes live. */
export interface Parked {
  readonly id: number
  /** It has been answered on before, so that its keep-alive time runs. */
  readonly used: boolean
  /** JSON of what its protocol must know to go on; absent for HTTP. */
  readonly state?: string
}

export interface Staying {
  readonly id: number
  readonly peer: string | null
  /** `notOffered`: the successor had no room for it, or no time. */
  readonly reason: BusyReason | 'tls' | 'notOffered'
}

/** What one exchange tells the successor at the cut. */
export interface Cut {
  readonly parked: readonly Parked[]
  readonly staying: readonly Staying[]
}

/** One exchange with one successor. */
export class OutgoingConnections {
  readonly #table: ConnectionTable
  readonly #protocol: MovableProtocol | undefined
  readonly #server: Server | undefined
  readonly #unobserve: () => void
  /** Staged by the successor, as it has acknowledged. */
  readonly #staged = new Map<number, Connection>()
  readonly #refused = new Set<number>()
  readonly #gone: number[] = []
  /** Called after a staged connection has closed: {@link takeGone} has something. */
  onGone: (() => void) | undefined

  /** @param server whose TLS tickets, if it gives any, the successor should honour */
  constructor(table: ConnectionTable, protocol?: MovableProtocol, server?: Server) {
    this.#table = table
    this.#server = server
    this.#protocol = protocol
    this.#unobserve = table.observe({
      onGone: ({ id }) => {
        if (!this.#staged.delete(id)) return
        this.#gone.push(id)
        this.onGone?.()
      },
    })
  }

  /** 48 bytes in base64, or null for a server without TLS. */
  ticketKeys(): string | null {
    return this.#server instanceof TlsServer ? this.#server.getTicketKeys().toString('base64') : null
  }

  /** Up to `limit` connections that the successor does not have; before the cut busy ones too, since they may rest by then. */
  offers(limit: number, parkedOnly: boolean): Offer[] {
    if (!canMoveConnections()) return []
    const offers: Offer[] = []
    for (const connection of this.#table.all) {
      if (offers.length >= limit) break
      if (this.#staged.has(connection.id) || this.#refused.has(connection.id) || !this.#isMovable(connection)) continue
      if (parkedOnly && connection.parked === null) continue
      const fd = descriptorOf(connection.socket)
      if (fd !== null) offers.push({ id: connection.id, fd })
    }
    return offers
  }

  /**
   * What became of an offer: `held` are copies of the successor, so that our closing them sends no FIN until it drops them
   * (see {@link takeGone}); the other `offered` ones stay here and are not offered again.
   */
  answered(offered: readonly number[], held: readonly number[]): void {
    const holds = new Set(held)
    for (const id of offered) {
      const connection = this.#table.byId(id)
      if (!holds.has(id)) this.#refused.add(id)
      // Closed while the message travelled.
      else if (connection === undefined) this.#gone.push(id)
      else this.#staged.set(id, connection)
    }
  }

  /** Closed here since the last call: the successor must close its copies, so that the clients see the end. */
  takeGone(): number[] {
    return this.#gone.splice(0)
  }

  /** After the drain: what rests moves, the others finish here. */
  cut(): Cut {
    const look = this.#table.look()
    const parked: Parked[] = []
    const staying: Staying[] = []
    for (const connection of this.#table.all) {
      const { id, socket } = connection
      if (socket.destroyed) continue
      const busy = look(connection)
      const rests = connection.parked !== null && this.#staged.has(id)
      const state = rests && isOpaque(busy) ? this.#stateOf(connection) : undefined
      if (rests && (state !== undefined || busy === null)) {
        parked.push({ id, used: wasUsed(connection), ...(state === undefined ? {} : { state }) })
      } else staying.push({ id, peer: peerOf(connection), reason: stayReason(connection, busy) })
    }
    return { parked, staying }
  }

  /** What is no HTTP needs a protocol that can tell its state. */
  #isMovable(connection: Connection): boolean {
    if (this.#protocol !== undefined) return !(connection.server instanceof TlsServer)
    return isMovableHttp(connection)
  }

  /** As it is now: the daemon may have written since the drain asked. */
  #stateOf({ socket }: Connection): string | undefined {
    const answer = isQuiet(socket) ? this.#protocol?.park(socket) : undefined
    return typeof answer === 'object' ? JSON.stringify(answer.state) : undefined
  }

  /**
   * The successor reads these now: lets go of our copies, without a word on the wire. Costs about 10 µs each; a process
   * that has nothing else to finish exits instead.
   */
  detach(ids: Iterable<number> = [...this.#staged.keys()]): number {
    let count = 0
    for (const id of ids) {
      const connection = this.#staged.get(id)
      if (connection === undefined || connection.parked === null) continue
      this.#staged.delete(id)
      // destroy() is close(2) alone; end() would shut the connection down under the successor.
      connection.socket.destroy()
      count++
    }
    return count
  }

  /** The exchange is over, whatever came of it. */
  close(): void {
    this.#unobserve()
    this.#staged.clear()
    this.#gone.length = 0
  }
}

const wasUsed = (connection: Connection): boolean =>
  connection.adopted?.used === true || connection.socket.bytesRead > 0

function stayReason(connection: Connection, busy: BusyReason | null): Staying['reason'] {
  if (busy !== null) return busy
  return connection.server instanceof TlsServer ? 'tls' : 'notOffered'
}

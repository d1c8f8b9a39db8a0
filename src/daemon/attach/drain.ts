/** Bring every connection to rest: in-flight requests are answered, idle connections stay open and unread. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ClosingMarks, createClosingMarks } from './closing-mark.js'
import { type BusyReason, type Connection, isOpaque, isQuiet, peerOf } from './connection.js'
import type { ConnectionTable, Look } from './connection-table.js'
import type { MovableProtocol } from './movable-protocol.js'
import { park, unpark, unreadBytes } from './park.js'

/**
 * How long a new connection may take to send its first byte before it counts as idle, ms. A client whose handshake the
 * kernel has finished sends at once; closing in between would fail a request that no retry rule covers.
 */
export const FIRST_BYTE_GRACE_MS = 200

/** A protocol that was not at a safe point is asked again after this long, ms. */
const ASK_AGAIN_MS = 5

/** Longest delay that Node's timers take. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** At most so many connections are named in a result. */
const MAX_REMAINING = 32

export interface DrainOptions {
  /** When to stop waiting, on the clock of `performance.now()`, ms. In the past: only count. */
  readonly deadline: number
  /** Ends the wait early, with the same kind of answer as the deadline. */
  readonly signal?: AbortSignal
  /** Connections will be moved rather than closed: no `Connection: close`, and an unread request is left unread. */
  readonly keepConnections?: boolean
}

export interface DrainStyle {
  readonly keepConnections?: boolean
  /** Default {@link FIRST_BYTE_GRACE_MS}. */
  readonly firstByteGraceMs?: number
  /** Knows the safe points of connections that speak no HTTP. */
  readonly protocol?: MovableProtocol | undefined
}

export interface RemainingConnection {
  readonly peer: string | null
  readonly reason: BusyReason
  readonly ageMs: number
}

export interface DrainResult {
  readonly openConnections: number
  /** Still busy at the deadline; 0 when the drain is complete. */
  readonly inFlight: number
  /** Open, answered and unread. */
  readonly idle: number
  /** Who is still busy and why, the first 32. */
  readonly remaining: readonly RemainingConnection[]
}

export class Drain {
  readonly #table: ConnectionTable
  readonly #firstByteGraceMs: number
  readonly #protocol: MovableProtocol | undefined
  #marks: ClosingMarks | null
  readonly #pending = new Set<Connection>()
  readonly #graceTimers = new Map<Connection, NodeJS.Timeout>()
  #busy = new Set<Connection>()
  #immediate: NodeJS.Immediate | undefined
  #wake: (() => void) | undefined
  readonly #unobserve: () => void
  #closesIdle = false
  #stopped = false

  constructor(
    table: ConnectionTable,
    { keepConnections = false, firstByteGraceMs = FIRST_BYTE_GRACE_MS, protocol }: DrainStyle,
  ) {
    this.#table = table
    this.#protocol = protocol
    this.#firstByteGraceMs = firstByteGraceMs
    this.#marks = keepConnections ? null : createClosingMarks()
    this.#busy = new Set([...table.all].filter((connection) => connection.parked === null))
    this.#unobserve = table.observe({
      onRequest: (connection) => this.#marks?.markNewest(connection.unanswered),
      onChange: (connection) => this.#touch(connection),
      onGone: (connection) => this.#gone(connection),
    })
    for (const { unanswered } of this.#busy) this.#marks?.markNewest(unanswered)
  }

  /** Waits until nothing is busy. Accepting must have stopped. */
  async wait({ deadline, signal }: DrainOptions): Promise<DrainResult> {
    // What the kernel had given us before we stopped is read now (a connection accepted and never read is lost).
    await nextTurn()
    await nextTurn()
    if (!this.#stopped) {
      for (const connection of this.#busy) this.#pending.add(connection)
      this.#settlePending()
      await this.#quiet(deadline, signal)
    }
    return this.#result()
  }

  /** From now on idle connections are closed instead of parked: the successor serves. */
  closeIdle(): void {
    this.#closesIdle = true
    this.#marks ??= createClosingMarks()
    for (const connection of this.#busy) {
      this.#marks.markNewest(connection.unanswered)
      this.#touch(connection)
    }
  }

  /** Everything is read again; answers keep their connections. */
  end(): void {
    this.stop()
    this.#marks?.clear()
    for (const connection of this.#table.all) unpark(connection)
  }

  /** Ends the wait and looks no further; parked connections stay as they are. */
  stop(): void {
    this.#stopped = true
    this.#unobserve()
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
    for (const timer of this.#graceTimers.values()) clearTimeout(timer)
    this.#graceTimers.clear()
    this.#wake?.()
  }

  #touch(connection: Connection): void {
    if (connection.parked === null) this.#busy.add(connection)
    this.#pending.add(connection)
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined
      this.#settlePending()
    })
  }

  #gone(connection: Connection): void {
    this.#busy.delete(connection)
    this.#pending.delete(connection)
    clearTimeout(this.#graceTimers.get(connection))
    this.#graceTimers.delete(connection)
    if (this.#busy.size === 0) this.#wake?.()
  }

  #settlePending(): void {
    const look = this.#table.look()
    const now = [...this.#pending]
    this.#pending.clear()
    for (const connection of now) this.#settle(connection, look)
    if (this.#busy.size === 0) this.#wake?.()
  }

  #settle(connection: Connection, look: Look): void {
    if (connection.parked !== null) return
    const busy = look(connection)
    if (busy !== null && isOpaque(busy) && this.#marks === null) {
      this.#settleOpaque(connection)
      return
    }
    if (busy !== null) {
      this.#marks?.markNewest(connection.unanswered)
      return
    }
    if (this.#closesIdle) {
      connection.socket.destroy()
      return
    }
    if (this.#marks !== null && this.#waitsForFirstByte(connection)) return
    park(connection)
    if (this.#marks !== null && unreadBytes(connection) > 0) {
      // Its request came before the drain got here: it is in flight like the others.
      unpark(connection)
      this.#touch(connection)
      return
    }
    this.#busy.delete(connection)
  }

  #waitsForFirstByte(connection: Connection): boolean {
    if (connection.socket.bytesRead > 0 || unreadBytes(connection) > 0) return false
    const left = connection.acceptedAt + this.#firstByteGraceMs - performance.now()
    if (left <= 0) return false
    this.#later(connection, left)
    return true
  }

  /** Its protocol decides. Without one there is nothing to wait for: it goes on until the program ends, wherever that is. */
  #settleOpaque(connection: Connection): void {
    const answer =
      this.#protocol === undefined
        ? 'stays'
        : isQuiet(connection.socket)
          ? this.#protocol.park(connection.socket)
          : 'busy'
    if (answer === 'busy') {
      this.#later(connection, ASK_AGAIN_MS)
      return
    }
    if (answer !== 'stays') park(connection)
    this.#busy.delete(connection)
  }

  #later(connection: Connection, ms: number): void {
    if (this.#graceTimers.has(connection)) return
    this.#graceTimers.set(
      connection,
      setTimeout(() => {
        this.#graceTimers.delete(connection)
        this.#touch(connection)
      }, ms),
    )
  }

  async #quiet(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    const left = deadline - performance.now()
    if (this.#busy.size === 0 || left <= 0 || signal?.aborted === true) return
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, Math.min(left, MAX_TIMER_MS))
      signal?.addEventListener('abort', finish)
      this.#wake = finish
    })
    this.#wake = undefined
  }

  #result(): DrainResult {
    const look = this.#table.look()
    const remaining: RemainingConnection[] = []
    for (const connection of [...this.#busy]) {
      const reason = look(connection)
      if (reason === null && !this.#stopped) {
        // Only the first byte was waited for, and the time for that is over.
        park(connection)
        this.#busy.delete(connection)
      } else if (reason !== null && remaining.length < MAX_REMAINING) {
        remaining.push({ peer: peerOf(connection), reason, ageMs: performance.now() - connection.acceptedAt })
      }
    }
    const openConnections = this.#table.all.size
    return { openConnections, inFlight: this.#busy.size, idle: openConnections - this.#busy.size, remaining }
  }
}

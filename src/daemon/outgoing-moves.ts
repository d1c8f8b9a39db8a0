/** The incumbent's part in moving live connections: copies while it serves, the cut, what lingers, and the way back. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Policy } from '../../machines/handoff/policy.js'
import type { Logger } from '../observe/log.js'
import type { FdSocket } from '../os/fd-socket.js'
import type { ConnectionTally } from '../wire/connection-tally.js'
import { ConnectionSender } from './attach/connection-sender.js'
import type { DialSuccessor } from './attach/forward.js'
import type { Cut, OutgoingConnections, Staying } from './attach/outgoing.js'
import type { DialAdopter } from './forward-dial.js'
import { LateMoves } from './late-moves.js'
import type { ListenerSet } from './listener-set.js'

/** Successors that may be copying at the same time: one, and another that a dying supervisor left behind. */
const MAX_MOVES = 2
/** Connections let go of in one turn of the loop: about 2 ms, so that lingering requests go on. */
const DETACH_BATCH = 200
/** After this part of the linger, answers say `Connection: close` and HTTP/2 sessions GOAWAY. */
const GOODBYE_AT = 0.8
/** Lingering connections named in the log. */
const MAX_NAMED = 32

interface Move {
  /** Null where the kernel does not tell. */
  readonly pid: number | null
  readonly socket: FdSocket
  readonly sources: ReadonlyMap<string, OutgoingConnections>
  readonly sender: ConnectionSender
}

export class OutgoingMoves {
  readonly #listeners: ListenerSet
  readonly #policy: Policy
  readonly #log: Logger
  readonly #dial: DialSuccessor
  #moves: Move[] = []
  #cut: ReadonlyMap<string, Cut> | null = null
  #serving = false
  #finished = false
  #served = false
  /** A successor asked for connections, and the exchange with it broke off. */
  #brokeOff = false

  readonly #late: LateMoves

  constructor(listeners: ListenerSet, policy: Policy, log: Logger, dial: DialSuccessor, dialAdopter: DialAdopter) {
    this.#listeners = listeners
    this.#policy = policy
    this.#log = log
    this.#dial = dial
    this.#late = new LateMoves(listeners, dialAdopter, log)
  }

  /** A successor stands ready to take connections over: a drain then leaves them as they are. */
  get wanted(): boolean {
    return this.#moves.some(({ sender }) => sender.failure === undefined)
  }

  /** The successor has taken over, and what could be done for the connections that stayed was done. */
  get finished(): boolean {
    return this.#finished
  }

  /** This process has read from clients. */
  get served(): boolean {
    return this.#served
  }

  /** This process reads from clients, and may give or take connections. */
  get serving(): boolean {
    return this.#serving
  }

  serve(serving: boolean): void {
    this.#serving = serving
    this.#served ||= serving
  }

  /** Takes the socket over and begins to copy. False: this process does not serve, there is nothing to give. */
  accept(socket: FdSocket, pid: number | null, room: number): boolean {
    if (!this.#serving) return false
    // The same successor asks again, or an older one never got its turn.
    for (const old of this.#moves.slice(0, Math.max(0, this.#moves.length - MAX_MOVES + 1))) this.#end(old)
    const sources = this.#listeners.outgoing()
    const sender = new ConnectionSender(socket, sources, room, { timeoutMs: this.#policy.copyMs })
    const move = { pid, socket, sources, sender }
    this.#moves.push(move)
    sender.copy().catch((error: unknown) => this.#giveUp(move, error))
    return true
  }

  /** Who may have them: from here on only the successor of this swap. */
  keepOnly(successorPid: number): void {
    for (const move of [...this.#moves]) if (move.pid !== null && move.pid !== successorPid) this.#end(move)
  }

  /** What came since the first copy, while this process still serves. */
  async copy(signal: AbortSignal): Promise<void> {
    await this.#with(signal, (move) => move.sender.copy())
  }

  /** After the drain. Never rejects: what is not told stays here. */
  async cut(signal: AbortSignal): Promise<void> {
    // None is left that could move: two more ways over a socket, in the gap, for nothing.
    if (this.#listeners.openConnections() === 0) return
    await this.#with(signal, async (move) => {
      this.#cut = await move.sender.cut()
    })
  }

  /** What the cut decided. Null when there was nothing to decide: no connection, or nobody who asked for them. */
  tally(): ConnectionTally | null {
    if (this.#cut !== null) return { moved: this.#moved(), staying: countReasons(this.#staying()) }
    const open = this.#brokeOff ? this.#listeners.openConnections() : 0
    return open > 0 ? { moved: 0, staying: { moveFailed: open } } : null
  }

  /**
   * This process serves again: whatever was told, these connections are ours, and no successor reads them from now on. Those
   * that one has read before it ended are closed: where it stood in them nobody knows (INV-15).
   */
  takeBack(): void {
    let lost = 0
    for (const move of [...this.#moves]) {
      if (move.sender.successorReads()) lost += this.#closeMoved(move)
      this.#end(move)
    }
    this.#cut = null
    this.#brokeOff = false
    if (lost > 0)
      this.#log.warn(
        { event: 'handoff.lost', connections: lost },
        `${lost} connections end: a program that is gone read them`,
      )
  }

  /** This process ends: what rests is left to the successor, if it serves. */
  leave(): void {
    for (const { sender } of this.#moves) sender.close()
  }

  /**
   * The successor serves: sees those through that could not move. Ends when none is left; at once, without a look at the
   * others, when all have moved: the exit closes our copies faster than we could.
   */
  async finish(signal: AbortSignal): Promise<void> {
    this.#finished = true
    const staying = this.#staying()
    const movedAll = this.#cut !== null && staying.length === 0 && this.#listeners.openConnections() === this.#moved()
    if (this.#cut !== null) this.#tell(staying)
    if (movedAll) return
    // While we hold a copy, a connection that the successor closes would stay open for its client.
    await this.#detach(signal)
    if (signal.aborted) return
    if (await this.#forward()) this.#late.start(signal)
    else await this.#listeners.release()
    await this.#listeners.ended(signal)
  }

  /** Sessions that stay go on, answered by the successor. False: it takes no requests, or none would come. */
  async #forward(): Promise<boolean> {
    const [key] = this.#listeners.keysWithHttp()
    if (key === undefined) return false
    try {
      // One dial tells; the connection is not lost on it.
      ;(await this.#dial(key)).destroy()
    } catch (error) {
      this.#log.debug(
        { err: error },
        'requests cannot be sent on to the successor; connections are closed as they rest',
      )
      return false
    }
    let closing = false
    await this.#listeners.forward(this.#dial, () => closing)
    // Who hears it before the end can go on elsewhere without an error.
    setTimeout(() => {
      closing = true
      this.#listeners.sayGoodbye()
    }, this.#policy.lingerMs * GOODBYE_AT).unref()
    return true
  }

  #staying(): Staying[] {
    return [...(this.#cut?.values() ?? [])].flatMap((cut) => cut.staying)
  }

  #moved(): number {
    return [...(this.#cut?.values() ?? [])].reduce((sum, { parked }) => sum + parked.length, 0)
  }

  /** @returns how many */
  #closeMoved({ sources }: Move): number {
    let count = 0
    for (const [listener, source] of sources) {
      count += source.detach(this.#cut?.get(listener)?.parked.map(({ id }) => id) ?? [])
    }
    return count
  }

  async #detach(signal: AbortSignal): Promise<void> {
    for (const { sources } of this.#moves) {
      for (const [listener, source] of sources) {
        const ids = this.#cut?.get(listener)?.parked.map(({ id }) => id) ?? []
        for (let at = 0; at < ids.length && !signal.aborted; at += DETACH_BATCH) {
          source.detach(ids.slice(at, at + DETACH_BATCH))
          await nextTurn()
        }
      }
    }
  }

  #tell(staying: readonly Staying[]): void {
    const peers = staying.slice(0, MAX_NAMED).map(({ peer, reason }) => ({ peer, reason }))
    this.#log.info(
      { event: 'handoff.moved', moved: this.#moved(), staying: countReasons(staying), peers },
      `${this.#moved()} live connections moved, ${staying.length} linger here`,
    )
  }

  async #with(signal: AbortSignal, act: (move: Move) => Promise<unknown>): Promise<void> {
    const move = this.#moves.at(-1)
    if (move === undefined) return
    const abort = (): void => this.#giveUp(move, signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      await act(move)
    } catch (error) {
      this.#giveUp(move, error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** No reason to fail a swap: the connections end here, as they would have without a successor that asks. */
  #giveUp(move: Move, error: unknown): void {
    if (!this.#moves.includes(move)) return
    this.#brokeOff = true
    this.#log.warn({ err: error, successorPid: move.pid }, 'live connections could not be moved; they stay here')
    this.#end(move)
  }

  #end(move: Move): void {
    this.#moves = this.#moves.filter((other) => other !== move)
    if (!move.sender.retract()) for (const source of move.sources.values()) source.detach()
    move.sender.close()
    move.socket.close()
  }
}

function countReasons(staying: readonly Staying[]): Record<string, number> {
  const counted: Record<string, number> = {}
  for (const { reason } of staying) counted[reason] = (counted[reason] ?? 0) + 1
  return counted
}

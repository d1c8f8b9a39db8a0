/** The successor's side of a move: stages what the incumbent offers, learns at the cut what will be its own. */
import { readdirSync } from 'node:fs'
import type { FdSocket, WaitOptions } from '../../os/fd-socket.js'
import { closeFd, openFilesLimit } from '../../os/fds.js'
import { broken, type Fields, hear, heardNow, idsIn, say, sayNow, statesIn, type ToIncumbent } from './move-messages.js'
import type { Parked } from './outgoing.js'
import type { ConnectionSink } from './staging-area.js'

/** Descriptors kept back for the daemon's own files and its next clients. */
const RESERVED_FDS = 256

/** How many more descriptors this process can take, by its soft limit; 0 and up. */
export function roomForFds(): number {
  const open = readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length
  return Math.max(0, openFilesLimit().soft - open - RESERVED_FDS)
}

/** By listener, as the incumbent names them. */
export interface ConnectionSinks {
  get(listener: string): ConnectionSink | undefined
  values(): Iterable<ConnectionSink>
}

export class ConnectionReceiver {
  readonly #channel: FdSocket
  readonly #sinks: ConnectionSinks
  readonly #cuts = new Map<string, readonly Parked[]>()
  readonly #states = new Map<string, Map<number, string>>()
  #room: number
  /** The cut was heard to its end. */
  #whole = false

  /** @param room what the request on the rendezvous socket said */
  constructor(channel: FdSocket, sinks: ConnectionSinks, room: number) {
    this.#channel = channel
    this.#sinks = sinks
    this.#room = room
  }

  /** Stages until the incumbent has offered all it has. @throws ERR_HANDOFF_ATTACH_PEER_MOVE; nothing is lost by it */
  async pull(options: WaitOptions): Promise<void> {
    await this.#until('copied', options)
  }

  /** Goes on until the cut is known, hours later perhaps. Call it right after {@link pull}: closed connections are told here. */
  async awaitCut(options: WaitOptions = {}): Promise<void> {
    await this.#until('end', options)
    void this.#watch()
  }

  /** All of it, also when the incumbent has ended meanwhile: what it parked nobody else reads. */
  get knowsCut(): boolean {
    return this.#whole
  }

  /**
   * The commit point: reads what the incumbent has parked (INV-14), unless it has taken that back. Without a whole cut
   * nothing is ours. @returns how many
   */
  goLive(): number {
    // It holds no lock any more: whatever it had to say lies in the kernel by now.
    if (this.#whole) this.#hearNow()
    if (!this.#whole || !sayNow(this.#channel, { reading: true })) this.#cuts.clear()
    let count = 0
    const known = new Set(this.#sinks.values())
    for (const [listener, cut] of this.#cuts) {
      const sink = this.#sinks.get(listener)
      if (sink === undefined) continue
      known.delete(sink)
      count += sink.goLive(cut)
    }
    for (const sink of known) sink.abandon()
    return count
  }

  /** The handoff was aborted, or the channel broke before the cut. */
  abandon(): void {
    for (const sink of this.#sinks.values()) sink.abandon()
  }

  async #until(last: 'copied' | 'end', options: WaitOptions): Promise<void> {
    for (;;) {
      const { fields, fds } = await hear(this.#channel, options)
      const answer = this.#answer(fields, fds)
      await say(this.#channel, answer, options)
      if (last in fields) return
    }
  }

  async #watch(): Promise<void> {
    try {
      while (this.#hearNow()) await this.#channel.readable()
    } catch {
      // Closed here: this process serves, or ends.
    }
  }

  /** What came behind the cut. @returns false when nothing can follow */
  #hearNow(): boolean {
    let heard: ReturnType<typeof heardNow>
    try {
      heard = heardNow(this.#channel)
    } catch {
      return false
    }
    for (const fields of heard.said) {
      const sink = 'gone' in fields ? this.#sinks.get(String(fields.listener)) : undefined
      if (sink !== undefined) sink.drop(idsIn(fields, 'gone'))
      else {
        // Taken back, or a line that was broken off on the way to saying so.
        this.#cuts.clear()
        this.abandon()
      }
    }
    return !heard.ended
  }

  #answer(fields: Fields, fds: readonly number[]): ToIncumbent {
    if ('connections' in fields) return this.#stage(fields, fds)
    if (fds.length > 0) {
      for (const fd of fds) closeFd(fd)
      throw broken('descriptors came with a line that names none')
    }
    if ('end' in fields) {
      this.#whole = true
      return { ready: [...this.#cuts.values()].reduce((sum, cut) => sum + cut.length, 0) }
    }
    if ('gone' in fields) this.#sinkOf(fields).drop(idsIn(fields, 'gone'))
    else if ('ticketKeys' in fields)
      this.#sinkOf(fields).useTicketKeys(Buffer.from(String(fields.ticketKeys), 'base64'))
    else if ('states' in fields) this.#learnStates(fields)
    else if ('cut' in fields) this.#learnCut(fields)
    else if (!('copied' in fields)) throw broken(`"${Object.keys(fields).join(' ')}" was not expected`)
    return { ok: true }
  }

  #stage(fields: Fields, fds: readonly number[]): ToIncumbent {
    const staged: number[] = []
    let next = 0
    try {
      const ids = idsIn(fields, 'connections')
      if (ids.length !== fds.length) throw broken(`${fds.length} descriptors came for ${ids.length} connections`)
      const sink = this.#sinkOf(fields)
      for (const id of ids) {
        const fd = fds[next++] as number
        if (sink.tryStage(id, fd)) staged.push(id)
      }
    } finally {
      for (const fd of fds.slice(next)) closeFd(fd)
    }
    this.#room = Math.max(0, this.#room - staged.length)
    return { received: fds.length, staged, room: this.#room }
  }

  #learnStates(fields: Fields): void {
    const listener = String(fields.listener)
    const states = this.#states.get(listener) ?? new Map<number, string>()
    for (const [id, state] of statesIn(fields)) states.set(id, state)
    this.#states.set(listener, states)
  }

  #learnCut(fields: Fields): void {
    const sink = this.#sinkOf(fields)
    const used = new Set(idsIn(fields, 'used'))
    const states = this.#states.get(String(fields.listener))
    const cut = idsIn(fields, 'cut').map((id) => {
      const state = states?.get(id)
      return { id, used: used.has(id), ...(state === undefined ? {} : { state }) }
    })
    const missing = cut.filter(({ id }) => !sink.has(id))
    if (missing.length > 0) throw broken(`${missing.length} connections of the cut were never offered`)
    this.#cuts.set(String(fields.listener), cut)
  }

  #sinkOf(fields: Fields): ConnectionSink {
    const sink = this.#sinks.get(String(fields.listener))
    if (sink === undefined) throw broken(`listener "${fields.listener}" is not attached here`)
    return sink
  }
}

/** The incumbent's side of a move: copies while it serves, the rest and the word "cut" once it has drained. */

import { type FdSocket, MAX_FDS_PER_MESSAGE, type WaitOptions } from '../../os/fd-socket.js'
import { closeFd, dup } from '../../os/fds.js'
import {
  broken,
  countIn,
  type Fields,
  type FromIncumbent,
  hear,
  heardNow,
  idsIn,
  say,
  sayNow,
} from './move-messages.js'
import type { Cut, Offer, OutgoingConnections, Parked } from './outgoing.js'

/** States said in one line, characters; one state alone may be longer, up to what a line may hold. */
const STATES_PER_LINE = 256 * 1024

export class ConnectionSender {
  readonly #channel: FdSocket
  readonly #sources: ReadonlyMap<string, OutgoingConnections>
  readonly #options: WaitOptions
  #room: number
  /** One exchange at a time on the channel: what is to be said waits here. */
  #turn: Promise<unknown> = Promise.resolve()
  #failed: unknown
  #endSaid = false

  /**
   * @param sources by listener, as the successor names them too
   * @param room how many descriptors the successor said it can take
   * @param options bounds each wait for the successor
   */
  constructor(
    channel: FdSocket,
    sources: ReadonlyMap<string, OutgoingConnections>,
    room: number,
    options: WaitOptions,
  ) {
    this.#channel = channel
    this.#sources = sources
    this.#room = room
    this.#options = options
    // Said at once: while the successor holds a copy, a connection that we destroy stays open for its client.
    for (const source of sources.values()) source.onGone = () => this.#inTurn(() => this.#tellGone()).catch(() => {})
  }

  /** Why the exchange is over before its end; undefined while it goes on. */
  get failure(): unknown {
    return this.#failed
  }

  /** The word after which the successor may read has gone out; whether it was heard, only the end of {@link cut} tells. */
  get endSaid(): boolean {
    return this.#endSaid
  }

  /** Pre-copy: the successor builds its sockets while we serve. @throws ERR_HANDOFF_ATTACH_PEER_MOVE, errno exceptions */
  copy(): Promise<void> {
    return this.#inTurn(async () => {
      for (const [listener, source] of this.#sources) {
        const ticketKeys = source.ticketKeys()
        if (ticketKeys !== null) await this.#exchange({ v: 1, listener, ticketKeys })
      }
      await this.#offerAll(false)
      await this.#exchange({ v: 1, copied: true })
    })
  }

  /**
   * After `drain({ keepConnections: true })`: what came since, and which connections rest. When this resolves the successor
   * holds every one of `parked` and reads them as soon as it goes live; neither side reads them until then.
   * @throws ERR_HANDOFF_ATTACH_PEER_MOVE, errno exceptions: then nothing has moved
   */
  cut(): Promise<ReadonlyMap<string, Cut>> {
    return this.#inTurn(async () => {
      await this.#offerAll(true)
      await this.#tellGone()
      const cuts = new Map<string, Cut>()
      let parked = 0
      for (const [listener, source] of this.#sources) {
        const cut = source.cut()
        cuts.set(listener, cut)
        parked += cut.parked.length
        for (const states of statesOf(cut.parked)) await this.#exchange({ v: 1, listener, states })
        const used = cut.parked.filter((each) => each.used).map(({ id }) => id)
        await this.#exchange({ v: 1, listener, cut: cut.parked.map(({ id }) => id), used })
      }
      this.#endSaid = true
      const ready = countIn(await this.#exchange({ v: 1, end: true }), 'ready')
      if (ready !== parked) throw broken(`the successor is ready for ${ready} of ${parked} connections`)
      return cuts
    })
  }

  /**
   * The successor has begun to read what the cut named. Exact once it can read no more: it says so before its first byte,
   * and what it said before it ended lies in the kernel.
   */
  successorReads(): boolean {
    if (!this.#endSaid) return false
    try {
      return heardNow(this.#channel).said.some((fields) => 'reading' in fields)
    } catch {
      return false
    }
  }

  /**
   * Nothing of the cut is the successor's. It acts on that before it reads, however late it looks, so that this process may
   * read (INV-15). False: it could not be told, and nothing that it knows of may be read here.
   */
  retract(): boolean {
    return !this.#endSaid || sayNow(this.#channel, { v: 1, takenBack: true })
  }

  /** The channel is the caller's to close. */
  close(): void {
    for (const source of this.#sources.values()) source.close()
  }

  async #offerAll(parkedOnly: boolean): Promise<void> {
    for (const [listener, source] of this.#sources) {
      for (;;) {
        const batch = copies(source.offers(Math.min(MAX_FDS_PER_MESSAGE, this.#room), parkedOnly))
        if (batch.length === 0) break
        const ids = batch.map(({ id }) => id)
        const fields = await this.#offer(listener, ids, batch)
        if (countIn(fields, 'received') !== batch.length) throw broken('descriptors were lost on the way')
        source.answered(ids, idsIn(fields, 'staged'))
        this.#room = countIn(fields, 'room')
      }
    }
  }

  async #tellGone(): Promise<void> {
    for (const [listener, source] of this.#sources) {
      const gone = source.takeGone()
      if (gone.length === 0) continue
      // Behind the cut nothing is answered: the next line that comes from there says that the successor reads.
      if (!this.#endSaid) await this.#exchange({ v: 1, listener, gone })
      else if (!sayNow(this.#channel, { v: 1, listener, gone })) throw broken('the successor hears no more')
    }
  }

  async #offer(listener: string, connections: readonly number[], batch: readonly Offer[]): Promise<Fields> {
    try {
      return await this.#exchange(
        { v: 1, listener, connections },
        batch.map(({ fd }) => fd),
      )
    } finally {
      for (const { fd } of batch) closeFd(fd)
    }
  }

  /** Every line is answered before the next: the kernel hands out descriptors with whatever bytes it reads beside them. */
  async #exchange(message: FromIncumbent, fds: readonly number[] = []): Promise<Fields> {
    await say(this.#channel, message, this.#options, fds)
    const heard = await hear(this.#channel, this.#options)
    if (heard.fds.length === 0) return heard.fields
    for (const fd of heard.fds) closeFd(fd)
    throw broken('the successor sent descriptors')
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      if (this.#failed !== undefined) throw this.#failed
      try {
        return await act()
      } catch (error) {
        this.#failed ??= error
        throw error
      }
    })
    this.#turn = turn.catch(() => {})
    return turn
  }
}

/**
 * Duplicates for the time of sending: a connection may close while a message waits for room, and its number may belong to
 * another file when it is sent. Out of descriptors, the rest is left out and stays here.
 */
function copies(offers: readonly Offer[]): Offer[] {
  const copied: Offer[] = []
  try {
    for (const { id, fd } of offers) copied.push({ id, fd: dup(fd) })
  } catch {
    // EMFILE or ENFILE: those copied so far go.
  }
  return copied
}

function* statesOf(parked: readonly Parked[]): Iterable<[number, string][]> {
  let line: [number, string][] = []
  let length = 0
  for (const { id, state } of parked) {
    if (state === undefined) continue
    line.push([id, state])
    length += state.length
    if (length < STATES_PER_LINE) continue
    yield line
    line = []
    length = 0
  }
  if (line.length > 0) yield line
}

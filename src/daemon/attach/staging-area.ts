/** Connections of the incumbent that have come before the server that will serve them: `open` attaches it after the cut. */
import { closeFd } from '../../os/fds.js'
import type { Parked } from './outgoing.js'

/** Where staged connections go. {@link IncomingConnections} is one; so is a {@link StagingArea} that waits for it. */
export interface ConnectionSink {
  /** Takes the descriptor over. False: it cannot be adopted here, and is closed. */
  tryStage(id: number, fd: number): boolean
  has(id: number): boolean
  /** Of the incumbent's TLS server. */
  useTicketKeys(keys: Buffer): void
  drop(ids: Iterable<number>): void
  goLive(parked: readonly Parked[]): number
  abandon(): void
}

/** The connections of one listener: held as descriptors until a server is there, built at once from then on. */
export class StagingArea implements ConnectionSink {
  readonly #held = new Map<number, number>()
  #server: ConnectionSink | undefined
  #ticketKeys: Buffer | undefined

  /** @returns how many of those held could not be adopted after all; they are closed */
  bind(server: ConnectionSink): number {
    this.#server = server
    if (this.#ticketKeys !== undefined) server.useTicketKeys(this.#ticketKeys)
    let refused = 0
    for (const [id, fd] of this.#held) if (!server.tryStage(id, fd)) refused++
    this.#held.clear()
    return refused
  }

  useTicketKeys(keys: Buffer): void {
    this.#ticketKeys = keys
    this.#server?.useTicketKeys(keys)
  }

  tryStage(id: number, fd: number): boolean {
    if (this.#server !== undefined) return this.#server.tryStage(id, fd)
    this.#held.set(id, fd)
    return true
  }

  has(id: number): boolean {
    return this.#server?.has(id) ?? this.#held.has(id)
  }

  drop(ids: Iterable<number>): void {
    if (this.#server !== undefined) {
      this.#server.drop(ids)
      return
    }
    for (const id of ids) {
      const fd = this.#held.get(id)
      if (fd !== undefined) closeFd(fd)
      this.#held.delete(id)
    }
  }

  /** Without a server nobody can serve them: they end here, as they would have without a move. */
  goLive(parked: readonly Parked[]): number {
    if (this.#server !== undefined) return this.#server.goLive(parked)
    this.abandon()
    return 0
  }

  abandon(): void {
    if (this.#server === undefined) this.drop([...this.#held.keys()])
    else this.#server.abandon()
  }
}

/** One area per listener, made when the incumbent first names it. */
export class StagingAreas {
  readonly #areas = new Map<string, StagingArea>()
  readonly #known: (listener: string) => boolean

  /** @param known which listeners this process has */
  constructor(known: (listener: string) => boolean) {
    this.#known = known
  }

  get(listener: string): StagingArea | undefined {
    let area = this.#areas.get(listener)
    if (area === undefined && this.#known(listener)) {
      area = new StagingArea()
      this.#areas.set(listener, area)
    }
    return area
  }

  values(): Iterable<StagingArea> {
    return this.#areas.values()
  }
}

/**
 * The incumbent's last part in moving live connections: those that were busy at the cut follow when they rest, so that an
 * answer longer than the drain costs its client no connection. Until then, and where it fails, they are answered from here.
 */
import type { Logger } from '../observe/log.js'
import { ConnectionSender } from './attach/connection-sender.js'
import type { LateRest } from './attach/late-rest.js'
import type { Cut, OutgoingConnections } from './attach/outgoing.js'
import type { DialAdopter } from './forward-dial.js'
import type { ListenerSet } from './listener-set.js'

/** Each wait for a successor that serves, ms. */
const EXCHANGE_MS = 2_000

export class LateMoves {
  readonly #listeners: ListenerSet
  readonly #dial: DialAdopter
  readonly #log: Logger
  #rests: readonly LateRest[] = []
  #running = false
  #again = false

  constructor(listeners: ListenerSet, dial: DialAdopter, log: Logger) {
    this.#listeners = listeners
    this.#dial = dial
    this.#log = log
  }

  start(signal: AbortSignal): void {
    if (signal.aborted) return
    this.#rests = this.#listeners.lateRests(() => void this.#handOver())
    signal.addEventListener('abort', () => this.#stop(), { once: true })
  }

  #stop(): void {
    for (const rest of this.#rests) rest.close()
    this.#rests = []
  }

  /** One exchange at a time; what comes to rest meanwhile goes with the next. */
  async #handOver(): Promise<void> {
    this.#again = true
    if (this.#running) return
    this.#running = true
    while (this.#again) {
      this.#again = false
      if (this.#take() > 0) await this.#exchange()
    }
    this.#running = false
  }

  #take(): number {
    return this.#rests.reduce((sum, rest) => sum + rest.take(), 0)
  }

  async #exchange(): Promise<void> {
    const sources = this.#listeners.outgoing()
    let sender: ConnectionSender | undefined
    let close = (): void => {}
    try {
      const { channel, room } = await this.#dial()
      close = () => channel.close()
      sender = new ConnectionSender(channel, sources, room, { timeoutMs: EXCHANGE_MS })
      this.#detach(sources, await sender.cut())
    } catch (error) {
      if (sender?.endSaid === true) for (const rest of this.#rests) rest.letGo()
      this.#log.debug({ err: error }, 'connections that came to rest late stay here until they end')
      // Who takes none now takes none later: they are answered through this process.
      for (const rest of this.#rests) rest.giveBack()
      this.#stop()
    } finally {
      for (const rest of this.#rests) rest.giveBack()
      if (sender === undefined) for (const source of sources.values()) source.close()
      sender?.close()
      close()
    }
  }

  #detach(sources: ReadonlyMap<string, OutgoingConnections>, cuts: ReadonlyMap<string, Cut>): void {
    let moved = 0
    for (const [listener, { parked }] of cuts) moved += sources.get(listener)?.detach(parked.map(({ id }) => id)) ?? 0
    this.#log.info({ event: 'handoff.movedLate', moved }, `${moved} live connections moved after they came to rest`)
  }
}

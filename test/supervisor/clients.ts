/** Clients that ask all the time: what they see is what a swap, a crash or a restart costs. */
import { freshClient, KeptConnection, keepAliveClient, type Load, writer } from '../../examples/demo/load.js'
import { StallMeter } from '../../examples/demo/stall.js'
import { Counters, type Tally } from '../../examples/demo/tally.js'
import { WriteLedger } from '../../examples/demo/write-ledger.js'
import { until } from './rig.js'

export interface ClientsOptions {
  readonly fresh?: number
  readonly keepAlive?: number
  readonly writers?: number
  /** Mean pause between an answer and the next request, ms. */
  readonly thinkMs?: number
}

export class Clients {
  readonly counters = new Counters()
  readonly ledger = new WriteLedger(this.counters)
  readonly #load: Load
  readonly #stop = new AbortController()
  readonly #loops: Promise<void>[]

  constructor(port: number, { fresh = 3, keepAlive = 2, writers = 2, thinkMs = 5 }: ClientsOptions = {}) {
    const stall = new StallMeter(() => performance.now())
    this.#load = {
      target: { host: '127.0.0.1', port },
      counters: this.counters,
      stall,
      ledger: this.ledger,
      stop: this.#stop.signal,
    }
    const times = (count: number, make: (i: number) => Promise<void>) =>
      Array.from({ length: count }, (_, i) => make(i))
    this.#loops = [
      ...times(fresh, () => freshClient(this.#load, thinkMs)),
      ...times(keepAlive, () => keepAliveClient(this.#load, thinkMs)),
      ...times(writers, (i) => writer(this.#load, thinkMs, `w${i}-${Math.random().toString(36).slice(2, 8)}`)),
    ]
  }

  /** Resolves after that many more answers: the load is really there. */
  async answered(more = 20): Promise<void> {
    const from = this.counters.read().requests
    await until(() => this.counters.read().requests >= from + more || null)
  }

  /** Stops, reads every acknowledged write back, and tells what was counted. */
  async finish(): Promise<Tally> {
    this.#stop.abort()
    await Promise.all(this.#loops)
    await this.ledger.verify(() => {
      const connection = new KeptConnection(this.#load)
      return (key) => connection.send({ method: 'GET', path: `/kv/${key}` })
    })
    return this.counters.read()
  }
}

/** What no client may ever see, whatever happens to supervisors. */
export const UNHARMED = {
  refused: 0,
  reset: 0,
  failed: 0,
  writesLost: 0,
  writesDuplicated: 0,
  revisionsDisordered: 0,
} as const

/** A small load: readers, keep-alive readers and writers that remember each acknowledged write; see examples/demo. */
import { expect } from 'vitest'
import type { Target } from '../../examples/demo/http-client.js'
import {
  freshClient,
  jsonNumber,
  KeptConnection,
  keepAliveClient,
  type Load,
  sendOnce,
  writer,
} from '../../examples/demo/load.js'
import { StallMeter } from '../../examples/demo/stall.js'
import { Counters, MUST_BE_ZERO, type Tally } from '../../examples/demo/tally.js'
import { WriteLedger } from '../../examples/demo/write-ledger.js'

/** Pause of a client between an answer and its next request, ms. */
const THINK_MS = 5

export class Clients {
  readonly #stopping = new AbortController()
  readonly #counters = new Counters()
  readonly #ledger = new WriteLedger(this.#counters)
  readonly #load: Load
  readonly #loops: Promise<void>[]

  constructor(target: Target) {
    const stall = new StallMeter(() => performance.now())
    this.#load = { target, counters: this.#counters, stall, ledger: this.#ledger, stop: this.#stopping.signal }
    this.#loops = [
      freshClient(this.#load, THINK_MS),
      keepAliveClient(this.#load, THINK_MS),
      keepAliveClient(this.#load, THINK_MS),
      writer(this.#load, THINK_MS, 'a'),
      writer(this.#load, THINK_MS, 'b'),
    ]
  }

  /** So many answers more than now: the load is really on. */
  async answered(more = 10): Promise<void> {
    const enough = this.#counters.read().requests + more
    while (this.#counters.read().requests < enough) await new Promise((resolve) => setTimeout(resolve, 2))
  }

  /** Ends the load and reads every acknowledged write back. */
  async finish(): Promise<Tally> {
    this.#stopping.abort()
    await Promise.all(this.#loops)
    await this.#ledger.verify(() => {
      const connection = new KeptConnection(this.#load)
      return async (key) => {
        try {
          return await connection.send({ method: 'GET', path: `/kv/${key}` })
        } finally {
          connection.close()
        }
      }
    })
    const root = await sendOnce(this.#load.target, { method: 'GET', path: '/' })
    this.#counters.add('writesUnanswered', jsonNumber(root, 'revision') - this.#ledger.acknowledgedWrites)
    return this.#counters.read()
  }

  /** Ends the load and says that no client noticed anything. `exceptions` may be more than zero. */
  async expectUnnoticed(exceptions: readonly (typeof MUST_BE_ZERO)[number][] = []): Promise<Tally> {
    const tally = await this.finish()
    const noticed = MUST_BE_ZERO.filter((name) => !exceptions.includes(name) && tally[name] !== 0)
    expect(noticed.map((name) => `${name}: ${tally[name]}`).concat(noticed.length > 0 ? reasons(tally) : [])).toEqual(
      [],
    )
    expect(tally.writesAcknowledged).toBeGreaterThan(0)
    return tally
  }
}

const reasons = (tally: Tally): string[] => Object.entries(tally.reasons).map(([why, count]) => `${count} × ${why}`)

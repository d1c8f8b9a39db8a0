/** Every acknowledged write, and the proof that each can still be read (INV-03). */
import { type Answer, RequestFailure } from './http-client.js'
import type { Counters } from './tally.js'

interface Acknowledged {
  readonly key: string
  readonly value: string
  readonly revision: number
}

/** Reads back this many keys at a time. */
const VERIFY_PARALLEL = 16

export class WriteLedger {
  readonly #writes: Acknowledged[] = []
  readonly #revisions = new Set<number>()
  readonly #lastOf = new Map<string, number>()

  constructor(private readonly counters: Counters) {}

  get acknowledgedWrites(): number {
    return this.#writes.length
  }

  acknowledged(writer: string, key: string, value: string, revision: number): void {
    this.counters.add('writesAcknowledged')
    if (this.#revisions.has(revision)) {
      this.counters.add('writesDuplicated')
      this.counters.note(`revision ${revision} given twice, again to ${key}`)
    }
    // Written so that a revision that is no number at all counts as well.
    const last = this.#lastOf.get(writer) ?? 0
    if (!(revision > last)) {
      this.counters.add('revisionsDisordered')
      this.counters.note(`${writer} was given revision ${revision} after ${last}`)
    }
    this.#revisions.add(revision)
    this.#lastOf.set(writer, revision)
    this.#writes.push({ key, value, revision })
  }

  /** Reads every acknowledged write back; `read` answers for one key, over a connection of the lane's own. */
  async verify(openLane: () => (key: string) => Promise<Answer>): Promise<void> {
    const queue = this.#writes.values()
    const lane = async () => {
      const read = openLane()
      for (const write of queue) await this.#verifyOne(write, read)
    }
    await Promise.all(Array.from({ length: VERIFY_PARALLEL }, lane))
  }

  async #verifyOne({ key, value, revision }: Acknowledged, read: (key: string) => Promise<Answer>): Promise<void> {
    const found = await read(key).then(describe, (error: unknown) => {
      if (!(error instanceof RequestFailure)) throw error
      return error.message
    })
    if (found === `200 ${revision} ${value}`) return
    this.counters.add('writesLost')
    this.counters.note(`lost ${key}: expected revision ${revision}, found ${found.slice(0, 120)}`)
  }
}

function describe({ status, headers, body }: Answer): string {
  return `${status} ${headers.get('revision')} ${body.toString('utf8')}`
}

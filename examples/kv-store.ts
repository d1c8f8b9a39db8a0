/**
 * A durable key-value store on LevelDB: `put` resolves once the write is on disk, and every write has a revision of its own.
 *
 * LevelDB allows one process at a time, which makes this a true single-writer store: whoever opens it while another still
 * holds it is refused. Never acknowledges a write before the synchronous batch that holds it has returned (INV-03).
 */
import { ClassicLevel } from 'classic-level'

/** Written in the same batch as the data it counts: both are on disk or neither is. */
const REVISION_KEY = 'meta:revision'
const DATA_PREFIX = 'data:'
/** A stored value is its revision (u64, big-endian) followed by the bytes of the caller. */
const REVISION_BYTES = 8
/** Most bytes of values in one batch; bounds memory when many large writes wait at once. */
const BATCH_MAX_BYTES = 4 << 20

export interface Entry {
  readonly revision: number
  readonly value: Uint8Array
}

interface WaitingPut {
  readonly key: string
  readonly value: Uint8Array
  readonly resolve: (revision: number) => void
  readonly reject: (error: unknown) => void
}

export class KvStore {
  readonly #db: ClassicLevel<string, Uint8Array>
  readonly #waiting: WaitingPut[] = []
  #durableRevision: number
  #nextRevision: number
  #writing: Promise<void> | undefined
  #closing: Promise<void> | undefined

  private constructor(db: ClassicLevel<string, Uint8Array>, revision: number) {
    this.#db = db
    this.#durableRevision = revision
    this.#nextRevision = revision + 1
  }

  /** Opens or creates the store in `directory`. Fails while another process has it open. */
  static async open(directory: string): Promise<KvStore> {
    const db = new ClassicLevel<string, Uint8Array>(directory, { valueEncoding: 'view' })
    await db.open()
    const stored = await db.get(REVISION_KEY)
    return new KvStore(db, stored === undefined ? 0 : readRevision(stored))
  }

  /** Revision of the last write that is on disk; 0 in a new store. */
  get revision(): number {
    return this.#durableRevision
  }

  async get(key: string): Promise<Entry | undefined> {
    const stored = await this.#db.get(DATA_PREFIX + key)
    return stored && { revision: readRevision(stored), value: stored.subarray(REVISION_BYTES) }
  }

  /** Resolves with the write's revision once it is on disk. Writes that wait together share one synchronous batch. */
  put(key: string, value: Uint8Array): Promise<number> {
    if (this.#closing) return Promise.reject(new Error('the store is closed: nothing was written'))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, value, resolve, reject })
      this.#writing ??= this.#writeWaiting()
    })
  }

  /** Refuses new writes, finishes those under way, and gives the directory free for the next owner. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#writing
      await this.#db.close()
    })()
    return this.#closing
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeBatch(takeBatch(this.#waiting))
    this.#writing = undefined
  }

  async #writeBatch(puts: readonly WaitingPut[]): Promise<void> {
    // A revision once chosen is never chosen again, also when its batch fails: the failed batch may be on disk after all.
    const first = this.#nextRevision
    this.#nextRevision += puts.length
    const last = this.#nextRevision - 1
    const data = puts.map(({ key, value }, i) => operation(DATA_PREFIX + key, first + i, value))
    try {
      await this.#db.batch([...data, operation(REVISION_KEY, last)], { sync: true })
    } catch (error) {
      for (const put of puts) put.reject(error)
      return
    }
    this.#durableRevision = last
    for (const [i, put] of puts.entries()) put.resolve(first + i)
  }
}

function takeBatch(waiting: WaitingPut[]): WaitingPut[] {
  let bytes = 0
  const end = waiting.findIndex(({ value }, i) => {
    bytes += value.byteLength
    return i > 0 && bytes > BATCH_MAX_BYTES
  })
  return waiting.splice(0, end === -1 ? waiting.length : end)
}

function operation(key: string, revision: number, value: Uint8Array = new Uint8Array()) {
  const stored = Buffer.allocUnsafe(REVISION_BYTES + value.byteLength)
  stored.writeBigUInt64BE(BigInt(revision))
  stored.set(value, REVISION_BYTES)
  return { type: 'put' as const, key, value: stored }
}

function readRevision(stored: Uint8Array): number {
  return Number(Buffer.from(stored.buffer, stored.byteOffset, REVISION_BYTES).readBigUInt64BE())
}

/** The clients of the demo: each loop is one client, sends one request after the other, and counts what it gets. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, Connection, type Request, RequestFailure, type Target } from './http-client.js'
import type { StallMeter } from './stall.js'
import type { Counters } from './tally.js'
import type { WriteLedger } from './write-ledger.js'

export interface Load {
  readonly target: Target
  readonly counters: Counters
  readonly stall: StallMeter
  readonly ledger: WriteLedger
  /** Ends every loop after the request it has under way. */
  readonly stop: AbortSignal
}

/** Longest a client waits for one answer, ms: above the deadline of any swap in the demo, so that none hides as a timeout. */
export const REQUEST_TIMEOUT_MS = 20_000

/** A client that opens a connection for each request. */
export async function freshClient(load: Load, thinkMs: number): Promise<void> {
  const readRevision = revisionReader(load)
  while (!load.stop.aborted) {
    const answer = await attempt(load, () => sendOnce(load.target, { method: 'GET', path: '/' }))
    if (answer) readRevision(answer)
    await think(thinkMs)
  }
}

/** A client that keeps its connection. `path` may be slow, so that swaps meet requests that are being answered. */
export async function keepAliveClient(load: Load, thinkMs: number, path = '/'): Promise<void> {
  const connection = new KeptConnection(load)
  const readRevision = revisionReader(load)
  while (!load.stop.aborted) {
    const answer = await attempt(load, () => connection.send({ method: 'GET', path }))
    if (answer && path === '/') readRevision(answer)
    await think(thinkMs)
  }
  connection.close()
}

/** A client that writes a new key each time, on one connection, and remembers every write that was acknowledged. */
export async function writer(load: Load, thinkMs: number, name: string): Promise<void> {
  const connection = new KeptConnection(load)
  for (let n = 1; !load.stop.aborted; n += 1) {
    const key = `${name}-${n}`
    const value = createHash('sha256').update(key).digest('hex')
    const answer = await attempt(load, () =>
      connection.send({ method: 'PUT', path: `/kv/${key}`, body: Buffer.from(value) }),
    )
    if (answer) load.ledger.acknowledged(name, key, value, jsonNumber(answer, 'revision'))
    await think(thinkMs)
  }
  connection.close()
}

/** Spread, so that the clients do not fall into step and all wait at once. */
function think(meanMs: number): Promise<void> {
  return sleep(meanMs * (0.5 + Math.random()))
}

/** Counts the request; undefined when it was not answered as it should be. */
async function attempt(load: Load, send: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    const answer = await send()
    load.stall.answered()
    if (answer.status !== 200) {
      load.counters.failure('failed', `status ${answer.status}: ${answer.body.toString('utf8', 0, 200).trim()}`)
      return undefined
    }
    load.counters.add('requests')
    return answer
  } catch (error) {
    if (!(error instanceof RequestFailure)) throw error
    load.counters.failure(error.kind, error.reason)
    return undefined
  }
}

/** One request on a connection of its own. */
export async function sendOnce(target: Target, request: Request): Promise<Answer> {
  const connection = await Connection.open(target, REQUEST_TIMEOUT_MS)
  try {
    return await connection.send({ ...request, close: true })
  } finally {
    connection.close()
  }
}

/** A keep-alive connection that is replaced when the server has closed it. */
export class KeptConnection {
  #connection: Connection | undefined

  constructor(private readonly load: Pick<Load, 'target' | 'counters'>) {}

  /** A request that met the closing of the idle connection is counted and sent once more, on a new one. */
  async send(request: Request): Promise<Answer> {
    const connection = await this.#usable()
    try {
      return await connection.send(request)
    } catch (error) {
      if (!(error instanceof RequestFailure) || error.kind !== 'idleClosed') throw error
      this.load.counters.add('idleClosed')
      return await (await this.#usable()).send(request)
    }
  }

  close(): void {
    this.#connection?.close()
  }

  async #usable(): Promise<Connection> {
    if (this.#connection?.usable) return this.#connection
    if (this.#connection) this.load.counters.add('reconnects')
    this.#connection = await Connection.open(this.load.target, REQUEST_TIMEOUT_MS)
    return this.#connection
  }
}

/** Checks that what one client reads never goes back behind what it has read. */
function revisionReader(load: Load): (answer: Answer) => void {
  let seen = 0
  return (answer) => {
    const revision = jsonNumber(answer, 'revision')
    if (revision < seen) {
      load.counters.add('revisionsDisordered')
      load.counters.note(`revision ${revision} read after ${seen}`)
    }
    seen = revision
  }
}

/** NaN when the body holds no such number. */
export function jsonNumber(answer: Answer, field: string): number {
  try {
    const value: unknown = JSON.parse(answer.body.toString('utf8'))[field]
    return typeof value === 'number' ? value : Number.NaN
  } catch {
    return Number.NaN
  }
}

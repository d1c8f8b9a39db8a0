/**
 * What happened here, for operators: one line of JSON for each swap and each other turn of service, in a file of bounded
 * size. Written after the fact, never in the gap; a disk that is full costs the history, not the service.
 */
import { open, readFile, rename, stat } from 'node:fs/promises'
import type { ProcessFacts, SwapOutcome } from '../supervisor/types.js'
import type { Step } from './exchange.js'
import type { Logger } from './log.js'

/** A step of a swap; `ms` since its beginning. */
export interface RecordedStep extends Step {
  readonly ms: number
}

export type HistoryEntry =
  | (SwapOutcome & {
      readonly v: 1
      readonly kind: 'swap'
      /** ISO 8601, when it ended. */
      readonly at: string
      readonly supervisorPid: number
      readonly steps: readonly RecordedStep[]
    })
  /** A supervisor came to know who serves: it started that process, or found it alive. */
  | {
      readonly v: 1
      readonly kind: 'serving'
      readonly at: string
      readonly supervisorPid: number
      readonly how: 'started' | 'adopted' | 'restarted'
      readonly incumbent: ProcessFacts
    }
  | {
      readonly v: 1
      readonly kind: 'down'
      readonly at: string
      readonly supervisorPid: number
      readonly previous: ProcessFacts
    }

/** The file is renamed to `<name>.1` at this size, bytes: what is kept is at most twice as much, some thousand swaps. */
export const HISTORY_MAX_BYTES = 1024 * 1024

export class HistoryFile {
  readonly path: string
  readonly #maxBytes: number
  readonly #log: Logger
  #last: Promise<void> = Promise.resolve()

  constructor(path: string, log: Logger, maxBytes = HISTORY_MAX_BYTES) {
    this.path = path
    this.#log = log
    this.#maxBytes = maxBytes
  }

  append(entry: HistoryEntry): void {
    this.#last = this.#last
      .then(() => this.#write(`${JSON.stringify(entry)}\n`))
      .catch((err: unknown) => this.#log.warn({ err, history: this.path }, 'the history could not be written'))
  }

  /** What was appended is on disk, or told to be lost. */
  settled(): Promise<void> {
    return this.#last
  }

  async #write(line: string): Promise<void> {
    const size = (await stat(this.path).catch(() => null))?.size ?? 0
    if (size + line.length > this.#maxBytes && size > 0) await rename(this.path, `${this.path}.1`)
    const file = await open(this.path, 'a', 0o600)
    try {
      // A line that a crash cut off must not spoil the next one.
      const ended = size === 0 || size + line.length > this.#maxBytes || (await endsWithNewline(this.path, size))
      await file.appendFile(ended ? line : `\n${line}`)
      await file.datasync()
    } finally {
      await file.close()
    }
  }
}

async function endsWithNewline(path: string, size: number): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
    return buffer[0] === 0x0a
  } finally {
    await file.close()
  }
}

/** Oldest first. A missing file is an empty history; a torn or foreign line is left out. @throws errno exception */
export async function readHistory(path: string): Promise<HistoryEntry[]> {
  const texts = await Promise.all([`${path}.1`, path].map(readIfExists))
  return texts.flatMap((text) => text.split('\n').flatMap(parseEntry))
}

async function readIfExists(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function parseEntry(line: string): HistoryEntry[] {
  try {
    const entry = JSON.parse(line) as HistoryEntry
    return entry.v === 1 && typeof entry.at === 'string' ? [entry] : []
  } catch {
    return []
  }
}

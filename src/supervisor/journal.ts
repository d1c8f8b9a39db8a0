/** The supervisor's journal: one small file that tells a restarted supervisor what was under way (INV-07). */
import { statSync } from 'node:fs'
import type { Journal } from '../../machines/handoff/protocol.js'
import type { Logger } from '../observe/log.js'
import { readFileIfExists, removeFileDurably, replaceFile, setAside, sweepTemporaries } from '../os/atomic-file.js'
import { decodeJournal, encodeJournal } from '../wire/journal.js'

export interface LeftJournal extends Journal {
  /** When the file was written last, Unix ms. */
  readonly writtenAtMs: number
}

/** How long a record may wait, ms: longer than a gap, so that no disk work of ours competes with the cut. */
const RECORD_AFTER_MS = 20

export class JournalFile {
  readonly #path: string | null
  readonly #log: Logger
  /** Recorded and not yet on its way to the disk. A newer one takes its place. */
  #waiting: { readonly record: Journal; readonly timer: NodeJS.Timeout } | null = null
  /** Writes happen one after the other, in the order they were asked for. */
  #last: Promise<void> = Promise.resolve()

  /** Without a path nothing is kept: a restarted supervisor then knows only what the kernel can tell. */
  constructor(path: string | undefined, log: Logger) {
    this.#path = path ?? null
    this.#log = log
  }

  /** On disk when it resolves. @throws errno exception: disk full, read-only */
  async write(record: Journal): Promise<void> {
    const path = this.#path
    this.#forgetWaiting()
    if (path === null) return
    const bytes = encodeJournal(record)
    await this.#inTurn(() => replaceFile(path, bytes))
  }

  /** Written a little later; the swap does not wait, and a failure does not stop it: the lock is the truth (decision 14). */
  record(record: Journal): void {
    this.#forgetWaiting()
    if (this.#path === null) return
    this.#waiting = { record, timer: setTimeout(() => this.#writeWaiting(), RECORD_AFTER_MS) }
  }

  clear(): void {
    const path = this.#path
    this.#forgetWaiting()
    if (path === null) return
    this.#inTurn(() => removeFileDurably(path)).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'the journal could not be removed'),
    )
  }

  /**
   * What a predecessor left. A file that cannot be read as a journal is set aside, once, and counts as none (gap-18).
   * @throws ERR_HANDOFF_FILE when it can neither be read nor moved
   */
  read(): LeftJournal | null {
    const path = this.#path
    if (path === null) return null
    sweepTemporaries(path)
    const bytes = readFileIfExists(path)
    if (bytes === null) return null
    try {
      return { ...decodeJournal(bytes), writtenAtMs: statSync(path).mtimeMs }
    } catch (error) {
      const aside = setAside(path)
      this.#log.error(
        { err: error, aside },
        'the journal was damaged; it was set aside and recovery goes on without it',
      )
      return null
    }
  }

  settled(): Promise<void> {
    this.#writeWaiting()
    return this.#last
  }

  #writeWaiting(): void {
    if (this.#waiting === null) return
    this.write(this.#waiting.record).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'the journal could not be written'),
    )
  }

  #forgetWaiting(): void {
    clearTimeout(this.#waiting?.timer)
    this.#waiting = null
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}

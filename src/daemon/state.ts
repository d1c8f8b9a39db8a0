/** The daemon's own state behind its hooks: the data-dir lock, what `open` returned, and the hook that runs now. */
import { mkdirSync } from 'node:fs'
import type { OpenReason, SealOutput } from '../../machines/handoff/incumbent.machine.js'
import type { OpenReport } from '../../machines/handoff/successor.machine.js'
import { daemonError } from '../errors/daemon.js'
import type { HandoffError } from '../errors/handoff-error.js'
import type { Logger } from '../observe/log.js'
import { type DataDirLock, tryLockDataDir } from '../os/data-dir-lock.js'
import type { ListenerSet } from './listener-set.js'
import type { DaemonOptions, OpenDaemon, Revision, SealResult } from './options.js'
import { fingerprintHex, revisionTexts } from './revisions.js'

export class DaemonState {
  readonly #options: DaemonOptions
  readonly #listeners: ListenerSet
  readonly #log: Logger
  #lock: DataDirLock | null = null
  #open: OpenDaemon | null = null
  #cancel = new AbortController()

  constructor(options: DaemonOptions, listeners: ListenerSet, log: Logger) {
    this.#options = options
    this.#listeners = listeners
    this.#log = log
    mkdirSync(options.dataDir, { recursive: true })
  }

  /** One try. @param pidFile `later`: when {@link announce} is called */
  acquireLock(pidFile: 'now' | 'later' = 'now'): { held: boolean } {
    if (this.#lock !== null) return { held: true }
    const attempt = tryLockDataDir(this.#options.dataDir, { pidFile })
    if (!attempt.held) {
      this.#log.debug({ holderPid: attempt.holderPid }, 'the data-dir lock is held by another process')
      return { held: false }
    }
    this.#warn(attempt.lock.warning)
    this.#lock = attempt.lock
    return { held: true }
  }

  /** Writes the pidfile that was put off. */
  announce(): void {
    this.#warn(this.#lock?.announce() ?? null)
  }

  /** INV-02: called by the machine after seal alone. */
  releaseLock(): void {
    const lock = this.#lock
    this.#lock = null
    lock?.release({ pidFile: 'later' })
    // The successor waits for the lock, not for the hint.
    if (lock !== null) setImmediate(() => lock.retract())
  }

  async prepare(signal: AbortSignal, rehearsal: boolean): Promise<void> {
    const { dataDir } = this.#options
    await this.#options.prepare?.({ dataDir, listeners: this.#listeners.byName(), rehearsal, signal })
  }

  async open(reason: OpenReason, signal: AbortSignal): Promise<OpenReport> {
    // INV-05, checked where it is upheld as well as in the model.
    if (this.#lock === null) throw new Error('open without the data-dir lock')
    if (reason === 'reopen') this.#listeners.expectReplacements()
    const { dataDir } = this.#options
    const open = await this.#options.open({ dataDir, listeners: this.#listeners.byName(), reason, signal })
    this.#open = open
    return {
      healthy: (await open.healthy?.()) ?? true,
      revisions: revisionTexts(open.revisions?.() ?? []),
      fingerprint: fingerprintHex(await open.fingerprint?.()),
    }
  }

  /** The running hook's own signal: aborted by `cancelHook`, not by the machine leaving the state. */
  get #signal(): AbortSignal {
    this.#cancel = new AbortController()
    return this.#cancel.signal
  }

  cancelHook(): void {
    this.#cancel.abort(new Error('the swap is undone'))
  }

  /** Whether a failed seal can be undone in memory. */
  get canResume(): boolean {
    return this.#open?.resume !== undefined
  }

  /** @param keepConnections a successor takes over what rests */
  async drain(budgetMs: number, keepConnections: boolean): Promise<{ openConnections: number }> {
    this.#listeners.keepConnections(keepConnections)
    const limits = { deadline: performance.now() + budgetMs, signal: this.#signal }
    await this.#listeners.stopAccepting()
    if (this.#open?.drain === undefined) await this.#listeners.drain(limits)
    else await this.#open.drain(limits)
    return { openConnections: this.#listeners.openConnections() }
  }

  async seal(budgetMs: number, onProgress: (sealed: number, total: number, last: bigint) => void): Promise<SealOutput> {
    const open = this.#opened()
    const before = open.revisions?.() ?? []
    const limits = { deadline: performance.now() + budgetMs, signal: this.#signal }
    const progress = (sealed: number, total: number, last: Revision = 0n): void =>
      onProgress(sealed, total, BigInt(last))
    const sealed: SealResult = (await open.seal({ ...limits, progress })) ?? {}
    return {
      revisions: revisionTexts(sealed.revisions ?? before),
      fingerprint: fingerprintHex(sealed.fingerprint),
    }
  }

  async resume(): Promise<void> {
    await this.#open?.resume?.()
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = null
    await open?.close()
  }

  #warn(warning: HandoffError | null): void {
    if (warning !== null) this.#log.warn({ err: warning }, 'no pidfile could be written')
  }

  #opened(): OpenDaemon {
    if (this.#open === null)
      throw daemonError('ERR_HANDOFF_USAGE_DAEMON_OPTION', ['open', 'returned nothing', 'return the hooks'])
    return this.#open
  }
}

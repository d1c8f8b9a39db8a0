/** The primitives this supervisor knows: children and adopted ones, their ends noticed at once, every one reaped. */
import type { Logger } from '../observe/log.js'
import {
  type ProcessEnd,
  type SpawnedProcess,
  type SpawnOptions,
  spawnWithFds,
  watchProcessExit,
} from '../os/processes.js'

interface Known {
  readonly child: SpawnedProcess | null
  readonly cancel: () => void
}

export interface ProcessesOptions {
  readonly log: Logger
  /** `end` is null for a process that is no child: the kernel tells only its parent how it ended. */
  onExit(pid: number, end: ProcessEnd | null): void
}

export class Processes {
  readonly #known = new Map<number, Known>()
  readonly #ends = new Map<number, ProcessEnd>()
  readonly #options: ProcessesOptions

  constructor(options: ProcessesOptions) {
    this.#options = options
  }

  async spawn(options: SpawnOptions): Promise<SpawnedProcess> {
    const child = await spawnWithFds(options)
    this.#known.set(child.pid, { child, cancel() {} })
    void child.exited.then((end) => this.#ended(child.pid, end))
    return child
  }

  /** Notices the end of a process that another supervisor started. Told at once when it has ended already. */
  watch(pid: number): void {
    if (this.#known.has(pid)) return
    const watch = watchProcessExit(pid)
    this.#known.set(pid, { child: null, cancel: watch.cancel })
    void watch.exited.then(() => this.#ended(pid, null))
  }

  isKnown(pid: number): boolean {
    return this.#known.has(pid)
  }

  /** How a child ended; undefined while it lives or when it was not ours. */
  endOf(pid: number): ProcessEnd | undefined {
    return this.#ends.get(pid)
  }

  /** @returns false when it is gone. A child's pid is never signalled after it was reaped. */
  signal(pid: number, signal: NodeJS.Signals): boolean {
    const known = this.#known.get(pid)
    if (known === undefined) return false
    if (known.child !== null) return known.child.kill(signal)
    try {
      return process.kill(pid, signal)
    } catch {
      return false
    }
  }

  /** Resolves when it has ended. */
  async gone(pid: number): Promise<void> {
    const child = this.#known.get(pid)?.child
    if (child) await child.exited
    else if (this.#known.has(pid)) await watchProcessExit(pid).exited
  }

  /** Kills all that still live and waits until they are gone. */
  async endAll(): Promise<void> {
    await Promise.all(
      [...this.#known.keys()].map(async (pid) => {
        this.signal(pid, 'SIGKILL')
        await this.gone(pid)
      }),
    )
  }

  /** Stops watching: a leaving supervisor must not be kept alive by what it leaves behind. */
  forgetAll(): void {
    for (const { child, cancel } of this.#known.values()) {
      cancel()
      child?.child.unref()
    }
    this.#known.clear()
  }

  #ended(pid: number, end: ProcessEnd | null): void {
    if (!this.#known.delete(pid)) return
    if (end !== null) this.#remember(pid, end)
    this.#options.log.info({ primitivePid: pid, ...end }, 'a primitive has ended')
    // What it said last may still be in its channel: let the poll phase deliver that first.
    setImmediate(() => setImmediate(() => this.#options.onExit(pid, end)))
  }

  #remember(pid: number, end: ProcessEnd): void {
    this.#ends.set(pid, end)
    const oldest = this.#ends.keys().next().value
    if (this.#ends.size > 16 && oldest !== undefined) this.#ends.delete(oldest)
  }
}

/** A terminal and a supervisor for command tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Io, StopSignal } from '../../src/cli/io.js'
import { openTrigger, type Trigger } from '../../src/supervisor/trigger.js'
import { FakeSupervisor } from '../supervisor/fake-supervisor.js'

export class FakeIo implements Io {
  stdout = ''
  stderr = ''
  outIsTTY = false
  errIsTTY = false
  env: Record<string, string | undefined> = {}
  width = 80
  readonly #waiting = new Set<() => void>()
  readonly #handlers = new Set<(signal: StopSignal) => void>()

  out(text: string): void {
    this.stdout += text
    for (const look of this.#waiting) look()
  }

  err(text: string): void {
    this.stderr += text
    for (const look of this.#waiting) look()
  }

  columns(): number {
    return this.width
  }

  onSignal(_signals: readonly StopSignal[], handler: (signal: StopSignal) => void): () => void {
    this.#handlers.add(handler)
    return () => this.#handlers.delete(handler)
  }

  get handlers(): number {
    return this.#handlers.size
  }

  signal(signal: StopSignal): void {
    for (const handler of this.#handlers) handler(signal)
  }

  /** Resolves as soon as what was written so far satisfies `holds`. */
  until(holds: (io: FakeIo) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!holds(this)) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}

export interface Scene {
  readonly dir: string
  readonly socket: string
  readonly supervisor: FakeSupervisor
  readonly endsAsked: string[]
  end(): Promise<void>
}

/** A supervisor that answers on a real trigger socket in a directory of its own. */
export async function scene(): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), 'handoff-cli-'))
  const socket = join(dir, 't.sock')
  const supervisor = new FakeSupervisor()
  const trigger: Trigger = await openTrigger({
    path: socket,
    supervisor,
    binary: process.execPath,
    allowedBinaries: [],
    allowedUids: [],
    onEnd: (how) => {
      made.endsAsked.push(how)
    },
    log: pino({ level: 'silent' }),
  })
  const made: Scene = {
    dir,
    socket,
    supervisor,
    endsAsked: [],
    async end() {
      const closed = trigger.close()
      await supervisor.stop()
      await closed
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return made
}

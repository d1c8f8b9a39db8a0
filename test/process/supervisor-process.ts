/** A supervisor in a process of its own, driven over IPC: for tests that stop, kill or restart it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type {
  RehearsalReport,
  SupervisorOptions,
  SupervisorStatus,
  SwapOutcome,
  SwapSpec,
} from '../../src/supervisor/types.js'
import { compiledCopy } from './compiled.js'

const program = fileURLToPath(new URL('../fixtures/process-supervisor.mjs', import.meta.url))

/** What both kinds of supervisor offer to a test. */
export interface Conductor {
  readonly pid: number
  start(): Promise<unknown>
  swap(spec?: SwapSpec): Promise<SwapOutcome>
  rehearse(spec?: SwapSpec): Promise<RehearsalReport>
  status(): Promise<SupervisorStatus>
  stop(): Promise<unknown>
  leave(): Promise<unknown>
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

export class SupervisorProcess implements Conductor {
  readonly child: ChildProcess
  readonly exited: Promise<number | NodeJS.Signals | null>
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  /** The last one it told. */
  told: SupervisorStatus | null = null
  readonly #looking = new Set<() => void>()

  constructor(options: Omit<SupervisorOptions, 'log'>, scene: string, env: NodeJS.ProcessEnv) {
    this.child = fork(program, [], {
      env: { ...env, HANDOFF_COMPILED: compiledCopy() },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.child.on('message', (message: { id?: number; value?: unknown; error?: object; status?: SupervisorStatus }) => {
      if (message.status !== undefined) {
        this.told = message.status
        for (const look of this.#looking) look()
        return
      }
      const waiting = this.#waiting.get(message.id ?? -1)
      this.#waiting.delete(message.id ?? -1)
      if (message.error === undefined) waiting?.resolve(message.value)
      else waiting?.reject(Object.assign(new Error('the supervisor refused'), message.error))
    })
    this.exited = once(this.child, 'exit').then(([code, signal]) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the supervisor is gone: ${code ?? signal}`))
      this.#waiting.clear()
      return code ?? signal
    })
    this.child.send({ options, scene })
  }

  get pid(): number {
    return this.child.pid as number
  }

  start(): Promise<unknown> {
    return this.#ask('start')
  }

  swap(spec: SwapSpec = {}): Promise<SwapOutcome> {
    return this.#ask('swap', spec) as Promise<SwapOutcome>
  }

  rehearse(spec: SwapSpec = {}): Promise<RehearsalReport> {
    return this.#ask('rehearse', spec) as Promise<RehearsalReport>
  }

  status(): Promise<SupervisorStatus> {
    return this.#ask('status') as Promise<SupervisorStatus>
  }

  /** Resolves as soon as it tells a status that is so. */
  until(isSo: (status: SupervisorStatus) => boolean): Promise<SupervisorStatus> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.told === null || !isSo(this.told)) return
        this.#looking.delete(look)
        resolve(this.told)
      }
      this.#looking.add(look)
      look()
    })
  }

  stop(): Promise<unknown> {
    return this.#end('stop')
  }

  leave(): Promise<unknown> {
    return this.#end('leave')
  }

  /** By its own pid. Resolves when it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  async #end(how: 'stop' | 'leave'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    await this.#ask(how)
    await this.exited
  }

  #ask(command: string, argument?: unknown): Promise<unknown> {
    this.#asked += 1
    const id = this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.child.send({ id, do: command, with: argument }, (error) => {
        if (error !== null) reject(error)
      })
    })
  }
}

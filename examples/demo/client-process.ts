/** The demo's end of the client process. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Target } from './http-client.js'
import type { FromClients, ToClients } from './messages.js'
import type { Tally } from './tally.js'

type Reply<T extends FromClients['type']> = Extract<FromClients, { type: T }>

export class ClientProcess {
  readonly #child: ChildProcess
  /** Rejects when the process ends; it never ends before it is told to. */
  readonly #ended: Promise<never>

  constructor() {
    this.#child = fork(fileURLToPath(new URL('./clients.js', import.meta.url)), { stdio: ['ignore', 2, 2, 'ipc'] })
    this.#ended = new Promise((_, reject) => {
      this.#child.once('error', reject)
      this.#child.once('exit', (code, signal) =>
        reject(new Error(`the clients ended by themselves: ${signal ?? code}`)),
      )
    })
    // Everyone who waits races against it; between two waits nobody does.
    this.#ended.catch(() => {})
  }

  /** Resolves once every client has been answered. */
  async start(target: Target): Promise<void> {
    await this.#ask({ type: 'start', target }, 'running')
  }

  /** Ends the window since the last call (or the start). */
  async endWindow(): Promise<Reply<'window'>> {
    return this.#ask({ type: 'window' }, 'window')
  }

  /** Stops the load, has every acknowledged write read back, and returns what was counted. */
  async finish(): Promise<Tally> {
    return (await this.#ask({ type: 'finish' }, 'finished')).tally
  }

  /** Idempotent. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #ask<T extends FromClients['type']>(message: ToClients, reply: T): Promise<Reply<T>> {
    const replied = new Promise<Reply<T>>((resolve, reject) => {
      const onMessage = (answer: FromClients) => {
        if (answer.type !== reply) return
        this.#child.off('message', onMessage)
        resolve(answer as Reply<T>)
      }
      this.#child.on('message', onMessage)
      this.#child.send(message, (error) => error && reject(error))
    })
    return Promise.race([replied, this.#ended])
  }
}

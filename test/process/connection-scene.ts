/** A world around test/fixtures/connection-daemon.mjs, the daemon that counts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SwapOutcome } from '../../src/supervisor/types.js'
import { World } from './harness.js'

const program = fileURLToPath(new URL('../fixtures/connection-daemon.mjs', import.meta.url))
/** Binaries to hop through in turn, colon-separated, e.g. one of each supported Node version. */
export const NODES = process.env.HANDOFF_TEST_NODES?.split(':') ?? [process.execPath]
/** Four swaps each: two good ones, a failed seal, a successor that dies after the cut. */
export const ROUNDS = Number(process.env.HANDOFF_TEST_ROUNDS ?? 2)
const LISTENERS = ['http', 'line', 'https', 'h2'].map((name) => ({ name, addr: '127.0.0.1:0' }))

export class Scene implements AsyncDisposable {
  readonly world = World.empty()
  #hops = 0

  static async start(flags: readonly string[] = [], policy = {}): Promise<Scene> {
    const scene = new Scene()
    try {
      await scene.world.supervise({
        ...scene.#build(flags),
        listeners: LISTENERS,
        policy: { deadlineMs: 20_000, ...policy },
      })
    } catch (error) {
      await scene.world[Symbol.asyncDispose]().catch(() => {})
      throw error
    }
    return scene
  }

  async port(listener: 'http' | 'line' | 'https' | 'h2' = 'http'): Promise<number> {
    const { listeners } = await this.world.status()
    return Number(
      listeners
        .find(({ name }) => name === listener)
        ?.address.split(':')
        .at(-1),
    )
  }

  /** To the next Node in turn. */
  swap(...flags: string[]): Promise<SwapOutcome> {
    this.#hops++
    return this.world.supervisor.swap(this.#build(flags))
  }

  /** The same, by a process that may have only so many descriptors. */
  swapWithin(openFiles: number): Promise<SwapOutcome> {
    const { binary, args } = this.#build([])
    const limited = ['-c', `ulimit -n ${openFiles}; exec "$0" "$@"`, binary, ...args]
    return this.world.supervisor.swap({ binary: '/bin/sh', args: limited })
  }

  #build(flags: readonly string[]): { binary: string; args: string[] } {
    const { dataDir, controlSocket } = this.world
    const binary = NODES[this.#hops % NODES.length] as string
    return { binary, args: [program, '--data-dir', dataDir, '--control-socket', controlSocket, ...flags] }
  }

  /** What the daemons logged under this event. */
  logged(event: string): Record<string, unknown>[] {
    const file = join(this.world.dir, 'daemon.log')
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
    return lines.map((line) => JSON.parse(line)).filter((line) => line.event === event)
  }

  async openFds(): Promise<number> {
    return readdirSync(`/proc/${await this.world.incumbentPid()}/fd`).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

/** The counter that travels from process to process has no gap and no repeat: each request was applied once. */
export const applied = (counts: readonly number[]): number[] => [...counts].sort((a, b) => a - b)
export const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)

/** One supervisor with its daemon, swapped on demand, whose processes note moments; several stand side by side in one run. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

export interface LineOptions {
  /** The compiled tree. */
  readonly tree: string
  readonly kind: 'floor' | 'ours'
  readonly journal?: boolean
  /** Fills the data directory before anybody opens it. */
  readonly fill?: (dataDir: string) => Promise<void>
  /** Below the tree; default the daemon whose hooks do nothing. */
  readonly program?: string
  /** Default true. */
  readonly probe?: boolean
  readonly node?: string
  /** For the daemons' Node, e.g. `--trace-gc`. */
  readonly flags?: readonly string[]
}

export interface Moment {
  /** Ns on the monotonic clock. */
  readonly at: number
  readonly pid: number
  readonly what: string
  /** CPU time of the process until then, µs. */
  readonly cpu: number
}

export class Line {
  readonly dir = mkdtempSync(join(tmpdir(), 'b-'))
  readonly options: LineOptions
  port = 0
  #child: ChildProcess | null = null
  #swaps = 0

  constructor(options: LineOptions) {
    this.options = options
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  async start(): Promise<void> {
    const { tree, kind, journal, fill, program, probe = true, node, flags = [] } = this.options
    const dataDir = join(this.dir, 'data')
    const marks = join(this.dir, 'marks')
    const controlSocket = join(this.dir, 's')
    for (const dir of [dataDir, marks]) mkdirSync(dir)
    await fill?.(dataDir)
    const withProbe = probe ? ['--import', here('probe.mjs')] : []
    const daemon = program
      ? [join(tree, 'dist', program), '--data-dir', dataDir, '--control-socket', controlSocket]
      : [here('daemon.mjs'), controlSocket, dataDir]
    const settings = {
      controlSocket,
      dataDir,
      journal: journal ? join(this.dir, 'journal') : undefined,
      args: [...flags, ...withProbe, ...daemon],
    }
    const log = openSync(join(this.dir, 'log'), 'a')
    const { NODE_OPTIONS: _, ...env } = process.env
    this.#child = fork(here(kind === 'floor' ? 'floor-conductor.mjs' : 'conductor.mjs'), [JSON.stringify(settings)], {
      execArgv: kind === 'floor' ? [] : withProbe,
      env: { ...env, HANDOFF_COMPILED: tree, ...(probe && { HANDOFF_BENCH_MARKS: marks }) },
      stdio: ['ignore', log, log, 'ipc'],
      ...(node && { execPath: node }),
    })
    const { port } = await this.#answer<{ port?: number }>('ready')
    this.port = port ?? 0
  }

  async swap(): Promise<void> {
    this.#swaps += 1
    this.#child?.send({ swap: this.#swaps })
    const { result, reason } = await this.#answer<{ result: string; reason?: string }>('result')
    if (result !== 'committed') throw new Error(`a swap did not commit: ${reason}\n${this.log()}`)
  }

  /** @returns what all its processes noted, in order */
  async stop(): Promise<Moment[]> {
    this.#child?.send({ stop: true })
    if (this.#child && this.#child.exitCode === null) await once(this.#child, 'exit')
    const marks = join(this.dir, 'marks')
    const moments = readdirSync(marks).flatMap((name) => {
      const noted = JSON.parse(readFileSync(join(marks, name), 'utf8')) as [number, string, number][]
      return noted.map(([at, what, cpu]) => ({ at, what, cpu, pid: Number.parseInt(name, 10) }))
    })
    return moments.sort((a, b) => a.at - b.at)
  }

  log(): string {
    return readFileSync(join(this.dir, 'log'), 'utf8').slice(-4000)
  }

  /** Also after a failure in the middle: the supervisor then stops what it has started, which it would outlive else. */
  remove(): void {
    if (this.#child?.connected) this.#child.disconnect()
    rmSync(this.dir, { recursive: true, force: true })
  }

  #answer<T extends object>(key: string): Promise<T> {
    const child = this.#child
    if (child === null) throw new Error('it was not started')
    return new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`the supervisor ended\n${this.log()}`))
      const onMessage = (message: object) => {
        if (!(key in message)) return
        child.off('exit', onExit).off('message', onMessage)
        resolve(message as T)
      }
      child.on('exit', onExit).on('message', onMessage)
    })
  }
}

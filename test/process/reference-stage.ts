/** A listener, a data directory, and primitives of either kind around one handoff by the reference's supervisor. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { askHello } from '../../src/channel/ask-hello.js'
import { closeFd } from '../../src/os/fds.js'
import { bindListener } from '../../src/os/listeners.js'
import { REFERENCE_PEER_FAULT, referencePeer } from '../fixtures/reference-peer.js'
import { Program } from '../wire/reference-run.js'
import { compiledCopy } from './compiled.js'
import { markedProcesses } from './facts.js'
import { type Behaviour, gone, until } from './harness.js'

const MARK = 'HANDOFF_STAGE'
const ourDaemon = fileURLToPath(new URL('../fixtures/process-daemon.mjs', import.meta.url))

export type Kind = 'ours' | 'reference'

/** How a primitive of each kind is to misbehave. */
export interface Trouble {
  readonly behave?: Behaviour
  readonly fault?: string
}

export class ReferenceStage implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 's-'))
  readonly controlSocket = join(this.dir, 'control.sock')
  readonly #dataDir = join(this.dir, 'data')
  readonly #listenerFd: number
  readonly #port: number
  readonly #programs: Program[] = []

  constructor() {
    mkdirSync(this.#dataDir)
    const address = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
    const listener = bindListener({ name: 'http', address, backlog: 4096 })
    this.#listenerFd = listener.fd
    this.#port = (listener.address as { port: number }).port
  }

  /** Serving when it resolves. */
  async incumbent(kind: Kind, trouble: Trouble = {}): Promise<Program> {
    const env = { LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' }
    const program = this.#spawn(this.#file(kind), this.#args(kind, trouble), env, trouble.fault)
    await until(async () => (await this.helloPid()) === program.child.pid)
    return program
  }

  /** The reference's supervisor, starting a successor of this kind. `fault` of `trouble` strikes wherever its point is. */
  supervisor(successor: Kind, trouble: Trouble = {}, more: readonly string[] = []): Program {
    const args = ['--control-socket', this.controlSocket, '--listener-fd', '3', '--listener-names', 'http', '--wait']
    const run = ['--binary', this.#file(successor), ...this.#args(successor, trouble)]
    return this.#spawn(referencePeer.supervisor, [...args, ...more, ...run], {}, trouble.fault)
  }

  async ask(method: 'GET' | 'POST'): Promise<{ pid: number; revision: number }> {
    const response = await fetch(`http://127.0.0.1:${this.#port}/`, { method, headers: { connection: 'close' } })
    return (await response.json()) as { pid: number; revision: number }
  }

  async helloPid(): Promise<number | null> {
    return (await askHello(this.controlSocket, { timeoutMs: 2_000 }))?.pid ?? null
  }

  /** Hooks of our daemon, in the order they were called. */
  hooks(pid: number): string[] {
    const path = join(this.dir, 'story')
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
    return lines
      .map((line) => JSON.parse(line) as { pid: number; hook?: string })
      .flatMap((line) => (line.pid === pid && line.hook !== undefined ? [line.hook] : []))
  }

  processes(): number[] {
    return markedProcesses(MARK, this.dir).map(({ pid }) => pid)
  }

  /** Ends what it started, by pid; a successor whose supervisor died first is ended as well. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) await program.end()
    for (const pid of this.processes()) {
      process.kill(pid, 'SIGKILL')
      await gone(pid)
    }
    closeFd(this.#listenerFd)
    rmSync(this.dir, { recursive: true, force: true })
  }

  #file(kind: Kind): string {
    return kind === 'ours' ? ourDaemon : referencePeer.daemon
  }

  #args(kind: Kind, { behave }: Trouble): string[] {
    const paths = ['--control-socket', this.controlSocket, '--data-dir', this.#dataDir]
    return kind === 'ours' && behave !== undefined ? [...paths, '--behave', JSON.stringify(behave)] : paths
  }

  #spawn(file: string, args: readonly string[], env: Record<string, string>, fault = ''): Program {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe', this.#listenerFd],
      env: {
        ...process.env,
        [MARK]: this.dir,
        HANDOFF_COMPILED: compiledCopy(),
        ...env,
        [REFERENCE_PEER_FAULT]: fault,
      },
    })
    const program = new Program(child)
    this.#programs.push(program)
    return program
  }
}

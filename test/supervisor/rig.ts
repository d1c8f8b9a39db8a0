/**
 * A real supervisor with a real daemon, as an operator runs them: a directory, a config file, the built programs.
 *
 * Every process that belongs to a rig bears its directory in its command line: what is left over can be found and named.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sendOnce } from '../../examples/demo/load.js'
import { ask, askOne } from '../../src/cli/trigger-client.js'
import type { SupervisorStatus, SwapOutcome } from '../../src/supervisor/types.js'

const built = (path: string) => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url))

export interface RigOptions {
  /** More lines for the config file, e.g. `deadline_secs = 3`. */
  readonly toml?: string
  /** In the supervisor's environment, and so in its primitives'. */
  readonly env?: Readonly<Record<string, string>>
  /** Without a journal a restarted supervisor has only the kernel to ask. Default: with one. */
  readonly journal?: boolean
  /** `listeners` of the config file. Default: `http` on a port that was free a moment ago. */
  readonly listeners?: (dir: string) => string
}

export class Rig {
  readonly dir = mkdtempSync(join(tmpdir(), 'handoff-rig-'))
  readonly controlSocket = join(this.dir, 'control.sock')
  readonly trigger = join(this.dir, 'trigger.sock')
  readonly journal = join(this.dir, 'journal')
  readonly story = join(this.dir, 'story.log')
  readonly config = join(this.dir, 'handoff.toml')
  readonly #options: RigOptions
  supervisor: ChildProcess | null = null
  port = 0
  /** `listeners` of the config file, where it is not the usual one. */
  listeners: string | null = null
  /** A fault has stopped one of its processes: what is waited for may never come. */
  isPaused: () => boolean = () => false
  /** Added to the environment of every supervisor started from now on. */
  env: Readonly<Record<string, string>> = {}

  private constructor(options: RigOptions) {
    this.#options = options
  }

  static async create(options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig(options)
    rig.port = await freePort()
    mkdirSync(join(rig.dir, 'bin'))
    const kv = join(rig.dir, 'bin', 'kv')
    const read = (name: string) => `"$(cat '${join(rig.dir, name)}')"`
    const flags = `--data-dir '${rig.dir}/data' --control-socket '${rig.controlSocket}'`
    writeFileSync(
      kv,
      `#!/bin/sh\nexec '${process.execPath}' '${built('examples/kv.js')}' ${flags} --build-id ${read('build')} --fault ${read('fault')} "$@"\n`,
    )
    chmodSync(kv, 0o755)
    rig.listeners = options.listeners?.(rig.dir) ?? null
    rig.build('v1')
    rig.configure()
    return rig
  }

  /** What the next start runs. */
  build(id: string, fault = ''): void {
    writeFileSync(join(this.dir, 'build'), id)
    writeFileSync(join(this.dir, 'fault'), fault)
  }

  /** The lines of the config that this rig was made with. */
  get toml(): string {
    return this.#options.toml ?? ''
  }

  configure(more = this.toml): void {
    const { journal = true } = this.#options
    const listeners = this.listeners ?? `[{ name = "http", addr = "127.0.0.1:${this.port}" }]`
    writeFileSync(
      this.config,
      [
        `control_socket = "${this.controlSocket}"`,
        `trigger_socket = "${this.trigger}"`,
        `binary = "${this.dir}/bin/kv"`,
        ...(journal ? [`journal = "${this.journal}"`] : []),
        `listeners = ${listeners}`,
        more,
        '',
      ].join('\n'),
    )
  }

  /** Spawns the supervisor, and waits until it serves unless told otherwise. */
  async start(options: { wait?: boolean; env?: Readonly<Record<string, string>>; fds?: readonly number[] } = {}) {
    const out = openSync(this.story, 'a')
    const env = { ...process.env, HANDOFF_LOG_LEVEL: 'info', ...this.#options.env, ...this.env, ...options.env }
    this.supervisor = spawn(process.execPath, [built('src/cli/handoff-supervisor.js'), '--config', this.config], {
      stdio: ['ignore', out, out, ...(options.fds ?? [])],
      env,
    })
    closeSync(out)
    if (options.wait !== false) await this.served()
  }

  /** Until somebody serves and no swap is under way. */
  async served(): Promise<SupervisorStatus> {
    return await until(async () => {
      const { supervisor } = this
      if (supervisor === null || supervisor.exitCode !== null) throw new Error(`no supervisor runs\n${this.told()}`)
      const status = await this.status().catch(() => null)
      return status?.incumbent && status.swap === null && status.state.startsWith('serving') ? status : null
    })
  }

  async status(): Promise<SupervisorStatus> {
    return (await askOne(this.trigger, { cmd: 'status' }, 'status', { firstAnswerMs: 2_000 })).status
  }

  async swap(): Promise<SwapOutcome> {
    return (await askOne(this.trigger, { cmd: 'swap' }, 'outcome')).outcome
  }

  async leave(): Promise<void> {
    await askOne(this.trigger, { cmd: 'leave' }, 'stopping')
  }

  /** Writes the config anew and has the supervisor read it again. */
  async reload(more: string): Promise<void> {
    this.configure(more)
    const before = this.told().length
    this.supervisor?.kill('SIGHUP')
    await until(() => (this.told().slice(before).includes('the config was read again') ? true : null))
  }

  /** Asks for a swap and does not wait: resolves once it is under way. */
  async beginSwap(): Promise<{ ended: Promise<unknown> }> {
    const answers = ask(this.trigger, { cmd: 'swap' })
    await answers.next()
    const ended = (async () => {
      for await (const answer of answers) if (answer.event === 'outcome') return answer.outcome
      return null
    })().catch(() => null)
    return { ended }
  }

  async killSupervisor(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { supervisor } = this
    if (supervisor === null) return
    this.supervisor = null
    if (supervisor.exitCode !== null || supervisor.signalCode !== null) return
    const exited = once(supervisor, 'exit')
    supervisor.kill(signal)
    await exited
  }

  async get(path = '/'): Promise<{ pid: number; buildId: string; revision: number }> {
    const answer = await sendOnce({ host: '127.0.0.1', port: this.port }, { method: 'GET', path })
    return JSON.parse(answer.body.toString('utf8'))
  }

  /** Pids of this rig that live; a zombie does not. */
  living(): number[] {
    return processesOf(this.dir).filter((pid) => pid !== process.pid)
  }

  /** Sockets, temporaries and what was set aside; the data, the logs and the config are not left over, they are kept. */
  leftFiles(): string[] {
    const isLeft = (name: string) =>
      /sock|journal|tmp|staging|corrupt/.test(name) && !name.startsWith('journal.history')
    return readdirSync(this.dir).filter(isLeft)
  }

  told(): string {
    return readFileSync(this.story, 'utf8')
  }

  /** Ends what still runs, by pid, and removes the directory. */
  async end(): Promise<void> {
    await this.killSupervisor()
    await until(async () => {
      for (const pid of this.living()) tryKill(pid, 'SIGKILL')
      return this.living().length === 0 || null
    })
    rmSync(this.dir, { recursive: true, force: true })
  }
}

export function tryKill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** Asks again until the answer is neither null nor undefined. The test's own limit is the only clock. */
export async function until<T>(look: () => Promise<T | null | undefined> | T | null | undefined): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== null && found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Living processes that name this directory in their command line. */
export function processesOf(dir: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        return (
          pid > 0 &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir) &&
          !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
        )
      } catch {
        return false
      }
    })
}

/** Zombies whose parent is the given process. */
export function zombiesOf(parent: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        const [state, ppid] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')
        return state === 'Z' && Number(ppid) === parent
      } catch {
        return false
      }
    })
}

export const fdCount = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

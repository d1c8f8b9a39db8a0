/**
 * A world of real processes in a directory of its own: a supervisor (here or in a child), a daemon that does as it is told,
 * clients, and what the kernel says about all of them. Ending it fails the test when anything was left over.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { onTestFailed } from 'vitest'
import type { Target } from '../../examples/demo/http-client.js'
import { sendOnce } from '../../examples/demo/load.js'
import type { Policy } from '../../machines/handoff/policy.js'
import type { Hello } from '../../machines/handoff/protocol.js'
import { askHello } from '../../src/channel/ask-hello.js'
import { openFds } from '../../src/os/fds.js'
import { createSupervisor } from '../../src/supervisor/create-supervisor.js'
import type {
  RehearsalReport,
  Supervisor,
  SupervisorOptions,
  SupervisorStatus,
  SwapOutcome,
  SwapSpec,
} from '../../src/supervisor/types.js'
import { Clients } from './clients.js'
import { compiledCopy, compiledProgram } from './compiled.js'
import { lockHolders, markedProcesses, type ProcessFact } from './facts.js'
import { type Conductor, SupervisorProcess } from './supervisor-process.js'

/** Long enough for a busy machine, short enough that a test which waits for one of them says so itself. */
const PATIENT: Partial<Policy> = {
  deadlineMs: 20_000,
  drainGraceMs: 5_000,
  openBudgetMs: 20_000,
  resumeBudgetMs: 20_000,
  stopGraceMs: 10_000,
}

export const silentLog = pino({ level: 'silent' })

const MARK = 'HANDOFF_WORLD'
const fixtureDaemon = fileURLToPath(new URL('../fixtures/process-daemon.mjs', import.meta.url))

/** See the header of test/fixtures/process-daemon.mjs. */
export type Behaviour = Readonly<Record<string, unknown>>

export interface Build {
  /** `kv` is the example with its `--fault`; everything else the fixture with its `--behave`. */
  readonly program?: 'fixture' | 'kv'
  readonly id?: string
  readonly behave?: Behaviour
  readonly faults?: string
  /** The daemon's own limits. */
  readonly policy?: Partial<Policy>
  /** More of `serveDaemon`'s options. */
  readonly options?: object
}

export interface WorldOptions extends Omit<Build, 'policy'> {
  /** Of the supervisor, over {@link PATIENT}. */
  readonly policy?: Partial<Policy>
  readonly daemonPolicy?: Partial<Policy>
  /** Default `here`: in the test's own process. */
  readonly supervisor?: 'here' | 'child'
  readonly supervise?: Partial<SupervisorOptions>
  /** Made in a hook, for several tests. */
  readonly shared?: boolean
}

export interface Root {
  readonly pid: number
  readonly buildId: string
  readonly revision: number
  readonly reason: string
}

interface StoryLine {
  readonly pid: number
  readonly build: string
  readonly hook?: string
  readonly rehearsal?: boolean
  readonly call?: number
  readonly orphan?: number
  readonly serves?: boolean
}

export class World implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'w-'))
  readonly controlSocket = join(this.dir, 'control.sock')
  readonly dataDir = join(this.dir, 'data')
  readonly journal = join(this.dir, 'journal')
  readonly #fdsBefore = sockets()
  readonly #given: WorldOptions
  #conductor: Conductor | null = null
  #logs = ''
  #builds = 1
  /** Socket files that a killed process could not remove are no leftovers. */
  #killed = false

  private constructor(options: WorldOptions) {
    this.#given = options
    mkdirSync(this.dataDir)
    if (!options.shared) onTestFailed(() => console.error(this.#logs))
  }

  /** A directory and nothing in it yet. */
  static empty(options: WorldOptions = {}): World {
    return new World(options)
  }

  /** Supervisor and daemon, serving. */
  static async start(options: WorldOptions = {}): Promise<World> {
    const world = new World(options)
    try {
      await world.supervise()
    } catch (error) {
      await world[Symbol.asyncDispose]().catch(() => {})
      throw error
    }
    return world
  }

  /** Starts the first supervisor, or one more after the last has ended. */
  async supervise(over: Partial<SupervisorOptions> = {}): Promise<Conductor> {
    this.#conductor = this.newConductor(over)
    await this.#conductor.start()
    return this.#conductor
  }

  newConductor(over: Partial<SupervisorOptions> = {}): Conductor {
    const options = { ...this.supervisorOptions(), ...over }
    if (this.#given.supervisor === 'child') return new SupervisorProcess(options, this.dir, this.env)
    const file = pino.destination({ dest: join(this.dir, 'supervisor.log'), sync: true })
    return new HereSupervisor(createSupervisor({ ...options, log: pino({ level: 'debug' }, file) }))
  }

  get supervisor(): Conductor {
    if (this.#conductor === null) throw new Error('no supervisor was started')
    return this.#conductor
  }

  get supervisorProcess(): SupervisorProcess {
    if (!(this.#conductor instanceof SupervisorProcess)) throw new Error('the supervisor is not a child')
    return this.#conductor
  }

  /** Without the log, so that they can travel. */
  supervisorOptions(): Omit<SupervisorOptions, 'log'> {
    const { policy, supervise, daemonPolicy, shared: _shared, ...build } = this.#given
    return {
      controlSocket: this.controlSocket,
      binary: process.execPath,
      args: this.args({ id: 'v1', ...build, ...(daemonPolicy && { policy: daemonPolicy }) }),
      env: Object.entries(this.ownEnv),
      listeners: [{ name: 'http', addr: '127.0.0.1:0' }],
      journal: this.journal,
      policy: { ...PATIENT, ...policy },
      allowedUids: [],
      allowedBinaries: [],
      ...supervise,
    }
  }

  get ownEnv(): Record<string, string> {
    return { [MARK]: this.dir, HANDOFF_COMPILED: compiledCopy(), HANDOFF_LOG_LEVEL: 'silent' }
  }

  /** For every process of this world. */
  get env(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.ownEnv }
  }

  args(build: Build): string[] {
    const paths = ['--data-dir', this.dataDir, '--control-socket', this.controlSocket, '--build-id', build.id ?? 'v1']
    if (build.program === 'kv') {
      return [compiledProgram('examples/kv.js'), ...paths, '--fault', build.faults ?? '']
    }
    const json = (flag: string, value: object | undefined) => (value ? [flag, JSON.stringify(value)] : [])
    return [
      fixtureDaemon,
      ...paths,
      ...json('--behave', build.behave),
      ...json('--policy', build.policy),
      ...json('--options', build.options),
    ]
  }

  /** Swaps to a build, `v2` and so on unless it says otherwise. */
  swap(build: Build = {}): Promise<SwapOutcome> {
    this.#builds += 1
    return this.supervisor.swap(this.#spec(build))
  }

  /** The same of a build that is only rehearsed. */
  rehearse(build: Build = {}): Promise<RehearsalReport> {
    return this.supervisor.rehearse(this.#spec({ id: 'rehearsed', ...build }))
  }

  #spec(build: Build): SwapSpec {
    const { program, daemonPolicy } = this.#given
    const defaults = {
      id: `v${this.#builds}`,
      ...(program && { program }),
      ...(daemonPolicy && { policy: daemonPolicy }),
    }
    return { binary: process.execPath, args: this.args({ ...defaults, ...build }) }
  }

  status(): Promise<SupervisorStatus> {
    return this.supervisor.status()
  }

  async target(): Promise<Target> {
    const address = (await this.status()).listeners[0]?.address ?? ''
    const colon = address.lastIndexOf(':')
    return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
  }

  async clients(): Promise<Clients> {
    const clients = new Clients(await this.target())
    await clients.answered()
    return clients
  }

  /** Who accepts, and what it knows. */
  async root(): Promise<Root> {
    const answer = await sendOnce(await this.target(), { method: 'GET', path: '/' })
    return JSON.parse(answer.body.toString('utf8')) as Root
  }

  async put(key: string, value: string): Promise<number> {
    const request = { method: 'PUT', path: `/kv/${key}`, body: Buffer.from(value) } as const
    const answer = await sendOnce(await this.target(), request)
    return (JSON.parse(answer.body.toString('utf8')) as { revision: number }).revision
  }

  /** A write that the reference's primitives understand, too. */
  async post(): Promise<{ pid: number; revision: number }> {
    const { host, port } = await this.target()
    const response = await fetch(`http://${host}:${port}/`, { method: 'POST', headers: { connection: 'close' } })
    return (await response.json()) as { pid: number; revision: number }
  }

  /** Who answers on the control path. */
  hello(): Promise<Hello | null> {
    return askHello(this.controlSocket, { timeoutMs: 5_000 })
  }

  async incumbentPid(): Promise<number> {
    const pid = (await this.status()).incumbent?.pid
    if (pid === undefined) throw new Error('nobody serves')
    return pid
  }

  /** One process serves, on every count: it accepts, answers on the path, holds the lock, and is the one the supervisor knows. */
  async facts(): Promise<{ accepts: number; answers: number | null; holdsLock: number[]; known: number | null }> {
    const pids = this.processes().map(({ pid }) => pid)
    return {
      accepts: (await this.root()).pid,
      answers: (await this.hello())?.pid ?? null,
      holdsLock: lockHolders(this.dataDir, pids),
      known: (await this.status()).incumbent?.pid ?? null,
    }
  }

  processes(): ProcessFact[] {
    return markedProcesses(MARK, this.dir)
  }

  /** Lets every hook go on that waits at this gate. */
  openGate(name: string): void {
    writeFileSync(join(this.dir, name), '')
  }

  /** What the fixture's hooks have told. */
  story(like: Partial<StoryLine> = {}): StoryLine[] {
    const path = join(this.dir, 'story')
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    const lines = text.split('\n').slice(0, -1)
    const wanted = Object.entries(like)
    return lines
      .map((line) => JSON.parse(line) as StoryLine)
      .filter((line) => wanted.every(([name, value]) => line[name as keyof StoryLine] === value))
  }

  async told(like: Partial<StoryLine>): Promise<StoryLine> {
    let found = this.story(like)[0]
    while (found === undefined) {
      await pause()
      found = this.story(like)[0]
    }
    return found
  }

  /** Sockets, journal, staging names: all that must be gone in the end. The history of swaps is kept on purpose. */
  files(): string[] {
    const own = ['data', 'story', 'supervisor.log', 'daemon.log', 'journal.history']
    return readdirSync(this.dir).filter((name) => !own.includes(name) && !name.startsWith('gate'))
  }

  /** By its own pid, and only a process of this world. Resolves when it is gone. */
  async kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.processes().some((known) => known.pid === pid)) throw new Error(`${pid} is none of ours`)
    this.#killed = true
    process.kill(pid, signal)
    await gone(pid)
  }

  /** A test ended a process the hard way: its socket files stay, and nobody is to blame. */
  forgiveFiles(): void {
    this.#killed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const problems: string[] = []
    try {
      await this.#conductor?.stop()
    } catch (error) {
      problems.push(`the supervisor did not stop: ${error}`)
    }
    for (const { pid, command } of this.processes()) {
      problems.push(`process ${pid} is left: ${command}`)
      process.kill(pid, 'SIGKILL')
      await gone(pid)
    }
    if (!this.#killed && problems.length === 0) problems.push(...this.files().map((name) => `${name} is left`))
    problems.push(...(await this.#socketsLeft()))
    this.#logs = [this.#read('supervisor.log'), this.#read('daemon.log'), this.#read('story')].join('\n')
    rmSync(this.dir, { recursive: true, force: true })
    if (problems.length > 0) throw new Error(problems.join('\n'))
  }

  /** A closed socket leaves the process a turn of the loop later. */
  async #socketsLeft(): Promise<string[]> {
    for (let looks = 0; looks < 200; looks += 1) {
      if (sockets().length <= this.#fdsBefore.length) return []
      await pause()
    }
    return sockets()
      .filter((fd) => !this.#fdsBefore.includes(fd))
      .map((fd) => `descriptor ${fd} is left`)
  }

  #read(name: string): string {
    const path = join(this.dir, name)
    return existsSync(path) ? `--- ${name}\n${readFileSync(path, 'utf8').slice(-20_000)}` : ''
  }
}

class HereSupervisor implements Conductor {
  readonly pid = process.pid
  constructor(readonly supervisor: Supervisor) {}
  start = () => this.supervisor.start()
  swap: Supervisor['swap'] = (spec) => this.supervisor.swap(spec)
  rehearse: Supervisor['rehearse'] = (spec) => this.supervisor.rehearse(spec)
  status = async () => this.supervisor.status()
  stop = () => this.supervisor.stop()
  leave = () => this.supervisor.leave()
}

const sockets = (): string[] =>
  [...openFds()].filter(([, target]) => /^(socket|pipe):|pidfd/.test(target)).map(([fd, target]) => `${fd} ${target}`)

export const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

/** Waits until something is so; the test's own timeout is the only clock. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause()
}

/** No such process any more, or a zombie that only its parent can take away. */
export async function gone(pid: number): Promise<void> {
  await until(() => {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
    return readState(pid) === 'Z'
  })
}

function readState(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  } catch {
    return 'Z'
  }
}

/** Appends to the log of writes, as a successor would that wrote before it died. */
export function writeBehindTheBack(world: World, line: string): void {
  appendFileSync(join(world.dataDir, 'log'), `${line}\n`)
}

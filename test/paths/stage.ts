/** Where a path is walked: a directory, the real programs behind their gates, and what can be made to fail around them. */
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readFileIfExists } from '../../src/os/atomic-file.js'
import { LOCK_FILE } from '../../src/os/data-dir-lock.js'
import { decodeJournal } from '../../src/wire/journal.js'
import { lockHolders } from '../process/facts.js'
import { Rig } from '../supervisor/rig.js'
import { Puppets } from './puppets.js'

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** Lengths that nothing else has: by them the gate knows the pauses before SIGTERM and SIGKILL, seconds. */
const LINGER_SECS = 7001
const STOP_GRACE_SECS = 7003
const PAUSES = { SIGTERM: LINGER_SECS * 1000, SIGKILL: (LINGER_SECS + STOP_GRACE_SECS) * 1000 }

export interface StageOptions {
  readonly probation: boolean
  readonly canResume: boolean
  readonly crashLoopLimit: number
}

export class Stage {
  readonly rig: Rig
  readonly puppets: Puppets
  readonly trace: string
  /** What the control path leads to, by inode. */
  readonly #owners = new Map<string, number>()
  #spoiled: (() => void) | null = null
  #losses = 0
  #accepting: number | null = null
  #asking: Promise<number | null> | null = null

  private constructor(rig: Rig, puppets: Puppets) {
    this.rig = rig
    this.puppets = puppets
    this.trace = join(rig.dir, 'trace')
  }

  static async create({ probation, canResume, crashLoopLimit }: StageOptions, patienceMs: number): Promise<Stage> {
    const limits = [
      `linger_secs = ${LINGER_SECS}`,
      `stop_grace_secs = ${STOP_GRACE_SECS}`,
      'greeting_secs = 1',
      `crash_loop_limit = ${crashLoopLimit}`,
      ...(probation ? ['probation_secs = 30'] : []),
    ]
    const rig = await Rig.create({ toml: limits.join('\n') })
    const gate = join(rig.dir, 'gate.sock')
    const puppets = await Puppets.on(gate, patienceMs)
    const stage = new Stage(rig, puppets)
    mkdirSync(join(rig.dir, 'data'))
    const flags = `--data-dir '${rig.dir}/data' --control-socket '${rig.controlSocket}'`
    const resume = canResume ? '' : ' --no-resume'
    writeFileSync(
      stage.#binary,
      `#!/bin/sh\nexec '${process.execPath}' '${fixture('path-daemon.mjs')}' ${flags}${resume}\n`,
    )
    rig.env = {
      HANDOFF_GATE: gate,
      HANDOFF_GATE_PAUSES: Object.values(PAUSES).join(),
      HANDOFF_TRACE: stage.trace,
      NODE_OPTIONS: `--import ${fixture('path-gate.mjs')}`,
    }
    return stage
  }

  get #binary(): string {
    return join(this.rig.dir, 'bin', 'kv')
  }

  get supervisorPid(): number {
    return this.rig.supervisor?.pid ?? 0
  }

  async startSupervisor(): Promise<void> {
    await this.rig.start({ wait: false })
    await this.puppets.until(
      () => this.puppets.all.some(({ pid, machines }) => pid === this.supervisorPid && machines.has('supervisor')),
      () => 'the supervisor does not come up',
    )
  }

  pauseBefore = (signal: 'SIGTERM' | 'SIGKILL'): number => PAUSES[signal]

  /** Does what must fail, in a world in which it does; where no world makes it fail, its actor is told to. */
  async failing(job: string, run: (mode?: string) => Promise<void>): Promise<void> {
    const mend = this.#spoil(job)
    if (mend === null) return await run('fail')
    try {
      await run()
    } finally {
      await mend()
    }
  }

  #spoil(job: string): (() => void | Promise<void>) | null {
    const { rig } = this
    switch (job) {
      case 'readJournal':
      case 'writeJournal':
        return blocked(rig.journal)
      case 'spawnSuccessor':
      case 'startRehearsed':
      case 'startPrimitive':
        return away(this.#binary)
      case 'dialIncumbent':
      case 'publishControl':
        return blocked(rig.controlSocket)
      case 'acquireLock':
        return blocked(join(rig.dir, 'data', LOCK_FILE))
      default:
        return null
    }
  }

  /** A directory stands where the journal is: it can neither be written nor removed. */
  spoilJournal(): void {
    this.#losses = this.#journalLosses()
    this.#spoiled ??= blocked(this.rig.journal)
  }

  #journalLosses = (): number => this.rig.told().split(/the journal could not be (?:written|removed)/).length

  async journalDone(isLost: boolean, pids: readonly number[]): Promise<void> {
    if (isLost) {
      await this.until(() => this.#journalLosses() > this.#losses, 'the journal was written all the same')
      this.#spoiled?.()
      this.#spoiled = null
      return
    }
    const wanted = [...pids].sort().join()
    await this.until(
      () => this.#journaled() === wanted,
      `the journal should name ${wanted || 'nobody'}, names ${this.#journaled()}`,
    )
  }

  #journaled(): string {
    const bytes = readFileIfExists(this.rig.journal)
    if (bytes === null) return ''
    const { incumbentPid, successorPid } = decodeJournal(bytes)
    return [incumbentPid, successorPid].filter(Boolean).sort().join()
  }

  async lockHeldBy(pid: number | null): Promise<void> {
    const holders = () =>
      lockHolders(
        join(this.rig.dir, 'data'),
        this.puppets.all.map((one) => one.pid),
      ).join()
    const wanted = pid === null ? '' : String(pid)
    await this.until(
      () => holders() === wanted,
      () => `the lock should be held by ${wanted || 'nobody'}, is by ${holders()}`,
    )
  }

  /** A socket that comes onto the path is of the process that the model says is there now, and of no other later on. */
  async pathLeadsTo(pid: number | null): Promise<void> {
    // An inode's number may come again, the moment of its making does not.
    const inode = () => {
      const found = lstatSync(this.rig.controlSocket, { throwIfNoEntry: false, bigint: true })
      return found === undefined ? null : `${found.ino} ${found.mtimeNs}`
    }
    await this.until(
      () => {
        const now = inode()
        if (now === null || pid === null) return now === pid
        if (!this.#owners.has(now)) this.#owners.set(now, pid)
        return this.#owners.get(now) === pid
      },
      () => `the control path should lead to ${pid}, leads to ${this.#owners.get(inode() ?? '')}`,
    )
  }

  /** A request is answered by it; one that waited for somebody to accept is, too. */
  async acceptedBy(pid: number): Promise<void> {
    if (this.#accepting === pid) return
    this.#accepting = pid
    const early = this.#asking
    this.#asking = null
    const answers = [await early, await this.#ask()].filter((one) => one !== null)
    if (answers.at(-1) !== pid || answers.some((one) => one !== pid))
      throw new Error(`${pid} should accept, ${answers.join(' and ') || 'nobody'} did`)
  }

  /** A request that comes now waits for who comes next. */
  nobodyAccepts(): void {
    this.#accepting = null
    this.#asking ??= this.#ask()
  }

  /** Who answers; null when the connection was refused or broken. */
  #ask(): Promise<number | null> {
    return new Promise((resolve) => {
      const asked = request({ host: '127.0.0.1', port: this.rig.port, agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve(Number(text)))
        response.on('error', () => resolve(null))
      })
      asked.on('error', () => resolve(null))
      asked.end()
    })
  }

  async until(isSo: () => boolean, what: string | (() => string)): Promise<void> {
    await this.untilWith(() => {}, isSo, what)
  }

  async untilWith(nudge: () => void, isSo: () => boolean, what: string | (() => string)): Promise<void> {
    const late = performance.now() + this.puppets.patienceMs
    while (!isSo()) {
      if (performance.now() > late) throw new Error(typeof what === 'string' ? what : what())
      nudge()
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  told(): string {
    return [
      ...this.puppets.all.map((one) => one.told()),
      existsSync(this.rig.story) ? this.rig.told().slice(-1_500) : '',
    ].join('\n')
  }

  async end(): Promise<void> {
    this.#spoiled?.()
    await this.rig.end()
    await this.puppets.close()
    await this.#asking
  }
}

/** Puts a directory where a file is wanted. @returns what takes it away again */
function blocked(path: string): () => void {
  const kept = `${path}.kept`
  const was = existsSync(path)
  if (was) renameSync(path, kept)
  mkdirSync(path)
  return () => {
    rmdirSync(path)
    if (was) renameSync(kept, path)
  }
}

function away(path: string): () => void {
  renameSync(path, `${path}.away`)
  return () => renameSync(`${path}.away`, path)
}

export function isEnded(pid: number): boolean {
  const state = stateOf(pid)
  return state === null || state === 'Z' || state === 'X'
}

export const isStopped = (pid: number): boolean => stateOf(pid) === 'T'

function stateOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  } catch {
    return null
  }
}

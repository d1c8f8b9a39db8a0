/** What the supervisor's effects share: listeners, processes, journal, the build that runs, and the swap under way. */
import { randomUUID } from 'node:crypto'
import type { FailureCode } from '../../machines/handoff/failures.js'
import type { RehearsedEvent } from '../../machines/handoff/messages.js'
import type { Policy } from '../../machines/handoff/policy.js'
import type { SwapEvents, SwapOutput } from '../../machines/handoff/swap.machine.js'
import { supervisorError } from '../errors/supervisor.js'
import { publish } from '../observe/diagnostics.js'
import type { Logger } from '../observe/log.js'
import { HeldListeners } from './held-listeners.js'
import { interruptedOutcome, isSwap, journaledPids } from './interrupted.js'
import { JournalFile, type LeftJournal } from './journal.js'
import { type Build, launchOptions } from './launch.js'
import { describeOutcome, PhaseClock } from './outcome.js'
import { Processes } from './processes.js'
import { RehearsalRun } from './rehearsal-run.js'
import { SwapRun } from './swap-run.js'
import type {
  IncumbentFacts,
  ProcessFacts,
  RehearsalReport,
  SupervisorOptions,
  SwapOutcome,
  SwapProgress,
  SwapSpec,
} from './types.js'

interface PendingSwap {
  readonly handoffId: string
  readonly build: Build
  readonly clock: PhaseClock
  readonly previous: ProcessFacts | null
  readonly run: SwapRun | null
  readonly settle: { resolve(outcome: SwapOutcome): void; reject(error: Error): void }
}

export class SupervisorCore {
  options: SupervisorOptions
  policy: Policy
  readonly log: Logger
  readonly processes: Processes
  readonly listeners: HeldListeners
  readonly journal: JournalFile
  /** What the machine hears. Set once it exists. */
  hear: {
    primitiveExited(pid: number): void
    swap(event: SwapEvents): void
    rehearsed(event: RehearsedEvent): void
    changed(): void
    stateText(): string
  } = { primitiveExited() {}, swap() {}, rehearsed() {}, changed() {}, stateText: () => 'starting' }
  incumbent: IncumbentFacts | null = null
  lastSwap: SwapOutcome | null = null
  starts = 0
  /** Why the last start or bind failed, for the sentence. */
  lastError: Error | null = null
  #build: Build
  #pending: PendingSwap | null = null
  /** What the last supervisor left unfinished, until it is known how it ended. */
  #interrupted: LeftJournal | null = null
  #run: SwapRun | null = null
  #rehearsal: { readonly run: RehearsalRun; readonly settle: (report: RehearsalReport) => void } | null = null
  readonly #facts = new Map<number, ProcessFacts>()
  readonly #retiring = new Map<number, NodeJS.Timeout[]>()
  #generation = 0
  #muteTold: number | null | undefined

  constructor(options: SupervisorOptions, policy: Policy) {
    this.options = options
    this.policy = policy
    this.log = options.log
    this.#build = { binary: options.binary, args: options.args, env: options.env }
    this.listeners = new HeldListeners(options.listeners, options.inherited ?? [], this.log)
    this.journal = new JournalFile(options.journal, this.log)
    this.processes = new Processes({
      log: this.log,
      onExit: (pid) => {
        this.#endRetirement(pid)
        this.#pending?.run?.noteExit(pid)
        this.hear.primitiveExited(pid)
      },
    })
  }

  /** What is asked for anew takes the place of what runs only where the options themselves have changed. */
  reconfigure(options: SupervisorOptions, policy: Policy): void {
    const { binary, args, env } = this.options
    const changed = (now: unknown, before: unknown) => JSON.stringify(now) !== JSON.stringify(before)
    this.#build = {
      binary: options.binary === binary ? this.#build.binary : options.binary,
      args: changed(options.args, args) ? options.args : this.#build.args,
      env: changed(options.env, env) ? options.env : this.#build.env,
    }
    const { cwd: _cwd, ...kept } = this.options
    this.options = {
      ...kept,
      binary: options.binary,
      args: options.args,
      env: options.env,
      policy: options.policy,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }
    this.policy = policy
  }

  request(spec: SwapSpec, settle: PendingSwap['settle']): void {
    const handoffId = spec.handoffId ?? randomUUID()
    const build = this.#asked(spec)
    const previous = this.incumbent
    const run = previous && this.#newRun(handoffId, build, previous)
    this.#run = run
    this.#pending = { handoffId, build, clock: new PhaseClock(), previous, run, settle }
    publish('handoff:swap.start', () => ({ handoffId, incumbent: previous }))
  }

  #asked(spec: SwapSpec): Build {
    const { binary, args, env } = this.#build
    return { binary: spec.binary ?? binary, args: spec.args ?? args, env: spec.env ?? env }
  }

  requestRehearsal(spec: SwapSpec, settle: (report: RehearsalReport) => void): void {
    const build = this.#asked(spec)
    const { controlSocket } = this.options
    const run = new RehearsalRun({
      handoffId: randomUUID(),
      binary: build.binary,
      controlSocket,
      listeners: this.listeners.status().map(({ name, address }) => ({ name, address })),
      processes: this.processes,
      log: this.log,
      spawn: (channelFd) => {
        const launch = launchOptions(this.options, build, this.listeners.all, this.policy, channelFd)
        // It may look at the world, and must not ask the incumbent for its connections.
        return this.processes.spawn({ ...launch, env: { ...launch.env, HANDOFF_REHEARSAL: '1' } })
      },
      send: (event) => this.hear.rehearsed(event),
    })
    this.#rehearsal = { run, settle }
  }

  get rehearsal(): RehearsalRun {
    if (this.#rehearsal === null) throw new Error('a rehearsal began that nobody asked for')
    return this.#rehearsal.run
  }

  reportRehearsal(failure: FailureCode | null): void {
    const rehearsal = this.#rehearsal
    if (rehearsal === null) return
    this.#rehearsal = null
    void rehearsal.run.report(failure).then((report) => {
      this.log[report.passed ? 'info' : 'warn']({ ...report, event: 'handoff.rehearsal' }, 'a build was rehearsed')
      publish('handoff:rehearsal.end', () => report)
      rehearsal.settle(report)
    })
  }

  get hasPending(): boolean {
    return this.#pending !== null
  }

  progress(): SwapProgress | null {
    const pending = this.#pending
    if (pending === null) return null
    return {
      handoffId: pending.handoffId,
      phase: pending.clock.name,
      elapsedMs: Math.round(pending.clock.elapsedMs),
      budgetMs: this.policy.deadlineMs,
      ...(pending.run?.parked === undefined ? {} : { parked: pending.run.parked }),
    }
  }

  enterPhase(name: string): void {
    if (!this.#pending?.clock.enter(name)) return
    publish('handoff:swap.phase', () => this.progress())
    this.hear.changed()
  }

  /** The run of the swap under way, or of the last one: a late effect still finds its own. */
  get run(): SwapRun {
    if (this.#run === null) throw new Error('a swap began that nobody asked for')
    return this.#run
  }

  #newRun(handoffId: string, build: Build, incumbent: ProcessFacts): SwapRun {
    return new SwapRun({
      handoffId,
      controlSocket: this.options.controlSocket,
      policy: this.policy,
      incumbent,
      processes: this.processes,
      journal: this.journal,
      log: this.log,
      spawn: (channelFd) =>
        this.processes.spawn(launchOptions(this.options, build, this.listeners.all, this.policy, channelFd)),
      send: (event) => this.hear.swap(event),
    })
  }

  /** Living processes of what the last supervisor left unfinished; `begun`: somebody was being started whom it had no time to name. */
  readJournal(): { pids: readonly number[]; begun: boolean } {
    const left = this.journal.read()
    if (left === null) return { pids: [], begun: false }
    const pids = journaledPids(left)
    this.log.warn(
      {
        handoffId: left.handoffId,
        phase: left.phase,
        incumbentPid: left.incumbentPid,
        successorPid: left.successorPid,
      },
      isSwap(left) ? 'the last supervisor ended in mid-swap' : 'the last supervisor ended while it started a program',
    )
    if (isSwap(left)) this.#interrupted = left
    // While one that it names lives, that one is waited for first; what it had begun, too, comes after.
    return { pids, begun: left.successorPid === null && pids.length === 0 }
  }

  /** Tells how the interrupted swap ended, once somebody serves or nobody is left who could. */
  endInterrupted(serving: ProcessFacts | null): void {
    const left = this.#interrupted
    if (left === null) return
    this.#interrupted = null
    this.lastSwap = interruptedOutcome(left, serving)
    this.#logOutcome(this.lastSwap)
  }

  #logOutcome(outcome: SwapOutcome): void {
    this.log[outcome.result === 'committed' ? 'info' : 'warn']({ ...outcome, event: 'handoff.outcome' }, outcome.result)
  }

  /** That a program is about to be started. */
  recordStart(): Promise<void> {
    return this.#writeStart(null)
  }

  /** A record without an incumbent is of a start. @param pid null before there is a process */
  #writeStart(pid: number | null): Promise<void> {
    return this.journal.write({
      handoffId: randomUUID(),
      phase: 'negotiating',
      incumbentPid: 0,
      successorPid: pid,
      startedAtUnixMs: BigInt(Date.now()),
    })
  }

  async startPrimitive(which: 'current' | 'requested'): Promise<{ pid: number }> {
    const build = which === 'requested' && this.#pending !== null ? this.#pending.build : this.#build
    const { pid } = await this.processes.spawn(
      launchOptions(this.options, build, this.listeners.all, this.policy, null),
    )
    // A supervisor that dies before this program answers must find it: it would start a rival else (INV-10).
    await this.#writeStart(pid).catch((err: unknown) => {
      this.log.warn({ err }, 'the journal could not be written')
    })
    this.starts += 1
    this.log.info({ primitivePid: pid, binary: build.binary }, 'a primitive was started')
    return { pid }
  }

  /** Told once for each process. @param pid null where nothing but its full queue shows that it lives */
  noteMute(pid: number | null): void {
    if (this.#muteTold === pid) return
    this.#muteTold = pid
    const who = pid === null ? 'a process' : `process ${pid}`
    const error = supervisorError('ERR_HANDOFF_STATE_MUTE_HOLDER', [who, this.options.controlSocket])
    this.log.warn({ code: error.code, primitivePid: pid }, error.message)
  }

  /** Passes a result on; a failure is kept for whoever asks why. */
  async noting<T>(doing: () => Promise<T>): Promise<T> {
    try {
      return await doing()
    } catch (error) {
      this.lastError = error instanceof Error ? error : new Error(String(error))
      this.log.error({ err: this.lastError }, 'the supervisor could not go on as planned')
      throw error
    }
  }

  remember(facts: ProcessFacts): void {
    this.#facts.set(facts.pid, facts)
  }

  /** That process is the service from now on, whichever one a swap that still waits was asked about (INV-12). */
  adopt(pid: number): void {
    this.processes.watch(pid)
    const pending = this.#pending
    if (pending === null || pending.previous?.pid === pid) return
    const previous = this.#facts.get(pid) ?? { pid, buildId: '' }
    const run = this.#newRun(pending.handoffId, pending.build, previous)
    this.#run = run
    this.#pending = { ...pending, previous, run }
  }

  /** The primitive that the machine says is the service now. */
  noteIncumbent(pid: number | null): void {
    if (pid === (this.incumbent?.pid ?? null)) return
    const facts = pid === null ? null : (this.#facts.get(pid) ?? { pid, buildId: '' })
    if (facts !== null) this.endInterrupted(facts)
    this.incumbent = facts && { ...facts, generation: ++this.#generation, since: new Date().toISOString() }
    for (const known of this.#facts.keys()) if (known !== pid) this.#facts.delete(known)
    publish('handoff:serving', () => ({ incumbent: this.incumbent }))
    this.hear.changed()
  }

  report(output: SwapOutput): void {
    const pending = this.#pending
    if (pending === null) return
    if (pending.run?.successorFacts) this.remember(pending.run.successorFacts)
    pending.clock.end()
    if (output.result === 'committed') this.#build = pending.build
    const known = (pid: number | null): ProcessFacts | null =>
      pid === null
        ? null
        : (this.#facts.get(pid) ?? { pid, buildId: pending.previous?.pid === pid ? pending.previous.buildId : '' })
    const previous = pending.previous && { pid: pending.previous.pid, buildId: pending.previous.buildId }
    const outcome = describeOutcome(output, pending.handoffId, pending.run, pending.clock, known, previous)
    this.#pending = null
    this.lastSwap = outcome
    this.#logOutcome(outcome)
    publish('handoff:swap.end', () => outcome)
    // The machine is still in the middle of its step: whoever awaits the outcome may ask for the next swap at once.
    setImmediate(() => {
      pending.settle.resolve(outcome)
      this.hear.changed()
    })
  }

  refuse(why: Error = supervisorError('ERR_HANDOFF_STATE_SWAP_REFUSED', [this.hear.stateText()])): void {
    this.#pending?.settle.reject(why)
    this.#pending = null
  }

  cancelSwap(): void {
    this.hear.swap({ type: 'operator.cancelled' })
  }

  /** Commit was its last order. It has its grace to go, then it is told again, then it is made to (decision 9). */
  retire(pid: number): void {
    const { retireGraceMs, stopGraceMs } = this.policy
    this.processes.watch(pid)
    this.#retiring.set(pid, [
      setTimeout(() => this.processes.signal(pid, 'SIGTERM'), retireGraceMs),
      setTimeout(() => {
        this.log.warn({ primitivePid: pid }, 'a committed incumbent did not end; it is killed')
        this.processes.signal(pid, 'SIGKILL')
      }, retireGraceMs + stopGraceMs),
    ])
  }

  /** Nobody waits for them any more: what a leaving supervisor retired ends by itself. */
  forgetRetired(): void {
    for (const pid of [...this.#retiring.keys()]) this.#endRetirement(pid)
  }

  #endRetirement(pid: number): void {
    for (const timer of this.#retiring.get(pid) ?? []) clearTimeout(timer)
    this.#retiring.delete(pid)
  }
}

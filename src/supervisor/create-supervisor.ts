/** The supervisor's embedding door: an XState actor that holds listeners, plus promises for people who want those. */
import { type Actor, type AnyActorRef, createActor, type StateValue } from 'xstate'
import { checkPolicy, type Policy } from '../../machines/handoff/policy.js'
import type { supervisorMachine } from '../../machines/handoff/supervisor.machine.js'
import { pollClock } from '../channel/poll-clock.js'
import { stateText } from '../channel/state-text.js'
import { supervisorError } from '../errors/supervisor.js'
import { type InspectTap, inspectTap, watchedBy } from '../observe/inspect-tap.js'
import { machineObserver } from '../observe/machine-observer.js'
import { spanWriter } from '../observe/spans.js'
import { checkListenerNames } from '../os/listeners.js'
import { checkSocketPath } from '../os/unix-socket.js'
import { bindSupervisor } from './bind-supervisor.js'
import { SupervisorCore } from './core.js'
import { Historian, historyPath } from './historian.js'
import { swapPhase } from './outcome.js'
import { rendezvousPath } from './take-listeners.js'
import type {
  RehearsalReport,
  Supervisor,
  SupervisorOptions,
  SupervisorStatus,
  SwapOutcome,
  SwapSpec,
} from './types.js'

/** @throws HandoffError for options that cannot work; nothing was bound or started then */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const policy = validPolicy(options)
  checkSocketPath(rendezvousPath(options.controlSocket))
  checkListenerNames(options.listeners.map(({ name }) => name))
  return new RunningSupervisor(new SupervisorCore(options, policy))
}

function validPolicy(options: SupervisorOptions): Policy {
  const { policy, problems } = checkPolicy(options.policy)
  const [problem] = problems
  if (problem === undefined) return policy
  throw supervisorError('ERR_HANDOFF_USAGE_SUPERVISOR_OPTION', [`policy.${problem.name}`, problem.problem])
}

/** What is bound, opened or shown once and for all. */
const FIXED = ['controlSocket', 'listeners', 'journal', 'history', 'inspect', 'spans'] as const

class RunningSupervisor implements Supervisor {
  readonly #core: SupervisorCore
  readonly #since = new Date().toISOString()
  readonly #watchers = new Set<(status: SupervisorStatus) => void>()
  readonly #actor: Actor<typeof supervisorMachine>
  readonly #tap: InspectTap | null
  readonly #history: string | null
  readonly #historian: Historian | null
  #ended: Promise<void> | null = null
  #followed: AnyActorRef | undefined

  constructor(core: SupervisorCore) {
    this.#core = core
    const { inspect, controlSocket, log } = core.options
    this.#tap = inspectTap({ inspect, controlSocket, log, buildId: '' })
    this.#history = historyPath(core.options)
    const historian = this.#history === null ? null : new Historian(this.#history, log)
    this.#historian = historian
    const spans = spanWriter(core.options.spans, log)
    if (spans !== null) this.#watchers.add(spans)
    if (historian !== null) this.#watchers.add((status) => historian.follow(status))
    this.#actor = createActor(bindSupervisor(core), {
      input: { policy: core.policy },
      clock: pollClock as never,
      ...watchedBy(
        this.#tap?.as('supervisor'),
        historian && ((event) => historian.observe(event)),
        machineObserver('supervisor'),
      ),
    }) as unknown as Actor<typeof supervisorMachine>
    core.hear = {
      primitiveExited: (pid) => this.#send({ type: 'primitive.exited', pid }),
      swap: (event) => (this.#actor.getSnapshot().children.swap as AnyActorRef | undefined)?.send(event),
      rehearsed: (event) => this.#send(event),
      changed: () => this.#tell(),
      stateText: () => stateText(this.#actor.getSnapshot().value),
    }
  }

  get actor(): Actor<typeof supervisorMachine> {
    return this.#actor
  }

  async start(): Promise<void> {
    this.#ended ??= this.#run()
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const snapshot = this.#actor.getSnapshot()
        if (snapshot.hasTag('serving')) resolve()
        else if (snapshot.status !== 'active') {
          const why = snapshot.context.failure === null ? 'it was stopped' : this.#whyFailed()
          reject(supervisorError('ERR_HANDOFF_START_FAILED', [why], this.#core.lastError ?? undefined))
        }
      }
      this.#actor.subscribe({ next: look, complete: look })
      look()
    })
  }

  async swap(spec: SwapSpec = {}): Promise<SwapOutcome> {
    if (this.#isPassing()) await this.#untilItDecides()
    const core = this.#core
    if (core.hasPending || !this.#actor.getSnapshot().can({ type: 'swap.requested' }) || !this.#takesSwaps()) {
      throw supervisorError('ERR_HANDOFF_STATE_SWAP_REFUSED', [core.hear.stateText()])
    }
    return await new Promise((resolve, reject) => {
      core.request(spec, { resolve, reject })
      this.#tell()
      this.#send({ type: 'swap.requested' })
    })
  }

  rehearse(spec: Omit<SwapSpec, 'handoffId'> = {}): Promise<RehearsalReport> {
    return new Promise((resolve, reject) => {
      if (this.#core.hasPending || !this.#actor.getSnapshot().can({ type: 'rehearsal.requested' })) {
        reject(supervisorError('ERR_HANDOFF_STATE_REHEARSAL_REFUSED', [this.#core.hear.stateText()]))
        return
      }
      this.#core.requestRehearsal(spec, resolve)
      this.#send({ type: 'rehearsal.requested' })
    })
  }

  status(): SupervisorStatus {
    const core = this.#core
    return {
      state: core.hear.stateText(),
      pid: process.pid,
      since: this.#since,
      incumbent: core.incumbent,
      swap: core.progress(),
      lastSwap: core.lastSwap,
      listeners: core.listeners.status(),
      restarts: Math.max(0, core.starts - 1),
      started: core.starts,
      ...(this.#history === null ? {} : { history: this.#history }),
    }
  }

  async stop(): Promise<void> {
    if (this.#ended === null) return
    this.#send({ type: 'operator.stopped' })
    await this.#ended
  }

  async leave(): Promise<void> {
    if (this.#ended === null) return
    this.#send({ type: 'operator.left' })
    await this.#ended
  }

  reconfigure(options: SupervisorOptions): readonly string[] {
    const core = this.#core
    const policy = validPolicy(options)
    const before = core.options
    core.reconfigure(options, policy)
    this.#send({ type: 'operator.reconfigured', policy })
    return FIXED.filter((name) => JSON.stringify(options[name]) !== JSON.stringify(before[name]))
  }

  subscribe(listener: (status: SupervisorStatus) => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  /** Until the machine is final, and everything it held is let go. */
  async #run(): Promise<void> {
    const core = this.#core
    await new Promise<void>((resolve) => {
      this.#actor.subscribe({
        next: (snapshot) => {
          this.#follow(snapshot.children.swap as AnyActorRef | undefined)
          if (snapshot.hasTag('serving') && !snapshot.hasTag('swapping'))
            core.noteIncumbent(snapshot.context.primitivePid)
          else if (snapshot.hasTag('degraded')) core.noteIncumbent(null)
          this.#tell()
        },
        complete: resolve,
      })
      this.#actor.start()
    })
    const leaves = this.#actor.getSnapshot().context.primitivePid !== null
    if (leaves) core.forgetRetired()
    // A stop takes everything with it, also a successor whose swap was not waited for (INV-10).
    else await core.processes.endAll()
    await core.journal.settled()
    await this.#historian?.settled()
    core.listeners.close(leaves)
    core.processes.forgetAll()
    core.refuse(supervisorError('ERR_HANDOFF_STOPPED', []))
    this.#tap?.stop()
  }

  /** The phases of a swap, for whoever looks: told by its own machine, from its first state on. */
  #follow(swap: AnyActorRef | undefined): void {
    if (swap === undefined || swap === this.#followed) return
    this.#followed = swap
    const enter = ({ status, value }: { status: string; value: StateValue }): void => {
      if (status === 'active') this.#core.enterPhase(swapPhase(value))
    }
    enter(swap.getSnapshot())
    // What its machine throws is its parent's to hear.
    swap.subscribe({ next: enter, error() {} })
  }

  #takesSwaps(): boolean {
    const snapshot = this.#actor.getSnapshot()
    const mendsALoop = snapshot.matches({ starting: 'confirming' }) && snapshot.context.failures > 0
    return snapshot.matches('serving') || snapshot.matches('pausing') || mendsALoop
  }

  /** In a crash loop a swap is the cure: it is not refused for the instants between two starts. */
  #isPassing(): boolean {
    const snapshot = this.#actor.getSnapshot()
    const passes = ['looking', { starting: 'recording' }, { starting: 'spawning' }, { starting: 'ending' }] as const
    return snapshot.status === 'active' && snapshot.context.failures > 0 && passes.some((at) => snapshot.matches(at))
  }

  #untilItDecides(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#isPassing()) return
        subscription.unsubscribe()
        resolve()
      }
      const subscription = this.#actor.subscribe({ next: look, complete: look })
    })
  }

  #whyFailed(): string {
    const { lastError } = this.#core
    return lastError?.message ?? String(this.#actor.getSnapshot().context.failure)
  }

  #send(event: Parameters<Actor<typeof supervisorMachine>['send']>[0]): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event)
  }

  #tell(): void {
    if (this.#watchers.size === 0) return
    const status = this.status()
    for (const watcher of this.#watchers) watcher(status)
  }
}

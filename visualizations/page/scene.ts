/** What the page shows, computed from the messages alone: so it can be stepped back by computing it again. */
import { type Party, type Step, stepHeard, stepProven, stepSaid } from '../../src/observe/exchange.js'
import { swapPhase } from '../../src/supervisor/outcome.js'
import { activeIds, type Chart, type ChartEdge, parseChart, takenEdge } from './statechart.js'

/** As they travel; see src/observe/inspection-messages.ts. */
export interface Message {
  readonly type: string
  readonly sessionId: string
  readonly createdAt: string
  readonly name?: string
  readonly parentId?: string
  readonly definition?: string
  readonly process?: { readonly role: string; readonly pid: number; readonly buildId: string }
  readonly snapshot?: {
    readonly value?: unknown
    readonly status?: string
    readonly tags?: unknown
    readonly context?: unknown
  }
  readonly event?: { readonly type: string; readonly [key: string]: unknown }
  readonly action?: { readonly type: string; readonly params?: unknown }
  readonly timers?: readonly Timer[]
  readonly sessionIds?: readonly string[]
}
export interface Timer {
  readonly event: string
  readonly delayMs: number
  readonly startedAt: number
}

export interface ActorView {
  readonly sessionId: string
  readonly chart: Chart
  readonly role: string
  readonly pid: number
  readonly buildId: string
  active: readonly string[]
  tags: readonly string[]
  /** Every state it has been in since it last rested, e.g. through one swap. */
  readonly visited: Set<string>
  timers: readonly Timer[]
  /** Transition taken last. */
  taken: ChartEdge | null
  lastEvent: string
  since: number
  /** Its process has ended, or it has run to its end. */
  over: boolean
}

export interface Said extends Step {
  readonly at: number
  /** Who accepted clients, and who held the lock, at this moment. */
  readonly accepting: Party | null
  readonly owner: Party | null
}

export interface SwapView {
  readonly sessionId: string
  readonly startedAt: number
  endedAt: number | null
  incumbentPid: number | null
  successorPid: number | null
  result: string | null
  phases: { name: string; from: number; to: number | null }[]
  said: Said[]
}

export interface Lamp {
  readonly id: string
  readonly title: string
  readonly says: string
  readonly state: 'good' | 'busy' | 'bad' | 'unknown'
}

/** Where a way ends and another begins. */
const RESTING: readonly string[] = ['incumbent.serving', 'supervisor.serving']

/** Swaps and messages that are kept. */
const MAX_SWAPS = 200
const MAX_SAID = 400

export class Scene {
  readonly actors = new Map<string, ActorView>()
  readonly swaps: SwapView[] = []
  now = 0
  /** Since when nobody accepts, Unix ms; null while somebody does. */
  gapSince: number | null = null
  longestGapMs = 0

  apply(message: Message): void {
    this.now = Math.max(this.now, Number(message.createdAt) || 0)
    if (message.type === '@xstate.actor') this.#meet(message)
    else if (message.type === '@handoff.gone') for (const id of message.sessionIds ?? []) this.#end(id)
    else this.#hear(message)
    this.#watchTheGap()
  }

  get swap(): SwapView | null {
    return this.swaps.at(-1) ?? null
  }

  get swapping(): boolean {
    return this.swap !== null && this.swap.endedAt === null
  }

  /** Living processes that serve. */
  accepting(): number[] {
    return this.#pids((actor) => actor.tags.includes('accepting'))
  }

  owners(): number[] {
    return this.#pids((actor) => actor.tags.includes('owner'))
  }

  /** The four that are worth a picture now. */
  cast(): {
    supervisor: ActorView | null
    swap: ActorView | null
    incumbent: ActorView | null
    successor: ActorView | null
  } {
    const all = [...this.actors.values()].reverse()
    const { swap } = this
    const newest = (id: string, wanted: (actor: ActorView) => boolean = () => true) =>
      all.find((actor) => actor.chart.id === id && wanted(actor)) ?? null
    const serving = newest('incumbent', (actor) => actor.tags.includes('accepting'))
    const inSwap =
      swap !== null && swap.endedAt === null ? newest('incumbent', ({ pid }) => pid === swap.incumbentPid) : null
    return {
      supervisor: newest('supervisor', ({ over }) => !over) ?? newest('supervisor'),
      swap: swap === null ? null : (this.actors.get(swap.sessionId) ?? null),
      incumbent: inSwap ?? serving ?? newest('incumbent'),
      successor: (swap && newest('successor', ({ pid }) => pid === swap.successorPid)) ?? newest('successor'),
    }
  }

  partyOf(pid: number | undefined): Party | null {
    if (pid === undefined || this.swap === null) return null
    return pid === this.swap.successorPid ? 'successor' : pid === this.swap.incumbentPid ? 'incumbent' : null
  }

  lamps(): Lamp[] {
    const owners = this.owners()
    const accepting = this.accepting()
    const supervisor = this.cast().supervisor
    // Somebody lives from whom the state could be known.
    const known = [...this.actors.values()].some(({ chart, over }) => chart.id === 'incumbent' && !over)
    const unknown = this.actors.size > 0 ? 'no program is alive' : 'unknown'
    const pids = (list: readonly number[]) => list.map((pid) => `pid ${pid}`).join(' and ')
    return [
      {
        id: 'INV-01',
        title: 'The lock',
        says: owners.length === 0 ? (known ? 'free: being passed on' : unknown) : `held by ${pids(owners)}`,
        state: !known ? 'unknown' : owners.length > 1 ? 'bad' : owners.length === 1 ? 'good' : 'busy',
      },
      {
        id: 'INV-04',
        title: 'Clients',
        says:
          accepting.length > 0
            ? `served by ${pids(accepting)}`
            : known
              ? 'wait in the kernel’s queue; none is refused'
              : unknown,
        state: !known ? 'unknown' : accepting.length > 1 ? 'bad' : accepting.length === 1 ? 'good' : 'busy',
      },
      {
        id: 'INV-09',
        title: 'Control path',
        says: accepting.length > 0 ? `leads to ${pids(accepting)}` : known ? 'nobody answers at this moment' : unknown,
        state: !known ? 'unknown' : accepting.length === 1 ? 'good' : 'busy',
      },
      {
        id: 'INV-07',
        title: 'Supervisor',
        says:
          supervisor === null
            ? 'none was seen'
            : supervisor.over
              ? 'gone; service goes on without it'
              : `watches, pid ${supervisor.pid}`,
        state: supervisor === null ? 'unknown' : supervisor.over ? 'busy' : 'good',
      },
      this.#outcomeLamp(accepting),
    ]
  }

  #outcomeLamp(accepting: readonly number[]): Lamp {
    const last = this.swap
    const about = { id: 'INV-12', title: 'Last outcome' }
    if (last === null) return { ...about, says: 'no swap yet', state: 'unknown' }
    if (last.result === null)
      return { ...about, says: last.endedAt === null ? 'under way' : 'not told: its supervisor ended', state: 'busy' }
    const due =
      last.result === 'committed' ? last.successorPid : last.result === 'rolledBack' ? last.incumbentPid : null
    const says = { committed: 'committed: the new program serves', rolledBack: 'rolled back: the old program serves' }[
      last.result
    ]
    const isTrue = due === null || accepting.length === 0 || accepting.includes(due)
    return { ...about, says: says ?? 'nobody serves', state: due === null ? 'bad' : isTrue ? 'good' : 'busy' }
  }

  #meet(message: Message): void {
    const chart = parseChart(message.definition ?? '{}')
    if (chart === null) return
    const [role = chart.id, pid = '0'] = message.sessionId.split('-')
    const view: ActorView = {
      sessionId: message.sessionId,
      chart,
      role: message.process?.role ?? role,
      pid: message.process?.pid ?? Number(pid),
      buildId: message.process?.buildId ?? '',
      active: [],
      tags: [],
      visited: new Set(),
      timers: [],
      taken: null,
      lastEvent: '',
      since: this.now,
      over: false,
    }
    // Told again to a viewer that came late: the same actor, not another one.
    this.actors.delete(message.sessionId)
    this.actors.set(message.sessionId, view)
    if (message.snapshot?.value !== undefined) this.#show(view, message)
    if (chart.id !== 'swap' || this.swaps.some(({ sessionId }) => sessionId === message.sessionId)) return
    this.swaps.push({
      sessionId: message.sessionId,
      startedAt: Number(message.createdAt),
      endedAt: null,
      incumbentPid: null,
      successorPid: null,
      result: null,
      phases: [],
      said: [],
    })
    if (this.swaps.length > MAX_SWAPS) this.swaps.shift()
  }

  #hear(message: Message): void {
    const actor = this.actors.get(message.sessionId)
    if (actor === undefined) return
    const swap = this.swaps.find(({ sessionId }) => sessionId === message.sessionId)
    if (swap !== undefined) this.#followSwap(swap, message)
    if (message.type === '@xstate.snapshot') this.#show(actor, message)
  }

  #show(actor: ActorView, message: Message): void {
    const active = activeIds(actor.chart.id, message.snapshot?.value)
    const type = message.event?.type ?? ''
    if (active.join() !== actor.active.join()) {
      actor.taken = takenEdge(actor.chart, actor.active, active, type)
      actor.since = Number(message.createdAt)
      actor.lastEvent = type
      if (RESTING.some((id) => active.includes(id)) && !actor.active.some((id) => RESTING.includes(id)))
        actor.visited.clear()
      for (const id of active) actor.visited.add(id)
    }
    actor.active = active
    actor.tags = [...new Set(active.flatMap((id) => actor.chart.nodes.get(id)?.tags ?? []))]
    actor.timers = message.timers ?? []
    // A successor that is live goes on as the incumbent machine of its process.
    actor.over = message.snapshot?.status !== 'active' && message.snapshot?.status !== undefined
  }

  #followSwap(swap: SwapView, message: Message): void {
    const at = Number(message.createdAt)
    const { event, action, snapshot } = message
    if (message.type === '@xstate.event' && event !== undefined) {
      if (event.type === 'xstate.init') swap.incumbentPid = field(event.input, 'incumbentPid') ?? swap.incumbentPid
      if (event.type === 'xstate.done.actor.spawnSuccessor')
        swap.successorPid = field(event.output, 'pid') ?? swap.successorPid
      if (event.type === 'xstate.done.actor.confirmServing') {
        const undoing = this.actors.get(swap.sessionId)?.active.includes('swap.undoing') === true
        this.#say(swap, at, stepProven(undoing ? 'incumbent' : 'successor'))
      } else this.#say(swap, at, stepHeard(event))
    } else if (action !== undefined) this.#say(swap, at, stepSaid(action.type, action.params))
    else if (message.type === '@xstate.snapshot' && snapshot !== undefined) {
      swap.incumbentPid = field(snapshot.context, 'incumbentPid') ?? swap.incumbentPid
      swap.successorPid = field(snapshot.context, 'successorPid') ?? swap.successorPid
      const over = snapshot.status !== undefined && snapshot.status !== 'active'
      if (over && typeof snapshot.value === 'string') swap.result = snapshot.value
      this.#enterPhase(swap, at, over ? null : swapPhase(snapshot.value as never))
      if (over) swap.endedAt = at
    }
  }

  #say(swap: SwapView, at: number, step: Step | null): void {
    if (step === null || swap.said.length >= MAX_SAID) return
    const [accepting] = this.accepting()
    const [owner] = this.owners()
    swap.said.push({ ...step, at, accepting: this.partyOf(accepting), owner: this.partyOf(owner) })
  }

  #enterPhase(swap: SwapView, at: number, name: string | null): void {
    const last = swap.phases.at(-1)
    if (last?.name === name) return
    if (last !== undefined) last.to = at
    if (name !== null) swap.phases.push({ name, from: at, to: null })
  }

  #end(sessionId: string): void {
    const actor = this.actors.get(sessionId)
    if (actor === undefined) return
    actor.over = true
    actor.timers = []
    actor.tags = []
    const swap = this.swaps.find((one) => one.sessionId === sessionId)
    if (swap === undefined || swap.endedAt !== null) return
    this.#enterPhase(swap, this.now, null)
    swap.endedAt = this.now
  }

  #watchTheGap(): void {
    const someone = [...this.actors.values()].some(({ chart, over }) => chart.id === 'incumbent' && !over)
    const serves = this.accepting().length > 0
    if (serves && this.gapSince !== null) {
      this.longestGapMs = Math.max(this.longestGapMs, this.now - this.gapSince)
      this.gapSince = null
    } else if (!serves && someone && this.swapping) this.gapSince ??= this.now
  }

  #pids(wanted: (actor: ActorView) => boolean): number[] {
    // A successor that is live has ended as a machine and owns as a process until its next machine speaks.
    const found = [...this.actors.values()].filter(
      (actor) => wanted(actor) && (!actor.over || actor.tags.includes('live')) && !this.#hasEnded(actor),
    )
    return [...new Set(found.map(({ pid }) => pid))]
  }

  #hasEnded(actor: ActorView): boolean {
    if (!actor.tags.includes('live')) return false
    const next = [...this.actors.values()].find(({ chart, pid }) => chart.id === 'incumbent' && pid === actor.pid)
    return next !== undefined && next.active.length > 0
  }
}

function field(value: unknown, name: string): number | null {
  const found = (value as Record<string, unknown> | null | undefined)?.[name]
  return typeof found === 'number' && found > 0 ? found : null
}

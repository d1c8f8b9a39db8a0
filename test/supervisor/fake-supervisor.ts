/** A supervisor without processes: the test decides what happens and when. */
import type {
  RehearsalReport,
  Supervisor,
  SupervisorOptions,
  SupervisorStatus,
  SwapOutcome,
  SwapSpec,
} from '../../src/supervisor/types.js'

export const HANDOFF_ID = '00112233-4455-4677-8899-aabbccddeeff'

export const committed: SwapOutcome = {
  handoffId: HANDOFF_ID,
  result: 'committed',
  code: null,
  reason: null,
  phases: [
    { name: 'negotiating', ms: 3.14 },
    { name: 'draining', ms: 1200 },
  ],
  totalMs: 1203.14,
  incumbent: { pid: 4388, buildId: 'v2' },
  previous: { pid: 4211, buildId: 'v1' },
}

export const rolledBack: SwapOutcome = {
  ...committed,
  result: 'rolledBack',
  code: 'ERR_HANDOFF_SUCCESSOR_EXITED',
  reason: 'the successor exited before it was ready',
  incumbent: { pid: 4211, buildId: 'v1' },
}

export const nobodyServes: SwapOutcome = {
  ...rolledBack,
  result: 'nobodyServes',
  code: 'ERR_HANDOFF_OPEN_FAILED',
  reason: 'the state could not be opened',
  incumbent: null,
}

export const rehearsed: RehearsalReport = {
  passed: true,
  code: null,
  reason: null,
  binary: '/opt/kv/v2',
  process: { pid: 4388, buildId: 'v2' },
  helloMs: 212.5,
  totalMs: 230,
  memory: { rss: 61_000_000, peak: 64_500_000 },
  endedBy: 'Abort',
  exit: { code: 77, signal: null },
  inherits: [{ name: 'http', address: '127.0.0.1:8080' }],
}

export class FakeSupervisor implements Supervisor {
  readonly swaps: SwapSpec[] = []
  readonly rehearsals: SwapSpec[] = []
  rehearsal: () => Promise<RehearsalReport> = async () => rehearsed
  started = false
  stops = 0
  leaves = 0
  readonly reconfigured: SupervisorOptions[] = []
  /** What `reconfigure` says cannot change. */
  fixed: readonly string[] = []
  startResult: Promise<void> = Promise.resolve()
  current: SupervisorStatus = {
    state: 'serving',
    pid: 4000,
    since: '2026-01-02T03:04:05.000Z',
    incumbent: { pid: 4211, buildId: 'v1', generation: 7, since: '2026-01-02T03:04:06.000Z' },
    swap: null,
    lastSwap: null,
    listeners: [{ name: 'http', address: '127.0.0.1:8080', queued: 3, backlog: 4096 }],
    restarts: 1,
  }
  readonly #listeners = new Set<(status: SupervisorStatus) => void>()
  #settle: { resolve(outcome: SwapOutcome): void; reject(error: Error): void } | null = null
  #onSwap: (() => void) | null = null

  start(): Promise<void> {
    this.started = true
    return this.startResult
  }

  swap(spec: SwapSpec = {}): Promise<SwapOutcome> {
    this.swaps.push(spec)
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      this.phase('negotiating', 0)
      this.#onSwap?.()
    })
  }

  rehearse(spec: SwapSpec = {}): Promise<RehearsalReport> {
    this.rehearsals.push(spec)
    return this.rehearsal()
  }

  status(): SupervisorStatus {
    return this.current
  }

  async stop(): Promise<void> {
    this.stops += 1
    this.#settle?.resolve(rolledBack)
  }

  async leave(): Promise<void> {
    this.leaves += 1
    this.#settle?.resolve(rolledBack)
  }

  reconfigure(options: SupervisorOptions): readonly string[] {
    this.reconfigured.push(options)
    return this.fixed
  }

  subscribe(listener: (status: SupervisorStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // What follows is for the test.

  get subscribers(): number {
    return this.#listeners.size
  }

  swapAsked(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSwap = resolve
    })
  }

  phase(phase: string, elapsedMs: number, parked?: number): void {
    const held = parked === undefined ? {} : { parked }
    this.#update({ swap: { handoffId: HANDOFF_ID, phase, elapsedMs, budgetMs: 60_000, ...held } })
  }

  finish(outcome: SwapOutcome): void {
    this.#update({ swap: null, lastSwap: outcome })
    this.#settle?.resolve(outcome)
  }

  fail(error: Error): void {
    this.#update({ swap: null })
    this.#settle?.reject(error)
  }

  #update(change: Partial<SupervisorStatus>): void {
    this.current = { ...this.current, ...change }
    for (const listener of this.#listeners) listener(this.current)
  }
}

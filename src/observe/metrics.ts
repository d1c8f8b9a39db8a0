/**
 * A supervisor as Prometheus metrics, from its status alone. The first eight names are those of the wire specification;
 * dashboards rely on them. In a registry of their own, or in the one that is given.
 */
import { readFileSync } from 'node:fs'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Supervisor, SupervisorStatus, SwapOutcome } from '../supervisor/types.js'

/** Buckets, s: a swap's phases last from half a millisecond to the deadline. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** Phases in which the incumbent accepts no more and nobody else does yet; what `handoff_stall_seconds` adds up. */
const STALLED = ['drain', 'seal', 'open', 'verify', 'undo']

export interface SupervisorMetrics {
  readonly registry: Registry
  /** Ends the subscription; the metrics stay as they are. */
  close(): void
}

export function supervisorMetrics(
  supervisor: Pick<Supervisor, 'status' | 'subscribe'>,
  registry: Registry = new Registry(),
): SupervisorMetrics {
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = (name: string, help: string) => new Histogram({ name, help, buckets: BUCKETS, registers })
  const swaps = counter('handoff_handoffs_total', 'Swaps that ended, however they ended.')
  const failures = counter('handoff_failures_total', 'Swaps that did not commit, by the phase and the reason.', [
    'phase',
    'code',
  ])
  const rolledBack = counter('handoff_rolled_back_total', 'Swaps after which the incumbent served on.')
  const sealFailures = counter('handoff_seal_failures_total', 'Swaps in which the incumbent could not seal.')
  const whole = histogram('handoff_duration_seconds', 'A whole swap, from the request to the verdict.')
  const byPhase = {
    drain: histogram('handoff_drain_seconds', 'From PrepareHandoff to Drained.'),
    seal: histogram('handoff_seal_seconds', 'From SealRequest to SealComplete.'),
    open: histogram('handoff_begin_to_ready_seconds', 'From Begin to Ready.'),
  }
  const stall = histogram(
    'handoff_stall_seconds',
    'From PrepareHandoff until a process was proven to accept again; clients wait meanwhile.',
  )

  const note = (outcome: SwapOutcome): void => {
    const seconds = (name: string) =>
      outcome.phases.filter((phase) => phase.name === name).reduce((sum, { ms }) => sum + ms / 1000, 0)
    swaps.inc()
    whole.observe(outcome.totalMs / 1000)
    for (const [name, metric] of Object.entries(byPhase)) {
      if (outcome.phases.some((phase) => phase.name === name)) metric.observe(seconds(name))
    }
    if (outcome.phases.some(({ name }) => name === 'drain'))
      stall.observe(STALLED.reduce((sum, name) => sum + seconds(name), 0))
    if (outcome.result === 'rolledBack') rolledBack.inc()
    if (outcome.code === 'ERR_HANDOFF_SEAL_FAILED') sealFailures.inc()
    if (outcome.result !== 'committed') failures.inc({ phase: failedPhase(outcome), code: outcome.code ?? 'unknown' })
  }

  let told = supervisor.status().lastSwap?.handoffId ?? null
  const unsubscribe = supervisor.subscribe(({ lastSwap }) => {
    if (lastSwap === null || lastSwap.handoffId === told) return
    told = lastSwap.handoffId
    note(lastSwap)
  })
  gauges(() => supervisor.status(), registers)
  return { registry, close: unsubscribe }
}

/** Asked when somebody scrapes, never in between. */
function gauges(status: () => SupervisorStatus, registers: Registry[]): void {
  const gauge = (name: string, help: string, value: (status: SupervisorStatus) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(status()))
      },
    })
  gauge('handoff_serving', '1 while a process is known to serve.', ({ incumbent }) => Number(incumbent !== null))
  gauge('handoff_generation', 'Counts the processes that came to serve.', ({ incumbent }) => incumbent?.generation ?? 0)
  gauge('handoff_swapping', '1 while a swap is under way.', ({ swap }) => Number(swap !== null))
  gauge('handoff_in_probation', '1 while a new process serves on probation.', ({ swap }) =>
    Number(swap?.phase === 'probation'),
  )
  gauge(
    'handoff_parked_connections',
    'Connections that the incumbent held open when it had drained, while the verdict of the swap is not known.',
    ({ swap }) => swap?.parked ?? 0,
  )
  gauge(
    'handoff_restarts',
    'Starts of a process that had died, since this supervisor began.',
    ({ restarts }) => restarts,
  )
  gauge(
    'handoff_accept_queue_overflows',
    'ListenOverflows of this network namespace: connections the kernel turned away.',
    listenOverflows,
  )
  for (const [name, help, of] of [
    ['handoff_listener_queue', 'Connections that wait to be accepted.', 'queued'],
    ['handoff_listener_backlog', 'Connections that may wait.', 'backlog'],
  ] as const) {
    new Gauge({
      name,
      help,
      labelNames: ['listener'],
      registers,
      collect() {
        for (const listener of status().listeners) this.set({ listener: listener.name }, listener[of] ?? 0)
      },
    })
  }
}

/** The last phase that was not the way back. */
const failedPhase = ({ phases }: SwapOutcome): string =>
  phases.findLast(({ name }) => name !== 'undo' && name !== 'verdict')?.name ?? 'unknown'

export function listenOverflows(): number {
  try {
    const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'utf8').split('\n')
    const at = names.split(' ').indexOf('ListenOverflows')
    return at === -1 ? 0 : Number(values.split(' ')[at])
  } catch {
    return 0 // a kernel that does not tell
  }
}

/**
 * What operators can know: one report per thing that happened, with a bounded set of words for stage and reason, and
 * counters over them (W15). Where reports go is the embedder's business: a log, a metrics library, a test.
 */
import type { Failure, OfferFault, Reason, Stage } from '../../machines/broker/outcomes.js'
import type { RefusalName } from '../../machines/broker/protocol.js'

export type BrokerReport =
  | { readonly kind: 'hello'; readonly service: string; readonly pid: number; readonly handoff: boolean }
  | { readonly kind: 'refused'; readonly code: RefusalName; readonly reason: string; readonly pid: number }
  /** A peer of a foreign user: closed without reading or writing a byte. */
  | { readonly kind: 'peerRejected'; readonly uid: number; readonly pid: number }
  | { readonly kind: 'adopted'; readonly service: string; readonly connectionId: bigint; readonly ms: number }
  /** The client reconnects by itself and notices nothing. */
  | {
      readonly kind: 'fellBack'
      readonly service: string
      readonly connectionId: bigint
      readonly stage: Stage
      readonly reason: Reason
      readonly ms: number
      readonly error?: unknown
    }
  /** An exchange that ended before there was anything to hand off. */
  | { readonly kind: 'ended'; readonly failure: Failure }
  | { readonly kind: 'breaker'; readonly endpoint: string; readonly open: boolean }
  /** accept(2) found no descriptors. */
  | { readonly kind: 'starved'; readonly error: unknown }
  | { readonly kind: 'fault'; readonly where: string; readonly error: unknown }

export type BackendReport =
  | { readonly kind: 'adopted'; readonly service: string; readonly correlationId: bigint; readonly ms: number }
  | { readonly kind: 'dropped'; readonly fault: OfferFault; readonly detail: string; readonly ms: number }
  | { readonly kind: 'peerRejected'; readonly uid: number; readonly pid: number }
  | { readonly kind: 'starved'; readonly error: unknown }
  | { readonly kind: 'fault'; readonly where: string; readonly error: unknown }

export type Observe<R> = (report: R) => void

/** Counts by name and label. The number of labels is bounded by the sets above. */
export class Counters {
  readonly #counts = new Map<string, number>()

  count(name: string, label = '') {
    const key = `${name}\t${label}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** `{ 'adopted': 12, 'fellBack{stage=ack,reason=timeout}': 3 }` */
  toJSON(): Readonly<Record<string, number>> {
    const entries = [...this.#counts].map(([key, count]) => {
      const [name, label] = key.split('\t') as [string, string]
      return [label === '' ? name : `${name}{${label}}`, count] as const
    })
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** OpenMetrics text, as the admin verb answers it. */
  toOpenMetrics(prefix: string): string {
    const names = new Map<string, string[]>()
    for (const [key, count] of [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const [name, label] = key.split('\t') as [string, string]
      const metric = `${prefix}_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`
      const labels = label.replace(/(\w+)=([^,]*)/g, '$1="$2"')
      const lines = names.get(metric) ?? []
      lines.push(`${metric}_total${labels === '' ? '' : `{${labels}}`} ${count}`)
      names.set(metric, lines)
    }
    const blocks = [...names].map(([metric, lines]) => `# TYPE ${metric} counter\n${lines.join('\n')}\n`)
    return `${blocks.join('')}# EOF\n`
  }
}

export function countBrokerReport(counters: Counters, report: BrokerReport) {
  switch (report.kind) {
    case 'hello':
      return counters.count('hello', `handoff=${report.handoff}`)
    case 'refused':
      return counters.count('refused', `code=${report.code}`)
    case 'fellBack':
      return counters.count('fellBack', `stage=${report.stage},reason=${report.reason}`)
    case 'ended':
      return counters.count('ended', `stage=${report.failure.stage},reason=${report.failure.reason}`)
    case 'breaker':
      return counters.count('breaker', `open=${report.open}`)
    default:
      return counters.count(report.kind)
  }
}

export function countBackendReport(counters: Counters, report: BackendReport) {
  if (report.kind === 'dropped') counters.count('dropped', `fault=${report.fault}`)
  else counters.count(report.kind)
}

/** An observer that throws must not take a connection down with it. */
export function observeSafely<R>(observe: Observe<R> | undefined): Observe<R> {
  if (observe === undefined) return () => {}
  return (report) => {
    try {
      observe(report)
    } catch (error) {
      process.emitWarning(`a broker observer threw: ${String(error)}`, 'HandoffObserverWarning')
    }
  }
}

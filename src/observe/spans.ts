/**
 * Swaps as OpenTelemetry spans: one for the swap, one below it for each phase. Written when a swap has ended, from its
 * outcome alone, so that nothing of this stands in the gap. `@opentelemetry/api` is loaded only when it is asked for and
 * not given; without an SDK behind it that API does nothing.
 */
import type { Logger } from './log.js'

interface Program {
  readonly pid: number
  readonly buildId: string
}

/** What is told of a swap that has ended; a supervisor's outcome fits. Phases and whole in ms. */
export interface EndedSwap {
  readonly handoffId: string
  readonly result: string
  readonly code: string | null
  readonly reason: string | null
  readonly totalMs: number
  readonly phases: readonly { readonly name: string; readonly ms: number }[]
  readonly incumbent: Program | null
  readonly previous: Program | null
}

/** Called with each status of a supervisor. */
export type SpanWriter = (status: { readonly lastSwap: EndedSwap | null }) => void

interface Span {
  setStatus(status: { code: number; message?: string }): unknown
  end(endTime?: number): void
}
interface SpanOptions {
  readonly startTime: number
  readonly attributes: Readonly<Record<string, string | number>>
}

/** What is used of `@opentelemetry/api`; its namespace fits. */
export interface OpenTelemetryApi<Context = unknown> {
  readonly trace: {
    getTracer(name: string): { startSpan(name: string, options: SpanOptions, context: Context): Span }
    setSpan(context: Context, span: Span): Context
  }
  readonly ROOT_CONTEXT: Context
  readonly SpanStatusCode: { readonly OK: number; readonly ERROR: number }
}

/** `true`: load it. */
// biome-ignore lint/suspicious/noExplicitAny: the context of a given API is its own business
export type SpansOption = boolean | OpenTelemetryApi<any>

/** Asks for spans where no option says otherwise: `1`. */
export const SPANS_ENV = 'HANDOFF_SPANS'

/** @returns what follows a supervisor's status; null when nobody asked for spans */
export function spanWriter(option: SpansOption | undefined, log: Logger): SpanWriter | null {
  const asked = option ?? process.env[SPANS_ENV] === '1'
  if (asked === false) return null
  const api = (asked === true ? load() : Promise.resolve(asked)).catch((err: unknown) => {
    log.warn({ err }, 'spans were asked for, but @opentelemetry/api cannot be loaded; none are written')
    return null
  })
  let told: string | null = null
  return ({ lastSwap }) => {
    if (lastSwap === null || lastSwap.handoffId === told) return
    told = lastSwap.handoffId
    const endedAt = Date.now()
    void api.then((loaded) => loaded && writeSpans(loaded, lastSwap, endedAt))
  }
}

const load = async (): Promise<OpenTelemetryApi> => (await import('@opentelemetry/api')) as unknown as OpenTelemetryApi

function writeSpans(api: OpenTelemetryApi, outcome: EndedSwap, endedAt: number): void {
  const { trace, ROOT_CONTEXT, SpanStatusCode } = api
  const tracer = trace.getTracer('handoff-machines')
  let at = endedAt - outcome.totalMs
  const swap = tracer.startSpan('handoff.swap', { startTime: at, attributes: attributesOf(outcome) }, ROOT_CONTEXT)
  const within = trace.setSpan(ROOT_CONTEXT, swap)
  for (const { name, ms } of outcome.phases) {
    const attributes = { 'handoff.id': outcome.handoffId }
    const phase = tracer.startSpan(`handoff.${name}`, { startTime: at, attributes }, within)
    at += ms
    phase.end(at)
  }
  swap.setStatus(
    outcome.result === 'committed'
      ? { code: SpanStatusCode.OK }
      : { code: SpanStatusCode.ERROR, message: outcome.reason ?? outcome.code ?? outcome.result },
  )
  swap.end(endedAt)
}

const attributesOf = ({ handoffId, result, code, incumbent, previous }: EndedSwap) => ({
  'handoff.id': handoffId,
  'handoff.result': result,
  ...(code === null ? {} : { 'handoff.code': code }),
  ...(incumbent === null ? {} : { 'handoff.pid': incumbent.pid, 'handoff.build': incumbent.buildId }),
  ...(previous === null ? {} : { 'handoff.previous.pid': previous.pid, 'handoff.previous.build': previous.buildId }),
})

/** The result of a run: as data for `--json`, as a table for people. */
import { KIND_LABELS, type Step, type SwapKind } from './schedule.js'
import { percentile } from './stall.js'
import { MUST_BE_ZERO, MUST_MOVE, type Tally } from './tally.js'

const JUDGED = [...MUST_BE_ZERO, ...MUST_MOVE]

export interface StepResult extends Step {
  readonly result: 'committed' | 'rolledBack' | 'nobodyServes'
  readonly code: string | null
  readonly reason: string | null
  readonly totalMs: number
  readonly stallMs: number
  readonly pid: number | null
  /** What contradicts the schedule or the outcome that was reported; null when nothing does. */
  readonly wrong: string | null
}

export interface StallRow {
  readonly kind: SwapKind | 'none'
  readonly windows: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface DemoReport {
  readonly ok: boolean
  readonly seconds: number
  readonly committed: number
  readonly rolledBack: number
  readonly unexpected: number
  readonly clients: Tally
  readonly stalls: readonly StallRow[]
  readonly steps: readonly StepResult[]
}

/** @param quietStallsMs longest pause of each window without a swap: what the machine does by itself */
export function buildReport(
  steps: readonly StepResult[],
  quietStallsMs: readonly number[],
  clients: Tally,
  seconds: number,
): DemoReport {
  const unexpected = steps.filter((step) => step.wrong !== null).length
  const kinds = Object.keys(KIND_LABELS) as SwapKind[]
  return {
    ok: unexpected === 0 && clients.requests > 0 && JUDGED.every((counter) => clients[counter] === 0),
    seconds,
    committed: steps.filter(({ result }) => result === 'committed').length,
    rolledBack: steps.filter(({ result }) => result === 'rolledBack').length,
    unexpected,
    clients,
    stalls: [
      ...stallRows('none', quietStallsMs),
      ...kinds.flatMap((kind) =>
        stallRows(
          kind,
          steps.filter((step) => step.kind === kind).map(({ stallMs }) => stallMs),
        ),
      ),
    ],
    steps,
  }
}

function stallRows(kind: StallRow['kind'], samples: readonly number[]): StallRow[] {
  const at = (percent: number) => percentile(samples, percent) ?? 0
  return samples.length === 0 ? [] : [{ kind, windows: samples.length, p50Ms: at(50), p99Ms: at(99), maxMs: at(100) }]
}

export type Paint = (text: string, colour: 'good' | 'bad' | 'dim') => string

const ANSI = { good: 32, bad: 31, dim: 2 }
export const colours: Paint = (text, colour) => `\u001b[${ANSI[colour]}m${text}\u001b[0m`
export const noColours: Paint = (text) => text

export function formatStep(step: StepResult, position: string, paint: Paint): string {
  const verdict = paint(
    `${step.result === 'rolledBack' ? 'rolled back' : step.result}`.padEnd(12),
    step.wrong ? 'bad' : 'good',
  )
  const line = [
    position.padStart(7),
    KIND_LABELS[step.kind].padEnd(LABEL_WIDTH),
    verdict,
    milliseconds(step.totalMs),
    `  stall ${milliseconds(step.stallMs)}`,
    `  pid ${step.pid ?? 'none'}`,
  ].join(' ')
  return step.wrong ? `${line}\n${paint(`        ${step.wrong}`, 'bad')}` : line
}

export function formatReport(report: DemoReport, paint: Paint): string {
  const { clients } = report
  const mustBeZero = new Set<string>(JUDGED)
  const count = (label: string, counter: keyof Omit<Tally, 'reasons'>, note = '') => {
    const number = String(clients[counter]).padStart(COUNT_WIDTH)
    const judged = mustBeZero.has(counter) ? paint(number, clients[counter] === 0 ? 'good' : 'bad') : number
    return `  ${label.padEnd(LABEL_WIDTH)}${judged}${note && paint(`   ${note}`, 'dim')}`
  }
  const plain = (label: string, value: number, colour?: 'bad') => {
    const number = String(value).padStart(COUNT_WIDTH)
    return `  ${label.padEnd(LABEL_WIDTH)}${colour ? paint(number, colour) : number}`
  }
  return [
    '',
    `swaps under load, ${report.seconds.toFixed(1)} s`,
    plain('committed', report.committed),
    plain('rolled back', report.rolledBack),
    plain('ended otherwise than they should', report.unexpected, report.unexpected > 0 ? 'bad' : undefined),
    'clients',
    count('requests answered', 'requests'),
    count('refused', 'refused'),
    count('reset', 'reset'),
    count('failed', 'failed'),
    count('idle closed', 'idleClosed', 'met a keep-alive connection as it was closed; sent again'),
    count('reconnects', 'reconnects', 'keep-alive connections and WebSockets opened anew'),
    'writes',
    count('acknowledged', 'writesAcknowledged'),
    count('lost', 'writesLost'),
    count('duplicated', 'writesDuplicated'),
    count('revisions out of order', 'revisionsDisordered'),
    count('applied but never answered', 'writesUnanswered'),
    `stall${' '.repeat(LABEL_WIDTH - 3)}${['swaps', 'p50', 'p99', 'max'].map((head) => head.padStart(COUNT_WIDTH)).join(' ')}`,
    ...report.stalls.map(formatStall),
    ...Object.entries(clients.reasons).map(([reason, times]) => paint(`  ${times} × ${reason}`, 'bad')),
    report.ok ? paint('ok  the clients noticed nothing', 'good') : paint('FAILED', 'bad'),
  ].join('\n')
}

const LABEL_WIDTH = 36
const COUNT_WIDTH = 10

function formatStall({ kind, windows, p50Ms, p99Ms, maxMs }: StallRow): string {
  const label = kind === 'none' ? 'between the swaps' : KIND_LABELS[kind]
  const times = [p50Ms, p99Ms, maxMs].map(milliseconds).join(' ')
  return `  ${label.padEnd(LABEL_WIDTH)}${String(windows).padStart(COUNT_WIDTH)} ${times}`
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`.padStart(COUNT_WIDTH)
}

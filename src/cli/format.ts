/** Numbers and reports as a person reads them: aligned, units always. */
import type { SwapOutcome } from '../supervisor/types.js'
import { adviceFor } from './advice.js'

/** `0.42 ms`, `3.1 ms`, `412 ms`, `3.1 s`, `2 min 5 s`, `3 h 2 min`. */
export function duration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 99.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(seconds / 60)
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** `41.3 MB`, in units of 1000. */
export const bytes = (count: number): string => `${(count / 1e6).toFixed(1)} MB`

/** A round limit without needless digits: `60 s`, `1.5 s`, `250 ms`. */
export const limit = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`)

export type Row = readonly string[]

/** Columns padded to their widest cell, two spaces apart. */
export function table(rows: readonly Row[], indent = ''): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  return rows
    .map((row) => `${indent}${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
    .join('\n')
}

const TITLE = { committed: 'committed', rolledBack: 'rolled back', nobodyServes: 'nobody serves' } as const
const COLOUR = { committed: '32', rolledBack: '33', nobodyServes: '31;1' } as const

export const paint = (text: string, code: string, on: boolean): string => (on ? `\x1b[${code}m${text}\x1b[0m` : text)

/** The result of a swap: its phases, how it ended, who serves, and after a failure what to do. */
export function outcomeReport(outcome: SwapOutcome, colour: boolean): string {
  const { previous, incumbent, result } = outcome
  const rows: Row[] = outcome.phases.map(({ name, ms }) => [`  ${name}`, duration(ms)])
  rows.push([TITLE[result], duration(outcome.totalMs), whoServes(outcome)])
  const [last, ...phases] = table(rows).split('\n').reverse()
  const builds =
    result === 'committed'
      ? `${previous?.buildId ?? '(none)'} → ${incumbent?.buildId ?? '?'}`
      : (previous?.buildId ?? '')
  const lines = [`handoff  ${builds}`.trimEnd(), ...phases.reverse(), paint(last ?? '', COLOUR[result], colour)]
  if (outcome.connections !== undefined) lines.push(`  live ${connectionsLine(outcome.connections)}`)
  if (outcome.reason !== null)
    lines.push(`  why  ${outcome.reason}${outcome.code === null ? '' : ` (${outcome.code})`}`)
  if (outcome.code !== null) lines.push(`  do   ${adviceFor(outcome.code)}`)
  return `${lines.join('\n')}\n`
}

/** Why a live connection stays with the old program, as `handoff swap` says it. */
const STAYING: { readonly [reason: string]: string } = {
  awaitingAnswer: 'awaiting an answer',
  sendingAnswer: 'reading an answer slowly',
  requestArriving: 'in the middle of a request',
  handshaking: 'in the middle of a handshake',
  upgraded: 'upgraded',
  openStream: 'a stream of its own protocol',
  tls: 'encrypted',
  notOffered: 'not taken by the new program',
  moveFailed: 'the transfer broke off',
}

function connectionsLine({ moved, staying }: NonNullable<SwapOutcome['connections']>): string {
  const reasons = Object.entries(staying).filter(([, count]) => count > 0)
  const stayed = reasons.reduce((sum, [, count]) => sum + count, 0)
  const why = reasons.map(([reason, count]) => `${count} ${STAYING[reason] ?? reason}`).join(', ')
  return `${moved} connections moved${stayed === 0 ? '' : `, ${stayed} stayed with the old program: ${why}`}`
}

function whoServes({ result, previous, incumbent }: SwapOutcome): string {
  if (result === 'nobodyServes' || incumbent === null) return ''
  if (result === 'committed') return `pid ${previous?.pid ?? '(none)'} → ${incumbent.pid}`
  const isSame = previous === null || previous.pid === incumbent.pid
  return isSame ? `pid ${incumbent.pid} keeps serving` : `pid ${incumbent.pid} serves again in place of ${previous.pid}`
}

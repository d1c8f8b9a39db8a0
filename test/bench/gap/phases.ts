/** The gap of each swap out of the moments: from the incumbent's last accept to the successor's first, cut where a word travels. */
import type { Moment } from './line.js'

export interface Gap {
  /** All in µs. */
  readonly total: number
  readonly hops: number
  readonly supervisor: number
  readonly drain: number
  readonly seal: number
  readonly open: number
  readonly goLive: number
  /** CPU time of the three processes, each from its first word in the gap to its last: what a busy machine does not blur. */
  readonly cpu: number
}
export const PHASES = ['total', 'hops', 'supervisor', 'drain', 'seal', 'open', 'goLive', 'cpu'] as const

/** What the supervisor says and hears inside of the gap, in order, and what happens at the other ends meanwhile. */
const STEPS = [
  ['hops', 'in:Drained', 'supervisor'],
  ['supervisor', 'out:SealRequest', 'supervisor'],
  ['hops', 'in:SealRequest', 'primitive'],
  ['seal', 'out:SealComplete', 'primitive'],
  ['hops', 'in:SealComplete', 'supervisor'],
  ['supervisor', 'out:Begin', 'supervisor'],
  ['hops', 'in:Begin', 'primitive'],
  ['open', 'out:Ready', 'primitive'],
  ['hops', 'in:Ready', 'supervisor'],
  ['supervisor', 'out:Commit', 'supervisor'],
  ['hops', 'in:Commit', 'primitive'],
  ['goLive', 'started', 'primitive'],
] as const

/** A rehearsal says the same words, but never to the supervisor: what it hears and says tells the real ones apart. */
export function gapsOf(moments: readonly Moment[], supervisorPid: number): Gap[] {
  const gaps: Gap[] = []
  const next = (after: number, what: string, who: 'supervisor' | 'primitive'): number =>
    moments.findIndex((m, i) => i > after && m.what === what && (m.pid === supervisorPid) === (who === 'supervisor'))
  const last = (before: number, what: string): Moment | undefined =>
    moments.slice(0, before).findLast((m) => m.what === what && m.pid !== supervisorPid)
  let from = -1
  for (;;) {
    const heard = next(from, 'in:Drained', 'supervisor')
    if (heard === -1) return gaps
    const [stopped, drained] = [last(heard, 'stopped'), last(heard, 'out:Drained')]
    if (stopped === undefined || drained === undefined) throw new Error('a drain came without a last accept')
    const sums: Record<string, number> = { drain: (drained.at - stopped.at) / 1000 }
    let at = heard - 1
    let since = drained.at
    const first = new Map<number, Moment>([[stopped.pid, stopped]])
    const newest = new Map<number, Moment>([[drained.pid, drained]])
    for (const [phase, what, who] of STEPS) {
      at = next(at, what, who)
      const moment = moments[at]
      if (moment === undefined) throw new Error(`a gap ended before ${what}`)
      sums[phase] = (sums[phase] ?? 0) + (moment.at - since) / 1000
      since = moment.at
      if (!first.has(moment.pid)) first.set(moment.pid, moment)
      newest.set(moment.pid, moment)
    }
    let cpu = 0
    for (const [pid, { cpu: at }] of newest) cpu += at - (first.get(pid)?.cpu ?? at)
    gaps.push({ ...(sums as unknown as Gap), total: (since - stopped.at) / 1000, cpu })
    from = at
  }
}

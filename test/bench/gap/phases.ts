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
}
export const PHASES = ['total', 'hops', 'supervisor', 'drain', 'seal', 'open', 'goLive'] as const

/** Who says and hears what inside of the gap, in order; every second step is a hop over a socket. */
const STEPS = [
  ['drain', 'out:Drained'],
  ['hops', 'in:Drained'],
  ['supervisor', 'out:SealRequest'],
  ['hops', 'in:SealRequest'],
  ['seal', 'out:SealComplete'],
  ['hops', 'in:SealComplete'],
  ['supervisor', 'out:Begin'],
  ['hops', 'in:Begin'],
  ['open', 'out:Ready'],
  ['hops', 'in:Ready'],
  ['supervisor', 'out:Commit'],
  ['hops', 'in:Commit'],
  ['goLive', 'started'],
] as const

export function gapsOf(moments: readonly Moment[]): Gap[] {
  const gaps: Gap[] = []
  let from = 0
  for (;;) {
    const prepared = moments.findIndex(({ what }, i) => i >= from && what === 'in:PrepareHandoff')
    if (prepared === -1) return gaps
    const stopped = moments.findIndex(({ what }, i) => i >= prepared && what === 'stopped')
    const first = moments[stopped]
    if (first === undefined) return gaps
    const sums: Record<string, number> = {}
    let [at, last] = [stopped, first.at]
    for (const [phase, until] of STEPS) {
      at = moments.findIndex(({ what }, i) => i > at && what === until)
      const moment = moments[at]
      // The orderly stop at the end has a last accept and no first one.
      if (moment === undefined) return gaps
      sums[phase] = (sums[phase] ?? 0) + (moment.at - last) / 1000
      last = moment.at
    }
    gaps.push({ ...(sums as unknown as Gap), total: (last - first.at) / 1000 })
    from = at
  }
}

/** Past swaps, newest first: phases to scale, how each ended, how long nobody accepted. */
import type { SwapView } from '../scene.js'
import { html, ms } from './dom.js'

/** Phases in which clients wait. */
const GAP = new Set(['drain', 'seal', 'open', 'verify'])
const ENDS: Readonly<Record<string, string>> = {
  committed: 'committed',
  rolledBack: 'rolled back',
  nobodyServes: 'nobody serves',
}

export function timelineOf(
  swaps: readonly SwapView[],
  chosen: SwapView | null,
  now: number,
  choose: (swap: SwapView) => void,
): HTMLElement[] {
  if (swaps.length === 0) return [html('em', {}, 'none so far')]
  return [...swaps].reverse().map((swap) => {
    const total = Math.max(1, (swap.endedAt ?? now) - swap.startedAt)
    const bar = html('span', { class: 'bar' })
    for (const { name, from, to } of swap.phases) {
      const length = (to ?? now) - from
      const share = (100 * length) / total
      bar.append(
        html('i', {
          style: `width:${share}%`,
          'data-phase': name,
          'data-gap': GAP.has(name),
          title: `${name}: ${ms(length)}`,
        }),
      )
    }
    const phases = swap.phases.filter(({ to }) => to !== null)
    const longest = phases.reduce<{ name: string; length: number }>(
      (best, { name, from, to }) => ((to ?? 0) - from > best.length ? { name, length: (to ?? 0) - from } : best),
      { name: '', length: -1 },
    )
    const result = swap.result ?? (swap.endedAt === null ? 'running' : 'not told')
    const row = html(
      'button',
      { class: 'swap', 'aria-current': swap === chosen },
      html('em', {}, new Date(swap.startedAt).toLocaleTimeString()),
      html('span', { class: result }, ENDS[result] ?? result),
      bar,
      html('span', {}, ms(total)),
      html('em', {}, longest.length < 0 ? '' : `${longest.name} ${ms(longest.length)}`),
    )
    row.addEventListener('click', () => choose(swap))
    return row
  })
}

/** The messages of one swap, time downwards. The thick line: who serves clients; the thin one beside it: who holds the lock. */
import type { Party } from '../../../src/observe/exchange.js'
import type { Said, SwapView } from '../scene.js'
import { html, ms, svg } from './dom.js'

const LANES: readonly { readonly party: Party; readonly x: number; readonly name: string }[] = [
  { party: 'incumbent', x: 104, name: 'incumbent' },
  { party: 'supervisor', x: 240, name: 'supervisor' },
  { party: 'successor', x: 376, name: 'successor' },
]
const ROW = 27
const TOP = 46
const WIDTH = 440
const BAD = /ended|failed|Failed|^Abort$|SIGKILL|SIGTERM|broke|stopped|passed|cancelled/

export function sequenceOf(swap: SwapView | null): HTMLElement | SVGElement {
  if (swap === null)
    return html('p', { class: 'none' }, 'Nothing yet. Ask for a swap: ', html('kbd', {}, 'handoff swap'))
  const { said } = swap
  const height = TOP + said.length * ROW + 20
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-label': 'sequence of messages' })
  chart.append(
    svg(
      'defs',
      {},
      svg(
        'marker',
        {
          id: 'arrow',
          viewBox: '0 0 8 8',
          refX: 7,
          refY: 4,
          markerWidth: 8,
          markerHeight: 8,
          markerUnits: 'userSpaceOnUse',
          orient: 'auto',
        },
        svg('path', { d: 'M0 0L8 4L0 8z' }),
      ),
    ),
  )
  const pids: Partial<Record<Party, number | null>> = { incumbent: swap.incumbentPid, successor: swap.successorPid }
  for (const { party, x, name } of LANES) {
    chart.append(svg('text', { class: 'who', x, y: 14 }, name))
    const pid = pids[party]
    if (pid) chart.append(svg('text', { class: 'time', x, y: 27, 'text-anchor': 'middle' }, `pid ${pid}`))
  }
  for (const [i, one] of said.entries())
    chart.append(...lanesAt(one, said[i + 1], i), ...rowOf(one, swap, i, i === said.length - 1))
  return chart
}

const laneX = (party: Party): number => LANES.find((lane) => lane.party === party)?.x ?? 0
const rowY = (i: number): number => TOP + i * ROW + 14

function lanesAt(one: Said, next: Said | undefined, i: number): SVGElement[] {
  const [y1, y2] = [i === 0 ? TOP - 10 : rowY(i), next === undefined ? rowY(i) + 16 : rowY(i + 1)]
  return LANES.flatMap(({ party, x }) => {
    const lines = [svg('line', { class: `life${one.accepting === party ? ' serve' : ''}`, x1: x, x2: x, y1, y2 })]
    if (one.owner === party) lines.push(svg('line', { class: 'life own', x1: x - 7, x2: x - 7, y1, y2 }))
    return lines
  })
}

/** A successor that was told Commit lets go of its channel: so it should be. */
const isFarewell = ({ from, what }: Said, before: readonly Said[]): boolean =>
  what === 'connection ended' &&
  from === 'successor' &&
  before.some((said) => said.what === 'Commit' && said.to === 'successor')

function rowOf(one: Said, swap: SwapView, i: number, isLast: boolean): SVGElement[] {
  const y = rowY(i)
  const [x1, x2] = [laneX(one.from), laneX(one.to)]
  const what = one.what.replace(' on the control path', '')
  const bad = BAD.test(one.what) && !isFarewell(one, swap.said.slice(0, i)) ? ' bad' : ''
  const parts: SVGElement[] = []
  if (isLast && swap.endedAt === null)
    parts.push(svg('rect', { class: 'fresh', x: 0, y: y - 15, width: WIDTH, height: 21, rx: 4 }))
  parts.push(svg('text', { class: 'time', x: 4, y: y + 3 }, ms(one.at - swap.startedAt)))
  const isMessage = one.kind === 'message'
  if (isMessage) {
    const dx = Math.sign(x2 - x1) * 5
    parts.push(svg('line', { class: 'message', x1: x1 + dx, x2: x2 - dx, y1: y, y2: y }))
  }
  const at = isMessage
    ? (x1 + x2) / 2
    : one.from === 'supervisor'
      ? laneX(one.to === 'supervisor' ? 'supervisor' : one.to)
      : x1
  const label = svg(
    'text',
    { class: `label${isMessage ? '' : ' notice'}${bad}`, x: at, y: isMessage ? y - 4 : y + 3 },
    what,
  )
  if (!isMessage) {
    const width = what.length * 5.6 + 12
    parts.push(svg('rect', { x: at - width / 2, y: y - 9, width, height: 17, rx: 8, fill: 'var(--box)' }))
  }
  parts.push(label)
  return parts
}

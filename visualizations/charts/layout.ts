/** Places for everything in a chart: what goes well in the first column, the ways back and the ends beside it. */
import { arrowsOf, type Box, boxOf, isWithin, shortNames } from './boxes.js'
import type { Chart, ChartState } from './chart.js'
import { columnOf, type PlacedArrow, type PlacedBox } from './column.js'
import type { ChartSource } from './machines.js'

export interface Layout {
  readonly head: Box
  readonly boxes: readonly PlacedBox[]
  readonly arrows: readonly PlacedArrow[]
  readonly width: number
  readonly height: number
}

const GUTTER = 36

export async function layoutOf(chart: Chart, source: ChartSource): Promise<Layout> {
  const { children } = chart.root
  const named = source.beside.flat()
  const groups = [
    children.filter(({ name }) => !named.includes(name)),
    ...source.beside.map((names) => names.flatMap((name) => children.filter((state) => state.name === name))),
  ]
  const groupOf = (id: string) => groups.findIndex((states) => states.some((state) => isWithin(id, state.id)))
  const { arrows, told, from } = arrowsOf(chart, groupOf)
  const nameOf = shortNames(chart)
  const contentOf = (state: ChartState, title = state.name) =>
    boxOf(state, { title, causes: told.get(state.id) ?? [], from: from.get(state.id)?.map(nameOf) ?? [], nameOf })

  const head = contentOf(chart.root, `${chart.name}: ${chart.says}`)
  const boxes: PlacedBox[] = []
  const placed: PlacedArrow[] = []
  let [left, top, right, bottom] = [GUTTER / 2, head.height + 14, head.width, 0]
  for (const [index, states] of groups.entries()) {
    const mine = arrows.filter((arrow) => groupOf(arrow.from) === index)
    const column = await columnOf(states, mine, contentOf)
    const move = ([x, y]: readonly [number, number]) => [x + left, y + top] as const
    boxes.push(...column.boxes.map((box) => ({ ...box, x: box.x + left, y: box.y + top })))
    for (const { arrow, points, label } of column.arrows) {
      placed.push({ arrow, points: points.map(move), label: label === null ? null : move(label) })
    }
    right = Math.max(right, left + column.width)
    bottom = Math.max(bottom, top + column.height)
    if (index === 0) left = left + column.width + GUTTER
    else top += column.height + GUTTER
  }
  return { head, boxes, arrows: placed, width: right + GUTTER / 2, height: bottom }
}

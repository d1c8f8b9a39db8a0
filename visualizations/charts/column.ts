/** Places for the boxes and arrows of one column, top-down, by ELK's layered algorithm. */
import { createRequire } from 'node:module'
import type { ELK, ElkExtendedEdge, ElkNode } from 'elkjs/lib/elk-api.js'
import { type Arrow, type Box, isWithin, SIZE } from './boxes.js'
import type { ChartState } from './chart.js'
import { widthOf } from './text.js'

export interface PlacedBox {
  readonly state: ChartState
  readonly box: Box
  readonly depth: number
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

type Point = readonly [x: number, y: number]

export interface PlacedArrow {
  readonly arrow: Arrow
  readonly points: readonly Point[]
  /** Upper left corner of the label. */
  readonly label: Point | null
}

export interface Column {
  readonly boxes: readonly PlacedBox[]
  readonly arrows: readonly PlacedArrow[]
  readonly width: number
  readonly height: number
}

export const LABEL_LINE = 13

const OPTIONS = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.edgeCoords': 'ROOT',
  'elk.randomSeed': '1',
  'elk.spacing.nodeNode': '22',
  'elk.spacing.edgeNode': '14',
  'elk.spacing.edgeEdge': '10',
  'elk.spacing.edgeLabel': '4',
  'elk.layered.spacing.nodeNodeBetweenLayers': '26',
  'elk.layered.spacing.edgeNodeBetweenLayers': '12',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '10',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
  'elk.layered.nodePlacement.strategy': 'LINEAR_SEGMENTS',
  'elk.padding': '[top=0,left=0,bottom=0,right=0]',
}

/** Ids of edges that are no arrows. */
const HIDDEN = 'hidden'

export async function columnOf(
  states: readonly ChartState[],
  arrows: readonly Arrow[],
  boxOf: (state: ChartState) => Box,
): Promise<Column> {
  const known = states.flatMap(withChildren)
  const stateOf = (id: string) => known.find((state) => state.id === id) as ChartState
  /** Against the order in which the states are written: ELK gets it the other way round, so that it does not turn others. */
  const isUpward = ({ from, to }: Arrow) => known.indexOf(stateOf(to)) < known.indexOf(stateOf(from))

  const node = (state: ChartState): ElkNode => {
    const { width, height } = boxOf(state)
    if (state.children.length === 0) return { id: state.id, width, height }
    return {
      id: state.id,
      layoutOptions: {
        'elk.padding': `[top=${height + 12},left=14,bottom=14,right=14]`,
        'elk.nodeSize.constraints': 'MINIMUM_SIZE',
        // Layered works left to right and turns the result, but not this: height first.
        'elk.nodeSize.minimum': `(0,${width})`,
      },
      children: state.children.map(node),
    }
  }
  const edges = arrows.map((arrow, index): ElkExtendedEdge => {
    const ends = isUpward(arrow) ? [arrow.to, arrow.from] : [arrow.from, entrance(stateOf(arrow.to)).id]
    const [source = '', target = ''] = ends
    return { id: String(index), sources: [source], targets: [target], ...labelOf(arrow) }
  })
  const hidden = stacking(states, arrows).map(([source, target], index) => ({
    id: `${HIDDEN}${index}`,
    sources: [source],
    targets: [target],
  }))
  const graph: ElkNode = await elk().layout({
    id: 'column',
    layoutOptions: OPTIONS,
    children: states.map(node),
    edges: [...edges, ...hidden],
  })

  const boxes = states.flatMap((state, index) => placed(state, graph.children?.[index], 0, 0, 0, boxOf))
  return {
    boxes,
    arrows: arrows.map((arrow, index) => {
      const edge = graph.edges?.find(({ id }) => id === String(index))
      const points = pointsOf(edge)
      const label = edge?.labels?.[0]
      const end = boxes.find(({ state }) => state.id === arrow.to) as PlacedBox
      return {
        arrow,
        points: isUpward(arrow) ? points.reverse() : clipped(points, end),
        label: label === undefined ? null : [label.x ?? 0, label.y ?? 0],
      }
    }),
    width: graph.width ?? 0,
    height: graph.height ?? 0,
  }
}

const withChildren = (state: ChartState): ChartState[] => [state, ...state.children.flatMap(withChildren)]

/** An arrow to a box with others inside points at the one that is entered: so it comes straight down. */
const entrance = (state: ChartState): ChartState => {
  const first = state.children.find(({ isInitial }) => isInitial)
  return first === undefined ? state : entrance(first)
}

const labelOf = ({ lines }: Arrow): Pick<ElkExtendedEdge, 'labels'> => {
  if (lines.length === 0) return {}
  const width = Math.max(...lines.map((line) => widthOf(line, SIZE.cause))) + 6
  return { labels: [{ text: lines.join('\n'), width, height: lines.length * LABEL_LINE + 4 }] }
}

/** Boxes without arrows between them would stand side by side: pairs that put them one below the other. */
function stacking(siblings: readonly ChartState[], arrows: readonly Arrow[]): (readonly [string, string])[] {
  const isReached = ({ id }: ChartState) =>
    arrows.some(({ from, to }) => to === id || (isWithin(to, id) && !isWithin(from, id)))
  const alone = siblings.filter((state) => !state.isInitial && !isReached(state))
  const hasStart = siblings.some(({ isInitial }) => isInitial)
  const last = siblings.filter((state) => !alone.includes(state)).at(-1)
  const chain = hasStart && last !== undefined ? [last, ...alone] : alone
  return [
    ...chain.slice(1).map((state, index) => [chain[index]?.id ?? '', state.id] as const),
    ...siblings.flatMap(({ children }) => stacking(children, arrows)),
  ]
}

function placed(
  state: ChartState,
  node: ElkNode | undefined,
  x0: number,
  y0: number,
  depth: number,
  boxOf: (state: ChartState) => Box,
): PlacedBox[] {
  const { x = 0, y = 0, width = 0, height = 0 } = node ?? {}
  return [
    { state, box: boxOf(state), depth, x: x0 + x, y: y0 + y, width, height },
    ...state.children.flatMap((child, index) =>
      placed(child, node?.children?.[index], x0 + x, y0 + y, depth + 1, boxOf),
    ),
  ]
}

function pointsOf(edge: ElkExtendedEdge | undefined): Point[] {
  const section = edge?.sections?.[0]
  if (section === undefined) throw new Error(`no way was found for the arrow ${edge?.id}`)
  return [section.startPoint, ...(section.bendPoints ?? []), section.endPoint].map(({ x, y }) => [x, y] as const)
}

/** The way up to where it meets the box from above. */
function clipped(points: readonly Point[], { x, y, width, height }: PlacedBox): Point[] {
  const isInside = ([px, py]: Point) => px >= x && px <= x + width && py >= y && py <= y + height
  const first = points.findIndex((point, index) => index > 0 && isInside(point))
  if (first === -1) return [...points]
  return [...points.slice(0, first), [(points[first] as Point)[0], y]]
}

/** The bundle is CommonJS, whatever its typings promise. */
function elk(): ELK {
  const { default: Elk } = createRequire(import.meta.url)('elkjs/lib/elk.bundled.js') as { default: new () => ELK }
  return new Elk()
}

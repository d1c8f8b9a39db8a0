/** Where boxes and arrows go: ELK's layered layout, once for each machine. */
import Elk, { type ElkEdgeSection, type ElkNode } from 'elkjs/lib/elk.bundled.js'
import { type Chart, type ChartEdge, type ChartNode, isDrawnWhole } from '../statechart.js'
import { spelled } from '../words.js'

export interface Box {
  readonly id: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly label: string
  readonly group: boolean
}
export interface Arrow {
  readonly edge: ChartEdge
  readonly points: readonly { readonly x: number; readonly y: number }[]
}
export interface Layout {
  readonly width: number
  readonly height: number
  readonly boxes: readonly Box[]
  readonly arrows: readonly Arrow[]
}

const OPTIONS = {
  'elk.algorithm': 'layered',
  'elk.direction': 'RIGHT',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.layered.spacing.nodeNodeBetweenLayers': '26',
  'elk.spacing.nodeNode': '14',
  'elk.spacing.edgeNode': '9',
  'elk.spacing.edgeEdge': '5',
  'elk.layered.spacing.edgeNodeBetweenLayers': '9',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '5',
  'elk.aspectRatio': '2.2',
  'elk.layered.wrapping.strategy': 'MULTI_EDGE',
  'elk.json.edgeCoords': 'ROOT',
}

const done = new Map<string, Promise<Layout>>()
const elk = new Elk()

export function layoutOf(chart: Chart): Promise<Layout> {
  const key = JSON.stringify([...chart.nodes.keys(), ...chart.edges.map(({ source, target }) => `${source}>${target}`)])
  const known = done.get(key)
  if (known !== undefined) return known
  const made = place(chart)
  done.set(key, made)
  return made
}

/** The box a state is drawn in: an inner state that only restarts a clock shows as its parent. */
export function drawnAs(chart: Chart, id: string): string {
  const parent = chart.nodes.get(id)?.parent ?? null
  if (parent === null) return id
  const outer = drawnAs(chart, parent)
  if (outer !== parent) return outer
  const node = chart.nodes.get(parent)
  return node !== undefined && node.parent !== null && isDrawnWhole(node) ? parent : id
}

async function place(chart: Chart): Promise<Layout> {
  const root = chart.nodes.get(chart.id) as ChartNode
  const drawn = (id: string) => drawnAs(chart, id)
  const toElk = (id: string): ElkNode => {
    const node = chart.nodes.get(id) as ChartNode
    const label = spelled(node.key)
    const children = node.children.filter((child) => drawn(child) === child)
    if (children.length === 0) return { id, width: label.length * 6.8 + 22, height: 28, labels: [{ text: label }] }
    return {
      id,
      labels: [{ text: label }],
      children: children.map(toElk),
      layoutOptions: { 'elk.padding': '[top=26,left=12,bottom=12,right=12]' },
    }
  }
  const unique = new Map<string, ChartEdge>()
  for (const edge of chart.edges) {
    const [source, target] = [drawn(edge.source), drawn(edge.target)]
    if (source !== target && source !== chart.id) unique.set(`${source}>${target}`, { ...edge, source, target })
  }
  const edges = [...unique.values()]
  const placed: ElkNode = await elk.layout({
    id: '(page)',
    layoutOptions: OPTIONS,
    children: root.children.map(toElk),
    edges: edges.map((edge, i) => ({ id: `e${i}`, sources: [edge.source], targets: [edge.target] })),
  })
  const boxes: Box[] = []
  const walk = (node: ElkNode, dx: number, dy: number): void => {
    const [x, y] = [dx + (node.x ?? 0), dy + (node.y ?? 0)]
    const group = (node.children?.length ?? 0) > 0
    boxes.push({
      id: node.id,
      x,
      y,
      width: node.width ?? 0,
      height: node.height ?? 0,
      label: node.labels?.[0]?.text ?? '',
      group,
    })
    for (const child of node.children ?? []) walk(child, x, y)
  }
  for (const node of placed.children ?? []) walk(node, 0, 0)
  const arrows = (placed.edges ?? []).flatMap((one) => {
    const edge = edges[Number(one.id.slice(1))]
    const sections = (one as { sections?: ElkEdgeSection[] }).sections ?? []
    const points = sections.flatMap(({ startPoint, bendPoints, endPoint }) => [
      startPoint,
      ...(bendPoints ?? []),
      endPoint,
    ])
    return edge === undefined || points.length < 2 ? [] : [{ edge, points }]
  })
  return { width: placed.width ?? 100, height: placed.height ?? 100, boxes, arrows }
}

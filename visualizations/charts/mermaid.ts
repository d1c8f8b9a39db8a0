/** A chart as Mermaid: less is told in it, but it can be edited, searched and diffed as text. */
import { allStates } from './boxes.js'
import type { Cause, Chart, ChartState } from './chart.js'
import { FIRM } from './text.js'

const MARK = { on: '', back: '✗ ', order: '○ ', stay: '' } as const

export function mermaidOf(chart: Chart): string {
  const states = allStates(chart).filter(({ id }) => id !== chart.root.id)
  const back = states.filter(({ isBack, kind }) => isBack && kind !== 'compound').map(({ id }) => nodeId(id))
  return [
    `%% ${chart.name}: ${chart.says}`,
    '%% ✗ something went wrong, and the way back; ○ by order of a person',
    'stateDiagram-v2',
    'direction TB',
    ...chart.root.children.flatMap((state) => declaration(state, 0)),
    ...allStates(chart).flatMap((state) => state.causes.flatMap((cause) => arrow(state, cause, chart.root))),
    ...states.filter(({ kind }) => kind === 'final').map(({ id }) => `${nodeId(id)} --> [*]`),
    ...(back.length === 0 ? [] : ['classDef back stroke:#cf222e,stroke-dasharray:5 3', `class ${back.join(',')} back`]),
    '',
  ].join('\n')
}

const nodeId = (id: string): string => id.split('.').slice(1).join('_')

function declaration(state: ChartState, depth: number): string[] {
  const pad = '  '.repeat(depth)
  const id = nodeId(state.id)
  const does = [...state.entry, ...state.actors.map((actor) => `runs ${actor}`)].map(
    (text) => `${pad}${id} : ${plain(text)}`,
  )
  const start = state.isInitial ? [`${pad}[*] --> ${id}`] : []
  if (state.kind !== 'compound') return [`${pad}state "${state.name}" as ${id}`, ...does, ...start]
  const children = state.children.flatMap((child) => declaration(child, depth + 1))
  return [`${pad}state "${state.name}" as ${id} {`, ...children, `${pad}}`, ...start]
}

function arrow({ id }: ChartState, { manner, when, guard, effects, to }: Cause, root: ChartState): string[] {
  if (to === null || id === root.id) return []
  const what = [when, guard === '' ? '' : `[${guard}]`, effects.length === 0 ? '' : `/ ${effects.join(', ')}`]
  const label = plain(what.filter((part) => part !== '').join(' '))
  return [`${nodeId(id)} --> ${nodeId(to)}${label === '' ? '' : ` : ${MARK[manner]}${label}`}`]
}

/** Without the signs that Mermaid reads as its own. */
const plain = (text: string): string =>
  text
    .replaceAll(FIRM, ' ')
    .replace(/(\w+): ([\w, ()]+)/g, '$1 ($2)')
    .replaceAll(';', ',')
    .replace(/"/g, "'")

/** What a box says, line by line, with the place it takes. */
import type { Cause, Chart, ChartState, Manner } from './chart.js'
import { widthOf, wrap } from './text.js'

export interface Line {
  readonly text: string
  readonly style: 'name' | 'tags' | 'from' | 'does' | 'cause' | 'more'
  /** Of a cause's first line: how its mark is drawn. */
  readonly manner?: Manner
  readonly x: number
  /** Of the baseline, from the top of the box. */
  readonly y: number
}

export interface Box {
  readonly lines: readonly Line[]
  readonly width: number
  readonly height: number
}

/** An arrow between two boxes of the same group. Everything else is told inside the box it starts from. */
export interface Arrow {
  readonly from: string
  readonly to: string
  readonly manner: Manner
  readonly lines: readonly string[]
}

export const SIZE = { name: 13, tags: 10.5, from: 10.5, does: 10.5, cause: 11, more: 11 } as const
export const PADDING = 10
/** Before the name of an initial state: its dot. */
const DOT = 14
/** Where the text of a cause begins: its mark stands before it. */
const INDENT = 22
const WIDEST_LABEL = 150
const WIDEST = { atomic: 225, final: 200, compound: 290 } as const

export interface BoxContent {
  readonly title: string
  /** What is told inside the box instead of by arrows. */
  readonly causes: readonly Cause[]
  /** Names of the states that lead here without an arrow. */
  readonly from: readonly string[]
  readonly nameOf: (id: string) => string
}

export function boxOf(state: ChartState, { title, causes, from, nameOf }: BoxContent): Box {
  const widest = WIDEST[state.kind]
  const lines: Line[] = []
  let y = 6
  const add = (text: string, style: Line['style'], x: number, height: number, manner?: Manner) => {
    y += height
    lines.push({ text, style, x, y, ...(manner === undefined ? {} : { manner }) })
  }
  add(title, 'name', state.isInitial ? PADDING + DOT : PADDING, 13)
  if (state.tags.length > 0)
    for (const text of wrap(state.tags.join(' · '), SIZE.tags, widest)) add(text, 'tags', PADDING, 14)
  if (from.length > 0)
    for (const text of wrap(`from ${from.join(', ')}`, SIZE.from, widest)) add(text, 'from', PADDING, 14)
  const does = [
    ...state.entry.map((effect, index) => (index === 0 ? `entry: ${effect}` : effect)),
    ...state.actors.map((actor) => `runs ${actor}`),
    ...state.exit.map((effect, index) => (index === 0 ? `exit: ${effect}` : effect)),
  ]
  for (const text of does.flatMap((effect) => wrap(effect, SIZE.does, widest))) add(text, 'does', PADDING, 14)
  if (causes.length > 0) y += 5
  for (const cause of causes) {
    const [first = '', ...more] = wrap(causeText(cause, state, nameOf), SIZE.cause, widest - INDENT)
    add(first, 'cause', PADDING + INDENT, 15, cause.manner)
    for (const text of more) add(text, 'more', PADDING + INDENT, 14)
  }
  const width = Math.max(...lines.map(({ text, style, x }) => x + widthOf(text, SIZE[style], style === 'name')))
  return { lines, width: width + PADDING, height: y + 9 }
}

function causeText({ when, guard, effects, to }: Cause, state: ChartState, nameOf: (id: string) => string): string {
  const what = [when, guard === '' ? '' : `[${guard}]`, effects.length === 0 ? '' : `/ ${effects.join(', ')}`]
  const where = to === null ? '' : to === state.id ? '↺ again' : `→ ${nameOf(to)}`
  return [...what, where].filter((part) => part !== '').join(' ')
}

/** More arrows than this into one box are a tangle: they are told in the boxes they start from. */
const MOST_ARROWS = 2

/** Splits the causes of all states into arrows and lines of boxes. */
export function arrowsOf(chart: Chart, groupOf: (id: string) => number) {
  const states = allStates(chart)
  const isBack = (id: string) => states.some((state) => state.id === id && state.isBack)
  const isNear = (state: ChartState, { to, manner }: Cause) =>
    to !== null &&
    manner !== 'order' &&
    groupOf(to) === groupOf(state.id) &&
    !isWithin(to, state.id) &&
    !isWithin(state.id, to) &&
    (manner === 'on' || (state.isBack && isBack(to)))
  const near = states.flatMap((state) =>
    state.causes.filter((cause) => isNear(state, cause)).map((cause) => ({ state, cause })),
  )
  const isTangle = ({ to, manner }: Cause) =>
    manner === 'back' &&
    new Set(near.filter(({ cause }) => cause.to === to && cause.manner === 'back').map(({ state }) => state.id)).size >
      MOST_ARROWS
  const drawn = near.filter(({ cause }) => !isTangle(cause))

  const arrows: Arrow[] = []
  for (const { state, cause } of drawn) {
    const label = causeText({ ...cause, to: null }, state, String)
    const lines = label === '' ? [] : wrap(label, SIZE.cause, WIDEST_LABEL)
    const same = (arrow: Arrow) => arrow.from === state.id && arrow.to === cause.to && arrow.manner === cause.manner
    const at = arrows.findIndex(same)
    const earlier = arrows[at]
    if (earlier !== undefined) arrows[at] = { ...earlier, lines: [...earlier.lines, ...lines] }
    else arrows.push({ from: state.id, to: cause.to as string, manner: cause.manner, lines })
  }
  const isDrawn = (cause: Cause) => drawn.some((one) => one.cause === cause)
  const told = new Map(states.map(({ id, causes }) => [id, causes.filter((cause) => !isDrawn(cause))]))
  /** Who leads to a box that no arrow leads to. */
  const from = new Map(
    states.map(({ id, isInitial }) => {
      const isShown = isInitial || arrows.some(({ to }) => to === id)
      const sources = states.filter((state) => state.id !== id && told.get(state.id)?.some(({ to }) => to === id))
      const outermost = sources.filter(
        (state) => !sources.some((other) => other !== state && isWithin(state.id, other.id)),
      )
      return [id, isShown ? [] : outermost.map((state) => state.id)]
    }),
  )
  return { arrows, told, from }
}

export function allStates(chart: Chart): ChartState[] {
  const below = (state: ChartState): ChartState[] => [state, ...state.children.flatMap(below)]
  return below(chart.root)
}

export const isWithin = (id: string, outer: string): boolean => `${id}.`.startsWith(`${outer}.`)

/** The last part of an id, or the last two where that alone is not unique. */
export function shortNames(chart: Chart): (id: string) => string {
  const ids = allStates(chart).map(({ id }) => id)
  const last = (id: string, parts: number) => id.split('.').slice(-parts).join('.')
  return (id) => {
    if (id === chart.root.id) return 'any state'
    return ids.filter((other) => last(other, 1) === last(id, 1)).length === 1 ? last(id, 1) : last(id, 2)
  }
}

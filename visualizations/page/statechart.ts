/** A machine's config, as it travels to inspectors, turned into boxes and arrows. */

export interface ChartNode {
  /** `swap.attempting.draining`. */
  readonly id: string
  readonly key: string
  readonly parent: string | null
  readonly children: readonly string[]
  readonly initial: boolean
  readonly final: boolean
  readonly tags: readonly string[]
  /** Names of the actors that run while the state is active. */
  readonly invokes: readonly string[]
}

export interface ChartEdge {
  readonly source: string
  readonly target: string
  /** Events that take it, e.g. `incumbent.drained`, `after deadlineMs`, `sealed: drain`. */
  readonly events: readonly string[]
}

export interface Chart {
  readonly id: string
  readonly nodes: ReadonlyMap<string, ChartNode>
  readonly edges: readonly ChartEdge[]
}

interface Config {
  readonly id?: string
  readonly type?: string
  readonly initial?: string
  readonly tags?: readonly string[] | string
  readonly states?: Readonly<Record<string, Config>>
  readonly on?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly always?: unknown
  readonly invoke?: unknown
}

/** Null for an actor that is no machine, e.g. a promise. */
export function parseChart(definition: string): Chart | null {
  const config = JSON.parse(definition) as Config
  if (config.states === undefined) return null
  const root = config.id ?? 'machine'
  const nodes = new Map<string, ChartNode>()
  const arrows: { source: string; target: string; event: string }[] = []
  const visit = (state: Config, id: string, key: string, parent: string | null, initial: boolean): void => {
    const children = Object.keys(state.states ?? {}).map((child) => `${id}.${child}`)
    const invokes = list(state.invoke).map((one) => String((one as { id?: string; src?: string }).id ?? 'actor'))
    const tags = list(state.tags).map(String)
    nodes.set(id, { id, key, parent, children, initial, final: state.type === 'final', tags, invokes })
    const add = (event: string, transition: unknown): void => {
      for (const target of targetsOf(transition))
        arrows.push({ source: id, target: resolve(target, id, parent, root), event })
    }
    for (const [event, transition] of Object.entries(state.on ?? {})) add(event, transition)
    for (const [delay, transition] of Object.entries(state.after ?? {})) add(`after ${delay}`, transition)
    add('at once', state.always)
    for (const invoke of list(state.invoke) as { id?: string; onDone?: unknown; onError?: unknown }[]) {
      add(`${invoke.id} done`, invoke.onDone)
      add(`${invoke.id} failed`, invoke.onError)
    }
    for (const [child, inner] of Object.entries(state.states ?? {})) {
      visit(inner, `${id}.${child}`, child, id, state.initial === child)
    }
  }
  visit(config, root, root, null, false)
  return { id: root, nodes, edges: merge(arrows.filter(({ target }) => nodes.has(target))) }
}

const list = (value: unknown): unknown[] => (value === undefined ? [] : Array.isArray(value) ? value : [value])

function targetsOf(transition: unknown): string[] {
  return list(transition).flatMap((one) => {
    if (typeof one === 'string') return [one]
    return list((one as { target?: unknown } | null)?.target).filter((target) => typeof target === 'string')
  })
}

function resolve(target: string, id: string, parent: string | null, root: string): string {
  if (target.startsWith('#')) return target.slice(1)
  if (target.startsWith('.')) return `${id}${target}`
  return parent === null ? `${root}.${target}` : `${parent}.${target}`
}

function merge(arrows: readonly { source: string; target: string; event: string }[]): ChartEdge[] {
  const edges = new Map<string, { source: string; target: string; events: string[] }>()
  for (const { source, target, event } of arrows) {
    const edge = edges.get(`${source}>${target}`) ?? { source, target, events: [] }
    if (!edge.events.includes(event)) edge.events.push(event)
    edges.set(`${source}>${target}`, edge)
  }
  return [...edges.values()]
}

/** Ids of all active states, outermost first, of a snapshot's `value`. */
export function activeIds(root: string, value: unknown): string[] {
  if (typeof value === 'string') return [`${root}.${value}`]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [`${root}.${key}`, ...activeIds(`${root}.${key}`, inner)])
}

/** A state with one inner state is drawn as one box: the inner one only restarts a clock. */
export const isDrawnWhole = (node: ChartNode): boolean => node.children.length <= 1

/** The edge that was most likely taken between two sets of active states by an event. */
export function takenEdge(
  chart: Chart,
  before: readonly string[],
  after: readonly string[],
  event: string,
): ChartEdge | null {
  const entered = after.filter((id) => !before.includes(id))
  const name = plainEvent(event)
  const from = (edge: ChartEdge) => before.includes(edge.source) || edge.source === chart.id
  const candidates = chart.edges.filter(
    (edge) => from(edge) && (entered.includes(edge.target) || after.includes(edge.target)),
  )
  const named = candidates.filter(({ events }) => events.some((one) => one === name || matches(one, name)))
  const deepest = (edges: readonly ChartEdge[]) =>
    [...edges].sort((a, b) => depth(b.source) - depth(a.source)).find(({ target }) => entered.includes(target)) ??
    edges[0]
  return deepest(named) ?? (entered.length > 0 ? (deepest(candidates) ?? null) : null)
}

const depth = (id: string): number => id.split('.').length
const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith('.*') && name.startsWith(pattern.slice(0, -1))

/** `xstate.done.actor.drain` → `drain done`; `xstate.after.greetingMs.swap.…` → `after greetingMs`. */
export function plainEvent(type: string): string {
  const done = /^xstate\.(done|error)\.actor\.(.+)$/.exec(type)
  if (done) return `${done[2]} ${done[1] === 'done' ? 'done' : 'failed'}`
  const after = /^xstate\.after\.([^.]+)/.exec(type)
  if (after) return `after ${after[1]}`
  return type
}

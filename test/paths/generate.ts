/** Paths that together take every transition that the explored worlds know, each from the first start to rest. */
import { type EdgeId, explore, type StateGraph, type StateId } from '../../machines/explore/index.js'
import { handoffInvariants } from '../../machines/handoff/invariants.js'
import {
  createHandoffWorld,
  FAULT_KINDS,
  type FaultKind,
  type HandoffState,
  type HandoffWorld,
  OUTSIDE_FAULT_KINDS,
  type WorldOptions,
} from '../../machines/handoff/world/index.js'
import type { Course, Variant } from './course.js'
import { type Focus, stepwise } from './stepwise.js'

export interface Path extends Course {
  /** World, what breaks, and what is covered first by it. */
  readonly name: string
  /** What it covers that no path before it did. */
  readonly fresh: readonly string[]
  /** All states and transitions on it; of a variant only what the world does not show. */
  readonly takes: readonly string[]
}

const SELF: readonly FaultKind[] = FAULT_KINDS
const OTHERS: readonly FaultKind[] = OUTSIDE_FAULT_KINDS
/** Pauses between two looks: without them nobody would look again. */
const POLLS = /PollMs/

/** What no world shows, because it knows no fingerprints and nobody who lies on the control path. */
const VARIANTS: readonly Variant[] = [
  {
    label: 'B:openState:behind',
    happens: 'otherData',
    failure: ['ERR_HANDOFF_SUCCESSOR_BEHIND', 'ERR_HANDOFF_SUCCESSOR_FINGERPRINT'],
    takes: 'swap.attempting.opening successor.becameReady #2',
  },
  {
    label: 'S~swap.greetingMs@attempting.awaitingIncumbent',
    happens: 'otherHello',
    failure: ['ERR_HANDOFF_INCUMBENT_UNREACHABLE', 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL'],
    takes: 'swap.attempting incumbent.greeted #0',
  },
]

export interface Bounds extends WorldOptions {
  readonly focus?: Focus
}

/** Small worlds first; what comes after them adds what takes a second fault, or a hand from outside, to reach. */
export const WORLDS: Readonly<Record<string, Bounds>> = {
  'one swap': { swaps: 1, faults: 1, restarts: 1 },
  'no resume hook': { swaps: 1, faults: 1, restarts: 1, canResume: false },
  probation: { swaps: 1, faults: 1, restarts: 1, probation: true },
  'broken protocol': { swaps: 1, faults: 1, restarts: 1, faultKinds: OTHERS },
  'an order': { swaps: 1, faults: 1, orders: 1 },
  'two orders': { swaps: 1, orders: 2 },
  'two swaps': { swaps: 2, faults: 1, restarts: 1 },
  'two swaps, an order': { swaps: 2, orders: 1 },
  'a rehearsal': { swaps: 1, faults: 1, restarts: 1, rehearsals: 1, faultKinds: [...SELF, ...OTHERS] },
  'probation, an order': { swaps: 1, orders: 1, probation: true },
  'limits before answers': { swaps: 1, timers: 'reckless', focus: { timers: /cutMs|copyMs|greetingMs|PollMs/ } },
  'limits before answers, a stop': {
    ...{ swaps: 1, timers: 'reckless', faults: 1, faultKinds: ['meddling'] },
    focus: { timers: /cutMs|PollMs/ },
  },
  'a swap that is owed': {
    ...{ swaps: 1, faults: 3, orders: 1, slots: 6 },
    focus: { timers: /PollMs|PauseMs/, faults: /kill:A|startPrimitive:fails|lookAround:fails/ },
  },
  'probation, a hook hangs in a stop': {
    ...{ swaps: 1, faults: 2, probation: true, faultKinds: ['meddling', 'hookHang'] },
    focus: { faults: /meddling:SIGTERM|:(drain|closeState):hangs/ },
  },
  'two stops of the primitive': {
    ...{ swaps: 1, faults: 3, faultKinds: ['meddling', 'hookError'] },
    focus: { timers: POLLS, faults: /SIGTERM:A|A:(drain|seal):fails|B:openState:fails/ },
  },
  'two stops, no resume hook': {
    ...{ swaps: 1, faults: 3, canResume: false, faultKinds: ['meddling', 'hookError'] },
    focus: { timers: POLLS, faults: /SIGTERM:A|A:seal:fails/ },
  },
  'a stop at the cut': {
    ...{ swaps: 1, faults: 2, faultKinds: ['meddling', 'io'] },
    focus: { timers: POLLS, faults: /SIGTERM:A|parkConnections/ },
  },
  'a seal that breaks, and more': {
    ...{ swaps: 1, faults: 2, restarts: 1, canResume: false, faultKinds: [...SELF, ...OTHERS] },
    focus: { faults: /A:(seal|closeState):(fails|hangs)|strange:S!A|kill:S|early:A|SIGTERM:A/ },
  },
  'two faults': {
    ...{ swaps: 1, faults: 2, restarts: 2, faultKinds: ['kill', 'io', 'early'] },
    focus: { faults: /kill|fails|early:S~(settle|swap|open)/ },
  },
  'the retired one serves again': {
    ...{ swaps: 2, faults: 2, faultKinds: ['kill', 'early', 'strange'], slots: 7 },
    focus: { timers: /PollMs|PauseMs/, faults: /kill:[AB]|decisionOverdue|hangsUp/ },
  },
  'an order as it adopts': { swaps: 0, faults: 1, restarts: 1, orders: 1, faultKinds: ['kill'] },
  'a rehearsed build that hangs up': {
    ...{ swaps: 0, faults: 1, rehearsals: 1, faultKinds: ['strange'], timers: 'reckless' },
    focus: { timers: /PollMs|exitNoticeMs/, faults: /B.hangsUp/ },
  },
  'a hook hangs, and nobody decides': {
    ...{ swaps: 1, faults: 2, faultKinds: ['hookHang', 'stall'] },
    focus: { faults: /A:(drain|seal):hangs|stall:S/ },
  },
  'a crash loop': {
    ...{ swaps: 0, faults: 2, crashLoopLimit: 2, faultKinds: ['kill'] },
    focus: { timers: /PollMs|PauseMs/ },
  },
}

export function cover(worlds: Readonly<Record<string, Bounds>> = WORLDS): readonly Path[] {
  const covered = new Set<string>()
  const paths: Path[] = []
  for (const [bounds, { focus, ...options }] of Object.entries(worlds)) {
    const world = stepwise(createHandoffWorld(options), focus)
    const { graph, violations } = explore(world, { properties: safety(world) })
    // Other machines than ours are there to break something.
    if (violations.length > 0 && options.cast === undefined)
      throw new Error(
        `${bounds}: ${violations.map(({ property, faults }) => `${property} after ${faults}`).join(', ')}`,
      )
    for (const path of pathsThrough(graph, covered)) {
      const broken = path.broken.join(', ') || 'nothing breaks'
      paths.push({ ...path, world, name: `${bounds}: ${broken}: ${path.fresh.at(-1)}` })
    }
  }
  for (const variant of VARIANTS) {
    const path = paths.find(({ labels }) => labels.includes(variant.label))
    if (path === undefined) continue
    const takes = [variant.takes]
    paths.push({ ...path, variant, fresh: takes, takes, name: `${path.name}, but ${variant.happens}` })
  }
  return paths
}

/** What may never be. What must come in the end is not asked where some limits never pass. */
const safety = (world: HandoffWorld) =>
  handoffInvariants(world).filter(({ kind }) => kind === 'always' || kind === 'edge')

/** The deepest first: on the way there much of the rest is covered. */
function* pathsThrough(
  graph: StateGraph<HandoffState>,
  covered: Set<string>,
): Generator<Pick<Path, 'labels' | 'fresh' | 'takes'> & { readonly broken: readonly string[] }> {
  const nearest = new Map<string, EdgeId>()
  for (let edge = 0; edge < graph.edgeCount; edge++) {
    for (const id of graph.covers(edge)) if (!covered.has(id) && !nearest.has(id)) nearest.set(id, edge)
  }
  for (const [id, edge] of [...nearest].reverse()) {
    if (covered.has(id)) continue
    const edges = [...graph.edgesTo(graph.source(edge)), edge]
    edges.push(...toRest(graph, graph.target(edge)))
    const all = new Set(edges.flatMap((one) => graph.covers(one)))
    const fresh = [...all].filter((one) => !covered.has(one))
    for (const one of fresh) covered.add(one)
    const labels = edges.map((one) => graph.label(one))
    const broken = labels.flatMap(({ kind, name }) => (kind === 'fault' ? [name] : []))
    yield { labels: labels.map(({ name }) => name), fresh, takes: [...all], broken }
  }
}

/** Shortest way on which nothing more breaks and nobody asks for anything, to where nothing is left to do. */
function toRest(graph: StateGraph<HandoffState>, from: StateId): EdgeId[] {
  const by = new Map<StateId, EdgeId>()
  const queue = [from]
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    let isRest = true
    for (let edge = graph.edgesStart(at); edge < graph.edgesEnd(at); edge++) {
      const { kind } = graph.label(edge)
      if (kind !== 'progress' && kind !== 'timer') continue
      isRest = false
      const next = graph.target(edge)
      if (next === from || by.has(next)) continue
      by.set(next, edge)
      queue.push(next)
    }
    if (!isRest) continue
    const edges: EdgeId[] = []
    for (let to = at; to !== from; to = graph.source(edges[0] as EdgeId)) edges.unshift(by.get(to) as EdgeId)
    return edges
  }
  return []
}

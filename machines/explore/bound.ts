/**
 * How long until the goal, at worst, if nothing breaks any more.
 *
 * Every step that time has to pass for gets a weight in ms (a timer its delay, a hook its budget); all others take no
 * time. The bound of a state is the heaviest way from it to the goal over progress and timer steps, whatever the
 * scheduler does. It is an upper bound: two timers that run side by side are counted one after the other when both
 * can fire.
 *
 * - *Urgency.* What takes no time happens before time passes: where a weightless way on exists, weighted steps are not
 *   considered. (Weightless steps that only turn in a circle are no way on.) `urgent: false` drops this assumption; the
 *   bound is then usually infinite.
 * - *Loops* that weigh nothing cost nothing: whether they are left at all is the business of an `eventually` property.
 * - *Loops that weigh something* (retry, backoff) have no bound of their own. They have one if a deadline ends them: an
 *   `absolute` timer, never restarted while armed, that can fire in every state of the loop and whose firing always
 *   leaves it. Then the whole stay costs the deadline's weight. Otherwise the bound is infinite, and the loop is named.
 */
import { seek } from './breadth-first.js'
import { components, labelsOf, loopThrough } from './components.js'
import type { EdgeId, Label, Path, StateGraph, StateId } from './graph.js'
import { LIVENESS_KINDS } from './property.js'
import type { StepKind } from './world.js'

export interface BoundOptions<S = unknown> {
  /** A mark of the exploration; {@link goalMark} gives that of an `eventually` property. */
  readonly goal: string
  /** Longest duration of a step of this label, ms. 0: it takes no time. */
  weightMs(label: Label): number
  /** Is this timer a deadline, armed once and not restarted while it is armed? Default: none is. */
  absolute?(label: Label): boolean
  /** Default: true. */
  readonly urgent?: boolean
  /**
   * Groups faults by what they hit, e.g. `kill:supervisor in sealing`: needs the states, so the world is walked once more.
   * Default: the fault's label.
   */
  scenario?(from: S, fault: string): string
  /** Kinds of step that go on happening. Default: progress and timer. */
  readonly by?: readonly StepKind[]
}

export interface BoundStep {
  readonly label: string
  readonly ms: number
}

/** Why a bound is what it is. */
export interface BoundExplanation {
  readonly ms: number
  /** From the start to the state in question, and on to the goal (or to where it is never reached). */
  readonly path: Path
  /** How many steps of `path` lie before the state in question. */
  readonly faultsStopAfter: number
  /** The steps that weigh something, in their order; a loop ended by a deadline counts as one, under its label. */
  readonly weights: readonly BoundStep[]
  /** With an infinite bound: steps that can go round and round, or an empty list at a dead end. */
  readonly loop?: readonly string[]
}

export interface Bound {
  /** The worst of all reachable states, ms; Infinity when some state has no bound. */
  readonly worstMs: number
  /** A state that attains it, nearest to the start. */
  readonly worst: StateId
  /** The bound of one state, ms. */
  of(id: StateId): number
  explain(id: StateId): BoundExplanation
  /** For each scenario (by default: for each fault): the worst state right after it. */
  readonly afterFault: readonly { readonly fault: string; readonly ms: number; readonly at: StateId }[]
}

/** @throws RangeError for an unknown mark, or a weight that is negative or not a number. */
export function boundTo<S>(graph: StateGraph<S>, options: BoundOptions<S>): Bound {
  const { goal, urgent = true, by = LIVENESS_KINDS } = options
  const { store, size } = graph
  const weights = Float64Array.from(graph.labels, (label) => checkedWeight(label, options.weightMs(label)))
  const deadlines = new Set(graph.labels.flatMap((label, id) => (options.absolute?.(label) ? [id] : [])))
  const owed = labelsOf(graph, by)
  const weightOf = (edge: EdgeId) => weights[store.edgeLabels.get(edge)] as number
  const bit = graph.bitOf(goal)
  const atGoal = (id: StateId) => ((store.marks.get(id) >>> bit) & 1) === 1
  // A step that changes nothing is no way on, whatever it weighs.
  const isOwed = (edge: EdgeId, from: StateId) => owed[store.edgeLabels.get(edge)] === 1 && graph.target(edge) !== from

  const weightless = components(graph, (edge, from) => isOwed(edge, from) && weightOf(edge) === 0, atGoal)
  const movesOn = new Uint8Array(weightless.count)
  const eachEdge = (id: StateId, visit: (edge: EdgeId) => void) => {
    for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
      if (isOwed(edge, id)) {
        visit(edge)
      }
    }
  }
  for (let id = 0; id < size; id++) {
    const part = weightless.of[id] as number
    if (part !== -1) {
      eachEdge(id, (edge) => {
        if (weightOf(edge) === 0 && weightless.of[graph.target(edge)] !== part) {
          movesOn[part] = 1
        }
      })
    }
  }
  const allowed = (edge: EdgeId, from: StateId) =>
    isOwed(edge, from) && (!urgent || weightOf(edge) === 0 || movesOn[weightless.of[from] as number] === 0)

  const { of, count } = components(graph, allowed, atGoal)
  const membersOf = groups(of, count)

  const worst = new Float64Array(count).fill(Number.POSITIVE_INFINITY)
  const wayOut = new Int32Array(count).fill(-1)
  const endedBy = new Int32Array(count).fill(-1)
  const boundOf = (id: StateId) => (of[id] === -1 ? 0 : (worst[of[id] as number] as number))
  const exits = (part: number, edge: EdgeId) => of[graph.target(edge)] !== part

  /** The lightest deadline that is armed all over a component and always leaves it: a label, or -1. */
  function deadlineOf(part: number, ids: Int32Array): number {
    let candidates = [...deadlines]
    for (const id of ids) {
      const armed = new Set<number>()
      eachEdge(id, (edge) => {
        const label = store.edgeLabels.get(edge)
        if (deadlines.has(label) && exits(part, edge)) {
          armed.add(label)
        }
      })
      candidates = candidates.filter((label) => armed.has(label))
    }
    return candidates.sort((a, b) => (weights[a] as number) - (weights[b] as number))[0] ?? -1
  }

  // Tarjan numbers a component after everything it leads to.
  for (let part = 0; part < count; part++) {
    const ids = membersOf(part)
    let turns = false
    for (const id of ids) {
      eachEdge(id, (edge) => {
        turns ||= allowed(edge, id) && weightOf(edge) > 0 && !exits(part, edge)
      })
    }
    const deadline = turns ? deadlineOf(part, ids) : -1
    endedBy[part] = deadline
    if (turns && deadline === -1) {
      continue
    }
    let heaviest = -1
    for (const id of ids) {
      eachEdge(id, (edge) => {
        if (allowed(edge, id) && exits(part, edge)) {
          // Under a deadline the stay and its last step together take the deadline's time at most.
          const cost = (deadline === -1 ? weightOf(edge) : (weights[deadline] as number)) + boundOf(graph.target(edge))
          if (cost > heaviest) {
            heaviest = cost
            wayOut[part] = edge
          }
        }
      })
    }
    if (heaviest >= 0) {
      worst[part] = heaviest
    }
  }

  function explain(id: StateId): BoundExplanation {
    const before = graph.edgesTo(id)
    const onward: EdgeId[] = []
    const heavy: BoundStep[] = []
    let at = id
    let loop: string[] | undefined
    while (!atGoal(at)) {
      const part = of[at] as number
      const out = wayOut[part] as EdgeId | -1
      const inside = (edge: EdgeId, from: StateId) => allowed(edge, from) && !exits(part, edge)
      if (out === -1) {
        loop = loopThrough(graph, inside, at).map((edge) => graph.label(edge).name)
        break
      }
      const to = graph.source(out)
      const way = to === at ? [] : (seek(graph, [at], inside, (edge) => graph.target(edge) === to) ?? [])
      const deadline = endedBy[part] as number
      const label = graph.labels[deadline === -1 ? store.edgeLabels.get(out) : deadline] as Label
      const ms = deadline === -1 ? weightOf(out) : (weights[deadline] as number)
      if (ms > 0) {
        heavy.push({ label: label.name, ms })
      }
      onward.push(...way, out)
      at = graph.target(out)
    }
    return {
      ms: boundOf(id),
      path: graph.path([...before, ...onward], id),
      faultsStopAfter: before.length,
      weights: heavy,
      ...(loop && { loop }),
    }
  }

  let worstId = 0
  const afterFault = new Map<string, { ms: number; at: StateId }>()
  const noteFaults = (id: StateId, nameOf: (fault: string) => string) => {
    for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
      const { kind, name } = graph.label(edge)
      if (kind !== 'fault') {
        continue
      }
      const at = graph.target(edge)
      const scenario = nameOf(name)
      const known = afterFault.get(scenario)
      if (known === undefined || boundOf(at) > known.ms) {
        afterFault.set(scenario, { ms: boundOf(at), at })
      }
    }
  }
  for (let id = 0; id < size; id++) {
    if (boundOf(id) > boundOf(worstId)) {
      worstId = id
    }
    if (options.scenario === undefined) {
      noteFaults(id, (fault) => fault)
    }
  }
  if (options.scenario !== undefined) {
    for (const [id, state] of graph.states()) {
      noteFaults(id, (fault) => options.scenario?.(state, fault) ?? fault)
    }
  }
  return {
    worstMs: boundOf(worstId),
    worst: worstId,
    of: boundOf,
    explain,
    afterFault: [...afterFault].map(([fault, seen]) => ({ fault, ...seen })),
  }
}

/** The members of each component, in flat arrays: a component is most often a single state. */
function groups(of: Int32Array, count: number): (part: number) => Int32Array {
  const ends = new Int32Array(count + 1)
  for (const part of of) {
    if (part !== -1) {
      ends[part + 1] = (ends[part + 1] as number) + 1
    }
  }
  for (let part = 0; part < count; part++) {
    ends[part + 1] = (ends[part + 1] as number) + (ends[part] as number)
  }
  const sorted = new Int32Array(ends[count] as number)
  const next = ends.slice()
  of.forEach((part, id) => {
    if (part !== -1) {
      sorted[next[part] as number] = id
      next[part] = (next[part] as number) + 1
    }
  })
  return (part) => sorted.subarray(ends[part], ends[part + 1])
}

function checkedWeight({ name }: Label, ms: number): number {
  if (!(ms >= 0)) {
    throw new RangeError(`the step '${name}' cannot take ${ms} ms`)
  }
  return ms
}

/**
 * Is a run of real processes a run of the composed model? Each process tells in its trace which states it passed; in which
 * order the steps of two processes happened nobody can say. So a walk through the explored world is sought that takes
 * every machine through exactly the states it was seen in, and ends where the world's facts are the ones measured.
 */
import type { EdgeId, StateGraph, StateId } from '../../machines/explore/index.js'
import type { HandoffState, HandoffWorld } from '../../machines/handoff/world/index.js'
import { describeWorld } from '../../machines/handoff/world/index.js'
import { stateText } from '../../src/channel/state-text.js'

/** `swap`, `A.incumbent`, `B.successor` …: one machine of one process. */
export type Lane = string
/** The states a machine passed, each once when it stayed. */
export type Seen = Readonly<Record<Lane, readonly string[]>>

export interface Facts {
  readonly lock: string | null
  readonly answers: string | null
  readonly accepts: string | null
}

export interface Witness {
  readonly labels: readonly string[]
  /** Transitions and states of the machines that this walk exercises. */
  readonly covers: readonly string[]
}

type Lanes = ReadonlyMap<Lane, string>

export class ModelRuns {
  readonly #lanes: Lanes[] = []
  readonly #facts: Facts[] = []
  readonly #graph: StateGraph<HandoffState>
  /** Of each machine the states in which the world ever rests: a last one may be over before anything else happens. */
  readonly #shown = new Map<string, Set<string>>()

  constructor(world: HandoffWorld, graph: StateGraph<HandoffState>) {
    this.#graph = graph
    for (const [id, state] of graph.states()) {
      const told = describeWorld(state, world.players)
      const lanes = lanesOf(told)
      this.#lanes[id] = lanes
      for (const [lane, value] of lanes) {
        const shown = this.#shown.get(machineOf(lane)) ?? new Set()
        this.#shown.set(machineOf(lane), shown.add(value))
      }
      this.#facts[id] = { lock: told.lock, answers: told.answers, accepts: acceptingOf(told) }
    }
  }

  /** @returns a walk through the model that looks like this from outside; null when there is none */
  explain(told: Seen, facts: Facts, allowed: (label: string, kind: string) => boolean): Witness | null {
    const seen: Seen = Object.fromEntries(
      Object.entries(told).map(([lane, states]) => [
        lane,
        states.filter((state, at) => at < states.length - 1 || this.#shown.get(machineOf(lane))?.has(state)),
      ]),
    )
    const names = Object.keys(seen)
    const done = names.map((name) => seen[name]?.length ?? 0)
    const start = this.#advance(
      seen,
      names,
      names.map(() => 0),
      new Map(),
      this.#lanes[0] as Lanes,
    )
    if (start === null) return null
    type Node = {
      readonly id: StateId
      readonly at: readonly number[]
      readonly by: EdgeId
      readonly from: Node | null
    }
    const known = new Set<string>()
    let level: Node[] = [{ id: 0, at: start, by: -1, from: null }]
    while (level.length > 0) {
      const next: Node[] = []
      for (const node of level) {
        if (done.every((count, lane) => node.at[lane] === count) && this.#isLike(node.id, facts)) {
          const edges: EdgeId[] = []
          for (let one: Node | null = node; one?.from; one = one.from) edges.unshift(one.by)
          return {
            labels: edges.map((edge) => this.#graph.label(edge).name),
            covers: [...new Set(edges.flatMap((edge) => this.#graph.covers(edge)))],
          }
        }
        for (let edge = this.#graph.edgesStart(node.id); edge < this.#graph.edgesEnd(node.id); edge++) {
          const { name, kind } = this.#graph.label(edge)
          if (!allowed(name, kind)) continue
          const id = this.#graph.target(edge)
          const at = this.#advance(seen, names, node.at, this.#lanes[node.id] as Lanes, this.#lanes[id] as Lanes)
          const key = at === null ? '' : `${id} ${at.join()}`
          if (at === null || known.has(key)) continue
          known.add(key)
          next.push({ id, at, by: edge, from: node })
        }
      }
      level = next
    }
    return null
  }

  #isLike(id: StateId, facts: Facts): boolean {
    const here = this.#facts[id] as Facts
    return here.lock === facts.lock && here.answers === facts.answers && here.accepts === facts.accepts
  }

  /** A lane that changes must change to what was seen next; one that is not watched may not appear. */
  #advance(seen: Seen, names: readonly Lane[], at: readonly number[], before: Lanes, after: Lanes): number[] | null {
    const next = [...at]
    for (const [lane, value] of after) {
      if (before.get(lane) === value) continue
      const index = names.indexOf(lane)
      if (index === -1 || seen[lane]?.[next[index] as number] !== value) return null
      next[index] = (next[index] as number) + 1
    }
    return next
  }
}

const machineOf = (lane: Lane): string => lane.slice(lane.indexOf('.') + 1)

type Told = ReturnType<typeof describeWorld>

function lanesOf(told: Told): Lanes {
  const lanes = new Map<Lane, string>()
  const { supervisor, primitives } = told
  if ('swap' in supervisor && supervisor.swap != null) lanes.set('swap', stateText(supervisor.swap))
  for (const [name, one] of Object.entries(primitives)) {
    if (one === 'dead') continue
    for (const role of ['incumbent', 'successor'] as const) {
      const value = (one as Readonly<Record<string, unknown>>)[role]
      if (value !== undefined) lanes.set(`${name}.${role}`, stateText(value as string))
    }
  }
  return lanes
}

const acceptingOf = ({ primitives }: Told): string | null =>
  Object.entries(primitives).find(([, one]) => one !== 'dead' && (one as { accepting: boolean }).accepting)?.[0] ?? null

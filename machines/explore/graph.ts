/**
 * What an exploration has found: states and steps as numbers, and the way back to real states and labels.
 *
 * States are not kept (unless asked for): the graph knows by which step each was found first, so any of them is walked
 * to again. States are numbered breadth first; a lower number is never farther from the start.
 */
import { int32List, type NumberList, uint16List, uint32List } from './numbers.js'
import { describeState, initialStates, notesOf, type Step, type StepKind, type StepNote, type World } from './world.js'

/** The number of a state within one exploration. */
export type StateId = number
/** The number of an edge within one exploration; the edges of a state are consecutive, in the order of its steps. */
export type EdgeId = number

export interface Label {
  readonly name: string
  readonly kind: StepKind
  /** How many edges bear it. */
  readonly count: number
}

/** A path as data, JSON when the world's `describe` gives JSON. */
export interface Path {
  /** Which of the world's initial states it begins in. */
  readonly initial: number
  readonly start: unknown
  readonly steps: readonly PathStep[]
}

export interface PathStep {
  readonly label: string
  readonly kind: StepKind
  readonly notes?: readonly StepNote[]
  readonly covers?: readonly string[]
  /** The state after the step, as the world describes it. */
  readonly state: unknown
}

/** Thrown when the same state yields other steps than before: every result would be worthless. */
export class WorldChangedError extends Error {
  override readonly name = 'WorldChangedError'
}

/** The mutable side, filled by the exploration alone. */
export class GraphStore {
  readonly offsets: NumberList = uint32List()
  readonly targets: NumberList = int32List()
  readonly edgeLabels: NumberList = uint16List()
  readonly edgeCovers: NumberList = uint16List()
  readonly parentEdges: NumberList = int32List()
  readonly marks: NumberList = uint32List()
  readonly labels: { name: string; kind: StepKind; count: number }[] = []
  readonly coverSets: (readonly string[])[] = [[]]
  readonly levels: number[] = []
  readonly initialIndex: number[] = []
  /** States whose steps are all in the graph; the others are the rim of an incomplete exploration. */
  expanded = 0

  get bytes(): number {
    const lists = [this.offsets, this.targets, this.edgeLabels, this.edgeCovers, this.parentEdges, this.marks]
    return lists.reduce((sum, list) => sum + list.bytes, 0)
  }
}

export class StateGraph<S> {
  constructor(
    readonly world: World<S>,
    /** Low-level arrays, for algorithms of one's own. Read only. */
    readonly store: GraphStore,
    private readonly markBits: ReadonlyMap<string, number>,
    private readonly kept: readonly S[] | undefined,
  ) {}

  get size(): number {
    return this.store.parentEdges.length
  }

  get edgeCount(): number {
    return this.store.targets.length
  }

  get labels(): readonly Label[] {
    return this.store.labels
  }

  get marks(): readonly string[] {
    return [...this.markBits.keys()]
  }

  /** Was the mark's predicate true of this state when it was found? @throws RangeError for an unknown mark. */
  marked(mark: string, id: StateId): boolean {
    return ((this.store.marks.get(id) >>> this.bitOf(mark)) & 1) === 1
  }

  bitOf(mark: string): number {
    const bit = this.markBits.get(mark)
    if (bit === undefined) {
      throw new RangeError(`the exploration knows no mark '${mark}', only: ${this.marks.join(', ')}`)
    }
    return bit
  }

  /** First edge of a state; the edges go up to `edgesEnd`. */
  edgesStart(id: StateId): EdgeId {
    return id < this.store.expanded ? this.store.offsets.get(id) : this.edgeCount
  }

  edgesEnd(id: StateId): EdgeId {
    return id + 1 < this.store.expanded ? this.store.offsets.get(id + 1) : this.edgeCount
  }

  target(edge: EdgeId): StateId {
    return this.store.targets.get(edge)
  }

  label(edge: EdgeId): Label {
    return this.store.labels[this.store.edgeLabels.get(edge)] as Label
  }

  covers(edge: EdgeId): readonly string[] {
    return this.store.coverSets[this.store.edgeCovers.get(edge)] as readonly string[]
  }

  source(edge: EdgeId): StateId {
    let low = 0
    let high = this.store.expanded - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.store.offsets.get(middle) <= edge) {
        low = middle
      } else {
        high = middle - 1
      }
    }
    return low
  }

  /** Steps of a shortest path from the start. */
  depth(id: StateId): number {
    const { levels } = this.store
    let depth = levels.length - 1
    while (depth > 0 && (levels[depth] as number) > id) {
      depth -= 1
    }
    return depth
  }

  /** The edges of a shortest path from an initial state. */
  edgesTo(id: StateId): EdgeId[] {
    const edges: EdgeId[] = []
    for (let edge = this.store.parentEdges.get(id); edge >= 0; ) {
      edges.push(edge)
      edge = this.store.parentEdges.get(this.source(edge))
    }
    return edges.reverse()
  }

  /** The initial state a path of edges begins in. */
  originOf(edges: readonly EdgeId[], otherwise: StateId = 0): StateId {
    return edges.length === 0 ? otherwise : this.source(edges[0] as EdgeId)
  }

  /** The state itself, walked to from the start. @throws WorldChangedError when the world is not deterministic. */
  state(id: StateId): S {
    if (this.kept !== undefined) {
      return this.kept[id] as S
    }
    const edges = this.edgesTo(id)
    let state = this.initial(this.originOf(edges, id))
    for (const edge of edges) {
      state = this.stepOf(state, edge).next
    }
    return state
  }

  /** Every state once, in order of discovery, by walking the world again: memory for one frontier only. */
  *states(): Generator<readonly [StateId, S]> {
    const pending = new Map<StateId, S>()
    for (let id = 0; id < this.size; id++) {
      const state = pending.get(id) ?? (this.kept?.[id] as S | undefined) ?? this.initial(id)
      pending.delete(id)
      yield [id, state]
      if (this.kept !== undefined || id >= this.store.expanded) {
        continue
      }
      let edge = this.edgesStart(id)
      const end = this.edgesEnd(id)
      if (edge === end) {
        continue
      }
      for (const step of this.world.steps(state)) {
        const target = this.target(edge)
        if (this.store.parentEdges.get(target) === edge) {
          pending.set(target, step.next)
        }
        edge += 1
        // Asking for one step more could meet an exception that is already reported.
        if (edge === end) {
          break
        }
      }
    }
  }

  /** A path along these edges, with states and notes. The first edge must leave an initial state. */
  path(edges: readonly EdgeId[], otherwise: StateId = 0): Path {
    const origin = this.originOf(edges, otherwise)
    let state = this.initial(origin)
    const start = describeState(this.world, state)
    const steps = edges.map((edge): PathStep => {
      const step = this.stepOf(state, edge)
      const notes = notesOf(this.world, state, step)
      state = step.next
      return {
        label: step.label,
        kind: step.kind,
        ...(notes.length > 0 ? { notes } : {}),
        ...(step.covers && step.covers.length > 0 ? { covers: step.covers } : {}),
        state: describeState(this.world, state),
      }
    })
    return { initial: this.store.initialIndex[origin] as number, start, steps }
  }

  /** A shortest path to a state. */
  pathTo(id: StateId): Path {
    return this.path(this.edgesTo(id), id)
  }

  private initial(id: StateId): S {
    const index = this.store.initialIndex[id]
    if (index === undefined) {
      throw new WorldChangedError(`state ${id} is not reached any more: the world's steps are not deterministic`)
    }
    return initialStates(this.world)[index] as S
  }

  private stepOf(state: S, edge: EdgeId): Step<S> {
    let at = this.edgesStart(this.source(edge))
    for (const step of this.world.steps(state)) {
      if (at === edge) {
        if (step.label !== this.label(edge).name) {
          throw new WorldChangedError(`'${step.label}' stands where '${this.label(edge).name}' was before`)
        }
        return step
      }
      at += 1
    }
    throw new WorldChangedError(`'${this.label(edge).name}' is not offered any more in the same state`)
  }
}

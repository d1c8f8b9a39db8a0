/**
 * Writes steps into the graph, as numbers, and holds the world to its contract on labels.
 */
import type { GraphStore, StateId } from './graph.js'
import { ContractError, type Step, type StepKind } from './world.js'

const MOST = 0xffff

export class EdgeJournal {
  private readonly labelIds = new Map<string, number>()
  private readonly coverIds = new WeakMap<readonly string[], number>()
  private readonly coverIdsByText = new Map<string, number>()
  /** For each label the last state that used it: a second use by the same state is a mistake. */
  private readonly lastUser: number[] = []

  constructor(private readonly store: GraphStore) {}

  add<S>(from: StateId, to: StateId, { label, kind, covers }: Step<S>): number {
    const { store } = this
    const labelId = this.labelIds.get(label) ?? this.newLabel(label, kind)
    const entry = store.labels[labelId] as (typeof store.labels)[number]
    if (entry.kind !== kind) {
      throw new ContractError(`the step '${label}' is '${kind}' here and '${entry.kind}' elsewhere: use two labels`)
    }
    if (this.lastUser[labelId] === from) {
      throw new ContractError(`one state offers the step '${label}' twice: a path could not be replayed by its labels`)
    }
    this.lastUser[labelId] = from
    entry.count += 1
    const edge = store.targets.length
    store.targets.push(to)
    store.edgeLabels.push(labelId)
    store.edgeCovers.push(covers === undefined || covers.length === 0 ? 0 : this.coverId(covers))
    return edge
  }

  private newLabel(name: string, kind: StepKind): number {
    const id = this.store.labels.length
    if (id > MOST) {
      throw new ContractError(`more than ${MOST} labels: '${name}' seems to contain something volatile`)
    }
    this.store.labels.push({ name, kind, count: 0 })
    this.labelIds.set(name, id)
    this.lastUser.push(-1)
    return id
  }

  private coverId(covers: readonly string[]): number {
    let id = this.coverIds.get(covers)
    if (id === undefined) {
      const text = JSON.stringify(covers)
      id = this.coverIdsByText.get(text)
      if (id === undefined) {
        id = this.store.coverSets.length
        if (id > MOST) {
          throw new ContractError(`more than ${MOST} different 'covers': they seem to contain something volatile`)
        }
        this.store.coverSets.push([...covers])
        this.coverIdsByText.set(text, id)
      }
      this.coverIds.set(covers, id)
    }
    return id
  }
}

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

  add<S>(from: StateId, to: StateId, { label, kind, covers }: Omit<Step<S>, 'next'>): number {
    return this.addKnown(from, to, this.labelId(label, kind), this.coverId(covers))
  }

  /** For whoever keeps the numbers of a step's label and covers. */
  addKnown(from: StateId, to: StateId, labelId: number, coverId: number): number {
    const { store } = this
    const entry = store.labels[labelId] as (typeof store.labels)[number]
    if (this.lastUser[labelId] === from) {
      throw new ContractError(
        `one state offers the step '${entry.name}' twice: a path could not be replayed by its labels`,
      )
    }
    this.lastUser[labelId] = from
    entry.count += 1
    const edge = store.targets.length
    store.targets.push(to)
    store.edgeLabels.push(labelId)
    store.edgeCovers.push(coverId)
    return edge
  }

  labelId(label: string, kind: StepKind): number {
    const id = this.labelIds.get(label) ?? this.newLabel(label, kind)
    const known = this.store.labels[id]?.kind
    if (known !== kind) {
      throw new ContractError(`the step '${label}' is '${kind}' here and '${known}' elsewhere: use two labels`)
    }
    return id
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

  coverId(covers: readonly string[] | undefined): number {
    if (covers === undefined || covers.length === 0) return 0
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

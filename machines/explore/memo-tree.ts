/**
 * A function of a state, remembered by what it looks at: the first look asks the same of every state, and what it finds
 * decides what is looked at next. So a tree of looks leads to the answer, and nothing has to say what the answer
 * depends on.
 */
import type { FieldTable } from './record-table.js'
import type { Look, Looks } from './watched.js'
import { ContractError } from './world.js'

/** Values below it are found in a list, the others in a map. */
const FEW = 64
/** `at` of an answer. */
const NOWHERE = -1

/** A fork that a look decides, or an answer: one class for both, since walks are what an exploration does most. */
export class MemoNode<R> {
  private readonly few: (MemoNode<R> | undefined)[] = []
  private many: Map<number, MemoNode<R>> | undefined

  constructor(
    readonly at: number,
    readonly field: FieldTable | undefined,
    readonly value: R | undefined,
    readonly thrown: { readonly error: unknown } | undefined,
  ) {}

  get isAnswer(): boolean {
    return this.at === NOWHERE
  }

  /** Where the record with this number leads. */
  next(record: number): MemoNode<R> | undefined {
    const value = (this.field as FieldTable).ids[record] as number
    return value < FEW ? (value < this.few.length ? this.few[value] : undefined) : this.many?.get(value)
  }

  lead(record: number, to: MemoNode<R>): void {
    const value = (this.field as FieldTable).ids[record] as number
    if (value < FEW) {
      while (this.few.length <= value) this.few.push(undefined)
      this.few[value] = to
    } else {
      this.many ??= new Map()
      this.many.set(value, to)
    }
  }
}

const forkAt = <R>({ at, field }: Look): MemoNode<R> => new MemoNode<R>(at, field, undefined, undefined)

export class MemoTree<R> {
  private root: MemoNode<R> | undefined
  /** Equal answers that are one object are one node: most are that there is nothing. */
  private readonly answers = new Map<R, MemoNode<R>>()

  constructor(
    private readonly compute: () => R,
    private readonly looks: Looks,
    /** Hears what was looked at each time that something new is computed. */
    private readonly onLearn: (looks: readonly Look[]) => void = () => {},
  ) {}

  /** It was asked, and never looks at anything: the answer is always the same. */
  get isConstant(): boolean {
    return this.root?.isAnswer === true
  }

  /** The place that is looked at first; nothing before it was asked, or when it looks at nothing. */
  get firstPlace(): number | undefined {
    return this.root === undefined || this.root.isAnswer ? undefined : this.root.at
  }

  /** Where all first looks at the same place lead, for the record there; nothing when not all of them were made. */
  behindFirst(record: number): MemoNode<R> | undefined {
    const at = this.root?.at
    let node = this.root
    while (node !== undefined && !node.isAnswer && node.at === at) node = node.next(record)
    return node
  }

  /** The answer for the state in `row`; what was thrown is thrown again. */
  of(row: Int32Array): R {
    return this.from(this.root, row)
  }

  /** The same, from a node that the row leads to. */
  from(start: MemoNode<R> | undefined, row: Int32Array): R {
    let node = start
    while (node !== undefined && node.at !== NOWHERE) node = node.next(row[node.at] as number)
    if (node === undefined) node = this.learn(row)
    if (node.thrown !== undefined) throw node.thrown.error
    return node.value as R
  }

  private learn(row: Int32Array): MemoNode<R> {
    let answer: MemoNode<R>
    let seen: readonly Look[]
    try {
      const [value, looks] = this.looks.during(this.compute)
      answer = this.answers.get(value) ?? new MemoNode<R>(NOWHERE, undefined, value, undefined)
      this.answers.set(value, answer)
      seen = looks
    } catch (error) {
      answer = new MemoNode<R>(NOWHERE, undefined, undefined, { error })
      seen = this.looks.soFar
    }
    this.onLearn(seen)
    const [first] = seen
    this.root ??= first === undefined ? answer : forkAt(first)
    let node = this.root
    for (let nth = 0; nth < seen.length; nth++) {
      const { at, field } = seen[nth] as Look
      if (node.at !== at || node.field !== field) {
        throw new ContractError(
          `what looks at '${field.name}' here looked elsewhere before: it is no function of the state`,
        )
      }
      const record = row[at] as number
      const after = seen[nth + 1]
      let next = node.next(record)
      if (next === undefined) {
        next = after === undefined ? answer : forkAt<R>(after)
        node.lead(record, next)
      }
      node = next
    }
    if (node !== answer)
      throw new ContractError('what looks at nothing more here looked on before: it is no function of the state')
    return answer
  }
}

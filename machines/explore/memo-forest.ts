/**
 * Many trees, asked one after the other of the same state. For each record it is known once which of the trees that look
 * at its place first have anything left to ask: most have nothing to say, and cost nothing then.
 */
import { MemoNode, type MemoTree } from './memo-tree.js'

/** What the trees of one place make of one record: those that are not done with nothing. */
interface Reading<R> {
  readonly trees: readonly number[]
  readonly nodes: readonly MemoNode<R>[]
  /** Some of them have not met such a record; it is read again. */
  readonly isOpen: boolean
}

export class MemoForest<R> {
  private readonly starts: (MemoNode<R> | undefined)[]
  /** By place, then by record. */
  private readings: (Reading<R> | undefined)[][] = []
  /** The trees by the place of their first look. */
  private readonly byPlace: number[][] = []
  /** Where their first looks are is not known. */
  private unasked: number[]
  /** They look at nothing, or first at something that is not known yet when a state is entered. */
  private readonly unsorted: number[] = []
  /** Stands for whatever is not known yet. */
  private readonly unknown = new MemoNode<R>(0, undefined, undefined, undefined)

  constructor(
    private readonly trees: readonly MemoTree<R>[],
    private readonly nothing: R,
    /** Places below are the state's own. */
    private readonly width: number,
  ) {
    this.starts = trees.map(() => undefined)
    this.unasked = trees.map((_, nth) => nth)
  }

  /** Gets ready for the state in `row`. */
  enter(row: Int32Array): void {
    const { starts, byPlace, readings, unknown } = this
    for (let at = 0; at < byPlace.length; at++) {
      if (byPlace[at] === undefined) continue
      const record = row[at] as number
      const known = (readings[at] as (Reading<R> | undefined)[])[record]
      const { trees, nodes } = known === undefined || known.isOpen ? this.read(at, record) : known
      for (let nth = 0; nth < trees.length; nth++) starts[trees[nth] as number] = nodes[nth]
    }
    for (let nth = 0; nth < this.unasked.length; nth++) starts[this.unasked[nth] as number] = unknown
    for (let nth = 0; nth < this.unsorted.length; nth++) starts[this.unsorted[nth] as number] = unknown
  }

  /** The answer of a tree for the state that was entered; what was thrown is thrown again. */
  take(nth: number, row: Int32Array): R {
    const start = this.starts[nth]
    if (start === undefined) return this.nothing
    this.starts[nth] = undefined
    const tree = this.trees[nth] as MemoTree<R>
    if (start !== this.unknown) return tree.from(start, row)
    try {
      return tree.of(row)
    } finally {
      if (this.unasked.includes(nth)) this.settle(nth)
    }
  }

  /** Nothing is left of a state that was not taken to its end. */
  leave(): void {
    this.starts.fill(undefined)
  }

  private settle(nth: number): void {
    const { firstPlace } = this.trees[nth] as MemoTree<R>
    this.unasked = this.unasked.filter((other) => other !== nth)
    if (firstPlace === undefined || firstPlace >= this.width) {
      this.unsorted.push(nth)
      return
    }
    while (this.byPlace.length <= firstPlace) {
      this.byPlace.push(undefined as never)
      this.readings.push([])
    }
    this.byPlace[firstPlace] = [...(this.byPlace[firstPlace] ?? []), nth]
    this.readings[firstPlace] = []
  }

  private read(at: number, record: number): Reading<R> {
    const trees: number[] = []
    const nodes: MemoNode<R>[] = []
    let isOpen = false
    for (const nth of this.byPlace[at] as number[]) {
      const node = (this.trees[nth] as MemoTree<R>).behindFirst(record)
      if (node?.isAnswer && node.thrown === undefined && node.value === this.nothing) continue
      isOpen ||= node === undefined
      trees.push(nth)
      nodes.push(node ?? this.unknown)
    }
    const reading = { trees, nodes, isOpen }
    const known = this.readings[at] as (Reading<R> | undefined)[]
    while (known.length <= record) known.push(undefined)
    known[record] = reading
    return reading
  }
}

/**
 * States as those see them who look at some fields only: whatever looks the same to all of them has the same number.
 *
 * Properties look at few fields, so that a million states are some ten thousand to them.
 */
import type { FieldTable } from './record-table.js'
import { RowIndex } from './row-index.js'
import type { Look, Place } from './watched.js'

export class ViewIndex {
  private rows: RowIndex
  private readonly view: Int32Array
  /** The fields that anybody looks at, by place; places of one part look at the same fields, whoever looks at them. */
  private readonly fields: FieldTable[][]
  /** The number of each record as it looks, by place: 0 where it was not met. */
  private looksLike: Int32Array[]
  private known: Map<string, number>[]
  private emptied = 0

  constructor(
    private readonly places: readonly Place[],
    private readonly offset: number,
  ) {
    this.rows = new RowIndex(places.length)
    this.view = new Int32Array(places.length)
    this.fields = places.map(() => [])
    this.looksLike = places.map(() => new Int32Array(0))
    this.known = places.map(() => new Map())
  }

  /** How often all numbers became void, because somebody looks at a field that nobody looked at before. */
  get generation(): number {
    return this.emptied
  }

  get size(): number {
    return this.rows.size
  }

  /** The number of the state in `row`: `size` before the call when nobody has seen one like it. */
  add(row: Int32Array): number {
    const { view, looksLike, offset } = this
    for (let at = 0; at < view.length; at++) {
      const record = row[offset + at] as number
      const numbers = looksLike[at] as Int32Array
      view[at] = (record < numbers.length ? (numbers[record] as number) : 0) || this.numberOf(at, record)
    }
    return this.rows.add(view)
  }

  /** What was looked at for the first time? */
  lookedAt(looks: readonly Look[]): void {
    let isNew = false
    for (const { at, field } of looks) {
      const fields = this.fields[at - this.offset] as FieldTable[]
      if (fields.includes(field)) continue
      fields.push(field)
      isNew = true
    }
    if (!isNew) return
    this.emptied += 1
    this.rows = new RowIndex(this.places.length)
    this.looksLike = this.places.map(() => new Int32Array(0))
    this.known = this.places.map(() => new Map())
  }

  private numberOf(at: number, record: number): number {
    const known = this.known[at] as Map<string, number>
    const text = (this.fields[at] as FieldTable[]).map(({ ids }) => ids[record]).join()
    const number = known.get(text) ?? known.size + 1
    known.set(text, number)
    let numbers = this.looksLike[at] as Int32Array
    if (record >= numbers.length) {
      const more = new Int32Array(Math.max(256, record * 2))
      more.set(numbers)
      this.looksLike[at] = more
      numbers = more
    }
    numbers[record] = number
    return number
  }
}

/** A state behind glass: whoever looks at a field of it is noted, and what he sees is in a row of numbers. */
import { EMPTY, type FieldTable, type RecordTable } from './record-table.js'
import { ContractError } from './world.js'

/** Somebody looked at this field of the record whose number stands there in the row. */
export interface Look {
  readonly at: number
  readonly field: FieldTable
}

/** The looks of one computation: each field once, in the order of the first look. */
export class Looks {
  private list: Look[] = []
  private readonly seen = new Map<FieldTable, Set<number>>()

  note(at: number, field: FieldTable): void {
    let places = this.seen.get(field)
    if (places === undefined) {
      places = new Set()
      this.seen.set(field, places)
    }
    if (places.has(at)) return
    places.add(at)
    this.list.push({ at, field })
  }

  during<R>(compute: () => R): readonly [R, readonly Look[]] {
    this.list = []
    this.seen.clear()
    const result = compute()
    return [result, this.list]
  }

  /** After a computation that threw. */
  get soFar(): readonly Look[] {
    return this.list
  }
}

/** One place of the row. */
export interface Place {
  readonly part: string
  /** Index in its list; -1: no list. */
  readonly index: number
  readonly table: RecordTable
}

/** The state whose numbers stand in `row` from `offset` on, at any time. */
export function watchedState<S>(places: readonly Place[], row: Int32Array, offset: number, looks: Looks): S {
  const state: object = Object.create(strict('a state'))
  places.forEach(({ part, index, table }, at) => {
    const record = watchedRecord(table, row, offset + at, looks)
    if (index === -1) {
      define(state, part, () => record)
      return
    }
    if (index === 0) Object.defineProperty(state, part, { value: [], enumerable: true })
    define((state as Record<string, object>)[part] as object, index, () => {
      looks.note(offset + at, table.presence)
      return row[offset + at] === EMPTY ? null : record
    })
  })
  return state as S
}

function watchedRecord(table: RecordTable, row: Int32Array, at: number, looks: Looks): object {
  const record: object = Object.create(strict(`'${table.part}'`))
  for (const field of table.fields) {
    define(record, field.name, () => {
      looks.note(at, field)
      return field.valueIn(row[at] as number)
    })
  }
  return record
}

const define = (target: object, name: string | number, get: () => unknown): void => {
  Object.defineProperty(target, name, { get, enumerable: true })
}

/** A field that is not declared would be looked at unnoticed. */
const strict = (what: string): object =>
  new Proxy(Object.create(null) as object, {
    get: (_, name) => {
      if (typeof name === 'symbol') return undefined
      throw new ContractError(`${what} has no field '${name}' among those that its world declares`)
    },
  })

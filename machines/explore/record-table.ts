/**
 * All records of one kind that were met, as numbers, with a table of numbers for each field: a record is never an object
 * while an exploration runs.
 */
import { createInterner } from './interner.js'
import type { PartKind } from './rules.js'
import { ContractError } from './world.js'

/** One field of all records of a kind. */
export class FieldTable {
  /** The number of the value, by the number of the record. */
  ids = new Int32Array(256)
  private readonly values = createInterner<unknown>()

  constructor(readonly name: string) {}

  idOf(value: unknown): number {
    return this.values.id(value)
  }

  /** The value in a record. */
  valueIn(code: number): unknown {
    return this.values.value(this.ids[code] as number)
  }

  set(code: number, id: number): void {
    if (code >= this.ids.length) {
      const ids = new Int32Array(this.ids.length * 2)
      ids.set(this.ids)
      this.ids = ids
    }
    this.ids[code] = id
  }
}

/** New values for some fields, as numbers, with what became of the records that were changed so. */
export interface FieldWrite {
  /** By field; -1: as it was. */
  readonly ids: readonly number[]
  readonly results: Map<number, number>
}

/** The number of no record: an empty place. */
export const EMPTY = 0

export class RecordTable {
  readonly fields: readonly FieldTable[]
  /** Whether there is a record: what is looked at first in an optional place. */
  readonly presence = new FieldTable('')
  private readonly codes = new Map<string, number>()
  private readonly writes = new Map<string, FieldWrite>()
  private used = 1

  constructor(
    readonly part: string,
    readonly kind: PartKind,
  ) {
    this.fields = kind.fields.map((name) => new FieldTable(name))
  }

  /** How many different records were met. */
  get size(): number {
    return this.used - 1
  }

  codeOf(record: object | null): number {
    if (record === null) return EMPTY
    return this.numbered(this.fields.map((field) => field.idOf((record as Record<string, unknown>)[field.name])))
  }

  /** @throws ContractError for a field that the kind does not have. */
  write(fields: Readonly<Record<string, unknown>>): FieldWrite {
    for (const name in fields) {
      if (!this.kind.fields.includes(name)) throw new ContractError(`'${name}' is no field of '${this.part}'`)
    }
    const ids = this.fields.map((field) => (field.name in fields ? field.idOf(fields[field.name]) : -1))
    const text = ids.join()
    let write = this.writes.get(text)
    if (write === undefined) {
      write = { ids, results: new Map() }
      this.writes.set(text, write)
    }
    return write
  }

  /** The number of the record after a write. */
  changed(code: number, write: FieldWrite): number {
    let next = write.results.get(code)
    if (next === undefined) {
      const ids = this.fields.map((field, at) => {
        const id = write.ids[at] as number
        if (id === -1 && code === EMPTY) throw new ContractError(`'${this.part}' is made without '${field.name}'`)
        return id === -1 ? (field.ids[code] as number) : id
      })
      next = this.numbered(ids)
      write.results.set(code, next)
    }
    return next
  }

  record(code: number): object | null {
    if (code === EMPTY) return null
    const record = Object.fromEntries(this.fields.map((field) => [field.name, field.valueIn(code)]))
    return this.kind.pooled?.(record as never) ?? record
  }

  private numbered(ids: readonly number[]): number {
    const text = ids.join()
    let code = this.codes.get(text)
    if (code === undefined) {
      code = this.used++
      this.codes.set(text, code)
      this.presence.set(code, 1)
      for (let at = 0; at < ids.length; at++) this.fields[at]?.set(code, ids[at] as number)
    }
    return code
  }
}

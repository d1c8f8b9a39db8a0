/** How each kind of field is written and read: one codec a kind, combined into the layouts of messages and journal. */
import { wireError } from '../errors/wire.js'
import type { PostcardReader, PostcardWriter } from './postcard.js'
import { UUID_BYTES, uuidFromBytes, uuidToBytes } from './uuid.js'

export interface Field<T> {
  /** @throws ERR_HANDOFF_USAGE_WIRE_FIELD naming `name` when the value does not fit the wire's type. */
  write(writer: PostcardWriter, value: T, name: string): void
  /** @throws PostcardFault */
  read(reader: PostcardReader): T
}

/** The fields of `T` in wire order: a literal's key order is the order of the bytes. */
export type Layout<T> = { readonly [K in keyof T]-?: Field<T[K]> }

export function writeLayout<T extends object>(writer: PostcardWriter, layout: Layout<T>, value: T, name: string): void {
  for (const key of Object.keys(layout) as (keyof T & string)[]) {
    layout[key].write(writer, value[key], `${name}.${key}`)
  }
}

export function readLayout<T extends object>(reader: PostcardReader, layout: Layout<T>): T {
  const value: Partial<T> = {}
  for (const key of Object.keys(layout) as (keyof T & string)[]) value[key] = layout[key].read(reader)
  return value as T
}

const unsigned = (max: number, read: (reader: PostcardReader) => number): Field<number> => ({
  write(writer, value, name) {
    if (!Number.isInteger(value) || value < 0 || value > max) throw unfit(name, value, `an integer from 0 to ${max}`)
    writer.varint(value)
  },
  read,
})

export const u16 = unsigned(0xffff, (reader) => reader.u16())
export const u32 = unsigned(0xffff_ffff, (reader) => reader.u32())

const U64_MAX = 0xffff_ffff_ffff_ffffn
export const u64: Field<bigint> = {
  write(writer, value, name) {
    if (typeof value !== 'bigint' || value < 0n || value > U64_MAX)
      throw unfit(name, value, 'a bigint from 0 to 2^64 - 1')
    writer.u64(value)
  },
  read: (reader) => reader.u64(),
}

export const bool: Field<boolean> = {
  write(writer, value, name) {
    if (typeof value !== 'boolean') throw unfit(name, value, 'a boolean')
    writer.byte(value ? 1 : 0)
  },
  read: (reader) => reader.bool(),
}

export const text: Field<string> = {
  write(writer, value, name) {
    if (typeof value !== 'string') throw unfit(name, value, 'a string')
    writer.text(value)
  },
  read: (reader) => reader.text(),
}

export const bytes: Field<Uint8Array> = {
  write(writer, value, name) {
    if (!(value instanceof Uint8Array)) throw unfit(name, value, 'a Uint8Array')
    writer.varint(value.length)
    writer.raw(value)
  },
  read: (reader) => reader.take(reader.length()),
}

/** Exactly `count` bytes and no length before them. */
export const fixedBytes = (count: number): Field<Uint8Array> => ({
  write(writer, value, name) {
    if (!(value instanceof Uint8Array) || value.length !== count)
      throw unfit(name, value, `a Uint8Array of ${count} bytes`)
    writer.raw(value)
  },
  read: (reader) => reader.take(count),
})

export const vector = <T>(item: Field<T>): Field<readonly T[]> => ({
  write(writer, values, name) {
    if (!Array.isArray(values)) throw unfit(name, values, 'an array')
    writer.varint(values.length)
    for (const [index, value] of values.entries()) item.write(writer, value, `${name}[${index}]`)
  },
  read(reader) {
    const count = reader.length()
    const values: T[] = []
    for (let index = 0; index < count; index += 1) values.push(item.read(reader))
    return values
  },
})

export const option = <T>(item: Field<T>): Field<T | null> => ({
  write(writer, value, name) {
    writer.byte(value === null ? 0 : 1)
    if (value !== null) item.write(writer, value, name)
  },
  read: (reader) => (reader.option() ? item.read(reader) : null),
})

/** An enum without fields: the varint is the place in `names`. */
export const oneOf = <T extends string>(names: readonly T[]): Field<T> => ({
  write(writer, value, name) {
    const index = names.indexOf(value)
    if (index < 0) throw unfit(name, value, `one of ${names.join(', ')}`)
    writer.varint(index)
  },
  read(reader) {
    const index = reader.u32()
    const found = names[index]
    if (found === undefined) throw reader.fault('value', `variant ${index} of ${names.length}`)
    return found
  },
})

export const handoffId: Field<string> = {
  write(writer, value, name) {
    const raw = uuidToBytes(value)
    if (raw === null) throw unfit(name, value, 'a lower-case UUID')
    writer.varint(UUID_BYTES)
    writer.raw(raw)
  },
  read(reader) {
    const raw = reader.take(reader.length())
    if (raw.length !== UUID_BYTES) throw reader.fault('value', `a handoff id of ${raw.length} bytes`)
    return uuidFromBytes(raw)
  },
}

function unfit(name: string, value: unknown, expected: string) {
  const shown = value instanceof Uint8Array ? `${value.length} bytes` : `'${String(value).slice(0, 80)}'`
  return wireError('ERR_HANDOFF_USAGE_WIRE_FIELD', [name, shown, expected])
}

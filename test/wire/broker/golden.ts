/** The vectors, with their fields turned into what the codecs speak: camel case, bigint, bytes, enum numbers. */
import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import { BROKER_PACKAGE, BROKER_PROTO } from '../../../src/wire/broker/schema.js'

export interface Vector {
  readonly name: string
  readonly type: string
  readonly fields: Record<string, unknown>
  readonly hex: string
}

const file = JSON.parse(readFileSync(new URL('../../golden/broker-v1.json', import.meta.url), 'utf8'))
export const vectors: readonly Vector[] = file.vectors

const schema = protobuf.parse(BROKER_PROTO).root.resolveAll()

/** A vector's fields as a complete message: defaults filled in by hand, not by the code under test. */
export function expectedMessage(type: string, fields: Record<string, unknown>): Record<string, unknown> {
  const message: Record<string, unknown> = {}
  for (const field of schema.lookupType(`${BROKER_PACKAGE}.${type}`).fieldsArray) {
    const given = fields[field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)]
    if (given !== undefined) message[field.name] = convert(field, given)
    else if (!field.partOf && !(field.resolvedType instanceof protobuf.Type)) message[field.name] = defaultOf(field)
  }
  return message
}

function convert(field: protobuf.Field, value: unknown): unknown {
  if (field.map || field.repeated) return value
  if (field.resolvedType instanceof protobuf.Enum) return field.resolvedType.values[value as string]
  if (field.resolvedType) return expectedMessage(field.resolvedType.name, value as Record<string, unknown>)
  if (field.type === 'bytes') return Buffer.from((value as { $hex: string }).$hex, 'hex')
  return field.type === 'uint64' ? BigInt(value as string) : value
}

function defaultOf(field: protobuf.Field): unknown {
  if (field.map) return {}
  if (field.repeated) return []
  if (field.resolvedType instanceof protobuf.Enum) return 0
  return { uint64: 0n, uint32: 0, string: '', bool: false, bytes: Buffer.alloc(0) }[field.type]
}

/** Buffers and Uint8Arrays alike become hex, so that values compare by content. */
export function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(comparable)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, comparable(inner)]))
  }
  return value
}

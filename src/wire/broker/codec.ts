/**
 * Reflection over the schema: one codec a message, plain objects in and out, every 64-bit number a bigint.
 *
 * protobufjs compiles the codecs at load and rejects what a strict decoder must (bad UTF-8, long varints, 100 levels).
 * It carries 64-bit numbers as Long, so a field list taken from the same schema turns those, and nothing else, around.
 */
import protobuf from 'protobufjs'
import { brokerWireError } from '../../errors/broker-wire.js'
import { BROKER_PACKAGE, BROKER_PROTO } from './schema.js'

export interface Codec<T> {
  /** Defaults stay off the wire. @throws RangeError when a number does not fit its field */
  encode(message: Partial<T>): Uint8Array
  /** Every field present, unknown ones dropped. @throws ERR_HANDOFF_BROKER_PEER_UNDECODABLE */
  decode(bytes: Uint8Array): T
}

type Plain = Record<string, unknown>
interface LongBits {
  readonly low: number
  readonly high: number
}

const root = protobuf.parse(BROKER_PROTO).root.resolveAll()

const U64_MAX = 0xffff_ffff_ffff_ffffn
const U32_MAX = 0xffff_ffff

const toLong = (value: bigint): LongBits & { unsigned: boolean } => {
  if (value < 0n || value > U64_MAX) throw new RangeError(`${value} does not fit an unsigned 64-bit field`)
  return { low: Number(value & 0xffff_ffffn) | 0, high: Number(value >> 32n) | 0, unsigned: true }
}
const fromLong = (value: LongBits | number): bigint =>
  typeof value === 'number' ? BigInt(value) : (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0)

interface FieldShape {
  readonly name: string
  readonly optional: boolean
  pack(value: unknown): unknown
  unpack(value: unknown): unknown
  readonly absent: () => unknown
}

const same = (value: unknown) => value

function fieldShape(field: protobuf.Field): FieldShape {
  const optional = field.partOf !== null && field.partOf !== undefined
  const shape = { name: field.name, optional, pack: same, unpack: same, absent: () => field.defaultValue as unknown }
  if (field.map) return { ...shape, absent: () => ({}) }
  if (field.repeated) return { ...shape, absent: () => [] }
  if (field.resolvedType instanceof protobuf.Type) {
    const inner = messageShape(field.resolvedType)
    const pack = (value: unknown) => packMessage(inner, value as Plain)
    return { ...shape, optional: true, pack, unpack: (value) => unpackMessage(inner, value as Plain) }
  }
  if (field.type === 'uint64') {
    const pack = (value: unknown) => toLong(value as bigint)
    return { ...shape, pack, unpack: (value) => fromLong(value as LongBits), absent: () => 0n }
  }
  if (field.type === 'uint32') return { ...shape, pack: (value) => checkUint32(value as number, field.name) }
  if (field.type === 'bytes') return { ...shape, absent: () => new Uint8Array(0) }
  return shape
}

function checkUint32(value: number, name: string): number {
  if (!Number.isInteger(value) || value < 0 || value > U32_MAX) throw new RangeError(`${name} ${value} is no uint32`)
  return value
}

const messageShape = (type: protobuf.Type): readonly FieldShape[] => type.fieldsArray.map(fieldShape)

function packMessage(shape: readonly FieldShape[], message: Plain): Plain {
  const packed: Plain = {}
  for (const field of shape) {
    const value = message[field.name]
    // proto3: a default is absent, and peers compare bytes.
    if (value === undefined || (!field.optional && isDefault(value))) continue
    packed[field.name] = field.pack(value)
  }
  return packed
}

const isDefault = (value: unknown) =>
  value === 0 || value === 0n || value === '' || value === false || (value instanceof Uint8Array && value.length === 0)

function unpackMessage(shape: readonly FieldShape[], message: Plain): Plain {
  const plain: Plain = {}
  for (const field of shape) {
    if (Object.hasOwn(message, field.name)) plain[field.name] = field.unpack(message[field.name])
    else if (!field.optional) plain[field.name] = field.absent()
  }
  return plain
}

/** The codec of one message of the schema, by its bare name. */
export function messageCodec<T>(name: string): Codec<T> {
  const type = root.lookupType(`${BROKER_PACKAGE}.${name}`)
  const shape = messageShape(type)
  return {
    encode: (message) => type.encode(packMessage(shape, message as Plain)).finish(),
    decode(bytes) {
      try {
        return unpackMessage(shape, type.decode(bytes) as unknown as Plain) as T
      } catch (cause) {
        throw brokerWireError('ERR_HANDOFF_BROKER_PEER_UNDECODABLE', [name, bytes.length], cause)
      }
    },
  }
}

/**
 * Postcard primitives, as far as the handoff wire uses them (wire spec, "Postcard").
 *
 * The reader never trusts a declared length: it is compared with what remains before anything is set aside.
 */
import { wireError } from '../errors/wire.js'

/** The reference decoder's verdict classes, one to one. */
export type PostcardFaultKind = 'truncated' | 'varint' | 'bool' | 'option' | 'utf8' | 'value'

/** What was wrong, without saying whose bytes they were: the caller knows and turns it into a HandoffError. */
export class PostcardFault extends Error {
  override readonly name = 'PostcardFault'
  constructor(
    readonly kind: PostcardFaultKind,
    detail: string,
    readonly offset: number,
  ) {
    super(`${detail} at byte ${offset}`)
  }
}

// The seven lowest groups are 49 bits: exact in a double, so that most integers need no bigint arithmetic.
const LOW_GROUPS = 7
const HIGH_SHIFT = 49n
const LOW_MASK = (1n << HIGH_SHIFT) - 1n
const U64_GROUPS = 10
// A BOM is data here, and U+FFFD would be a guess (wire spec, "string").
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class PostcardReader {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  /** Everything behind the last value read, as a copy. */
  rest(): Uint8Array {
    return this.take(this.remaining)
  }

  fault(kind: PostcardFaultKind, detail: string): PostcardFault {
    return new PostcardFault(kind, detail, this.#offset)
  }

  byte(): number {
    const byte = this.#bytes[this.#offset]
    if (byte === undefined) throw this.fault('truncated', 'one more byte is missing')
    this.#offset += 1
    return byte
  }

  /** The next `count` bytes as a copy, so that the caller's buffer may be reused. */
  take(count: number): Uint8Array {
    if (count > this.remaining) throw this.fault('truncated', `${count} bytes declared, ${this.remaining} left`)
    const start = this.#offset
    this.#offset += count
    return new Uint8Array(this.#bytes.subarray(start, this.#offset))
  }

  u16(): number {
    return this.#varint(3, 0x03)
  }

  u32(): number {
    return this.#varint(5, 0x0f)
  }

  u64(): bigint {
    let low = 0
    let high = 0
    for (let group = 0; group < U64_GROUPS; group += 1) {
      const byte = this.byte()
      const bits = byte & 0x7f
      if (group < LOW_GROUPS) low += bits * 2 ** (7 * group)
      else high += bits * 2 ** (7 * (group - LOW_GROUPS))
      if (byte === bits) {
        if (group === U64_GROUPS - 1 && byte > 0x01) break
        return high === 0 ? BigInt(low) : (BigInt(high) << HIGH_SHIFT) | BigInt(low)
      }
    }
    throw this.fault('varint', 'an integer overflows 64 bits')
  }

  /** A byte or item count that the remaining bytes can hold; every item takes at least one byte. */
  length(): number {
    const declared = this.u64()
    if (declared > BigInt(this.remaining)) {
      throw this.fault('truncated', `a length of ${declared} declared, ${this.remaining} bytes left`)
    }
    return Number(declared)
  }

  bool(): boolean {
    return this.#flag('bool')
  }

  /** True when a value follows. */
  option(): boolean {
    return this.#flag('option')
  }

  text(): string {
    const bytes = this.take(this.length())
    try {
      return utf8.decode(bytes)
    } catch {
      throw this.fault('utf8', `${bytes.length} bytes of text are not UTF-8`)
    }
  }

  #flag(kind: 'bool' | 'option'): boolean {
    const byte = this.byte()
    if (byte > 1) throw this.fault(kind, `${byte} where 0 or 1 belongs`)
    return byte === 1
  }

  #varint(groups: 3 | 5, lastMax: number): number {
    let value = 0
    for (let group = 0; group < groups; group += 1) {
      const byte = this.byte()
      const bits = byte & 0x7f
      value += bits * 2 ** (7 * group)
      if (byte === bits) {
        if (group === groups - 1 && byte > lastMax) break
        return value
      }
    }
    throw this.fault('varint', `an integer overflows ${groups === 3 ? 16 : 32} bits`)
  }
}

const encoder = new TextEncoder()

export class PostcardWriter {
  #bytes = new Uint8Array(64)
  #length = 0

  /** @param limit bytes; a value that would pass it is refused with ERR_HANDOFF_USAGE_FRAME_TOO_LARGE, before it is copied. */
  constructor(readonly limit: number) {}

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** A varint of a value that is known to be a non-negative integer up to 2^53 - 1. */
  varint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  u64(value: bigint): void {
    const high = Number(value >> HIGH_SHIFT)
    let low = Number(value & LOW_MASK)
    if (high > 0) {
      for (let group = 0; group < LOW_GROUPS; group += 1) {
        this.byte((low % 0x80) | 0x80)
        low = Math.floor(low / 0x80)
      }
    }
    this.varint(high > 0 ? high : low)
  }

  /** A lone surrogate is written as U+FFFD: a failure's text must never keep the failure from being told. */
  text(text: string): void {
    const length = Buffer.byteLength(text)
    this.varint(length)
    this.#reserve(length)
    encoder.encodeInto(text, this.#bytes.subarray(this.#length))
    this.#length += length
  }

  /** What was written, in a buffer of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed > this.limit) throw wireError('ERR_HANDOFF_USAGE_FRAME_TOO_LARGE', [needed, this.limit])
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.min(this.limit, Math.max(needed, this.#bytes.length * 2)))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

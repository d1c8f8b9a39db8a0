/**
 * Values to small integers and back, so that a state of many parts becomes a few numbers.
 *
 * The parts of a world repeat: a million states are combinations of some hundred process snapshots, channels and
 * kernel facts. Each distinct part is stored once. An object's number is remembered by identity, so a part that a step
 * did not change costs one lookup; therefore interned objects must never be mutated.
 */
import { canonical } from './canonical.js'

export interface Interner<T> {
  /** The number of `value`; equal values have equal numbers. @throws NotCanonicalError for a value without a canonical text. */
  id(value: T): number
  /** The first value that was given this number. @throws RangeError for a number never handed out. */
  value(id: number): T
  /** The representative that equals `value`: afterwards equality is identity. */
  canonical(value: T): T
  /** How many distinct values were seen. */
  readonly size: number
}

export function createInterner<T>(): Interner<T> {
  const byIdentity = new WeakMap<object, number>()
  const byText = new Map<string, number>()
  const values: T[] = []

  function idByText(value: T): number {
    const text = canonical(value)
    let id = byText.get(text)
    if (id === undefined) {
      id = values.length
      byText.set(text, id)
      values.push(value)
    }
    return id
  }

  function id(value: T): number {
    if (typeof value !== 'object' || value === null) {
      return idByText(value)
    }
    let known = byIdentity.get(value)
    if (known === undefined) {
      known = idByText(value)
      byIdentity.set(value, known)
    }
    return known
  }

  function lookUp(wanted: number): T {
    if (wanted < 0 || wanted >= values.length) {
      throw new RangeError(`no value was interned under ${wanted}`)
    }
    return values[wanted] as T
  }

  return {
    id,
    value: lookUp,
    canonical: (value) => lookUp(id(value)),
    get size() {
      return values.length
    },
  }
}

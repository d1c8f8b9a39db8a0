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
  const byPrimitive = new Map<unknown, number>()
  const values: T[] = []

  function known<K>(table: { get(key: K): number | undefined; set(key: K, id: number): unknown }, key: K, value: T) {
    let id = table.get(key)
    if (id === undefined) {
      id = values.length
      table.set(key, id)
      values.push(value)
    }
    return id
  }

  function id(value: T): number {
    if (typeof value === 'object' && value !== null) {
      let id = byIdentity.get(value)
      if (id === undefined) {
        id = known(byText, canonical(value), value)
        byIdentity.set(value, id)
      }
      return id
    }
    // A Map takes -0 for 0; functions and symbols are refused by their missing text.
    const isPlain = typeof value !== 'function' && typeof value !== 'symbol' && !Object.is(value, -0)
    return isPlain ? known<unknown>(byPrimitive, value, value) : known(byText, canonical(value), value)
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

/**
 * A pure function of one part of a state and one argument, computed once for each pair.
 *
 * With `parts`, every result is the interned representative, so a world whose parts change only through such functions
 * builds no equal part twice: its steps and its keys then cost some table lookups. That is what makes an exploration
 * fast; the explorer itself needs well under a microsecond for an edge.
 *
 * @param parts one interner for all functions over the same kind of part.
 */
export function memoPart<P extends object, A, R>(
  change: (part: P, argument: A) => R,
  parts?: Interner<R>,
): (part: P, argument: A) => R {
  const tables = new WeakMap<P, Map<A, R>>()
  return (part, argument) => {
    let table = tables.get(part)
    if (table === undefined) {
      table = new Map()
      tables.set(part, table)
    }
    let result = table.get(argument)
    if (result === undefined) {
      result = change(part, argument)
      if (parts !== undefined) {
        result = parts.canonical(result)
      }
      table.set(argument, result)
    }
    return result
  }
}

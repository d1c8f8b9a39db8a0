/**
 * The set of known states, each with its number in the order of discovery.
 *
 * A state's key is a text or a list of parts. Lists become rows of numbers ({@link RowIndex}).
 */
import { createInterner, type Interner } from './interner.js'
import { RowIndex } from './row-index.js'
import { ContractError } from './world.js'

export type StateKey = string | readonly unknown[]

export interface StateIndex {
  /** The number of the state with this key: `size` before the call when it is new. */
  add(key: StateKey): number
  readonly size: number
  /** Estimated bytes held by the index itself. */
  readonly bytes: number
  /** Distinct interned parts. */
  readonly parts: number
}

export function createStateIndex(sample: StateKey): StateIndex {
  return typeof sample === 'string' ? createTextIndex() : createRowIndex(sample.length)
}

function createTextIndex(): StateIndex {
  const ids = new Map<string, number>()
  let characters = 0
  const check = (key: StateKey): string => {
    if (typeof key !== 'string') {
      throw new ContractError('the key of a state was a text before and is a list of parts now')
    }
    return key
  }
  return {
    add(key) {
      const text = check(key)
      const known = ids.get(text)
      if (known !== undefined) {
        return known
      }
      characters += text.length
      ids.set(text, ids.size)
      return ids.size - 1
    },
    get size() {
      return ids.size
    },
    get bytes() {
      // A one-byte string with its header, and the Map's entry with its share of free buckets.
      return characters + ids.size * 56
    },
    parts: 0,
  }
}

// Integers of this range stand for themselves; the lowest bit tells them from numbers of interned parts.
const SMALL = 0x3fff_ffff

function createRowIndex(width: number): StateIndex {
  const interner: Interner<unknown> = createInterner()
  const rows = new RowIndex(width)
  const probe = new Int32Array(width)
  const lastParts: unknown[] = new Array(width).fill(0)
  const lastCodes = new Int32Array(width)

  /** Fills `probe`. */
  function encode(key: StateKey): void {
    if (typeof key === 'string' || key.length !== width) {
      throw new ContractError(`the key of a state must always be a list of ${width} parts`)
    }
    for (let at = 0; at < width; at++) {
      const part = key[at]
      let code: number
      if (part === lastParts[at] && part !== 0) {
        // Neighbouring states share most parts; 0 is left out, since -0 equals it.
        code = lastCodes[at] as number
      } else {
        code =
          typeof part === 'number' && Number.isInteger(part) && part <= SMALL && part >= -SMALL && !Object.is(part, -0)
            ? part << 1
            : (interner.id(part) << 1) | 1
        lastParts[at] = part
        lastCodes[at] = code
      }
      probe[at] = code
    }
  }

  return {
    add(key) {
      encode(key)
      return rows.add(probe)
    },
    get size() {
      return rows.size
    },
    get bytes() {
      return rows.bytes
    },
    get parts() {
      return interner.size
    },
  }
}

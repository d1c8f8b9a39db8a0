/**
 * The set of known states, each with its number in the order of discovery.
 *
 * A state's key is a text or a list of parts. Lists become rows of 32-bit numbers in one flat hash table: no object per
 * state, 4 bytes per part and 6 to 12 for the table.
 */
import { createInterner, type Interner } from './interner.js'
import { int32List } from './numbers.js'
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
  const rows = int32List()
  const probe = new Int32Array(width)
  const lastParts: unknown[] = new Array(width).fill(0)
  const lastCodes = new Int32Array(width)
  let table = new Int32Array(1 << 12)
  let mask = table.length - 1
  let size = 0

  /** Fills `probe`. @returns its hash. */
  function encode(key: StateKey): number {
    if (typeof key === 'string' || key.length !== width) {
      throw new ContractError(`the key of a state must always be a list of ${width} parts`)
    }
    let hash = 0x9e3779b9 | 0
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
      hash = Math.imul(hash ^ code, 0x85ebca6b)
      hash ^= hash >>> 13
    }
    hash = Math.imul(hash, 0xc2b2ae35)
    return (hash ^ (hash >>> 16)) >>> 0
  }

  function same(id: number): boolean {
    const from = id * width
    for (let at = 0; at < width; at++) {
      if (rows.get(from + at) !== probe[at]) {
        return false
      }
    }
    return true
  }

  /** The slot of the probed key: holds its number + 1, or 0 when it is new. */
  function slotOf(hash: number): number {
    let slot = hash & mask
    for (;;) {
      const held = table[slot] as number
      if (held === 0 || same(held - 1)) {
        return slot
      }
      slot = (slot + 1) & mask
    }
  }

  function rehash(): void {
    table = new Int32Array(table.length * 2)
    mask = table.length - 1
    for (let id = 0; id < size; id++) {
      let hash = 0x9e3779b9 | 0
      for (let at = 0; at < width; at++) {
        hash = Math.imul(hash ^ rows.get(id * width + at), 0x85ebca6b)
        hash ^= hash >>> 13
      }
      hash = Math.imul(hash, 0xc2b2ae35)
      let slot = ((hash ^ (hash >>> 16)) >>> 0) & mask
      while (table[slot] !== 0) {
        slot = (slot + 1) & mask
      }
      table[slot] = id + 1
    }
  }

  return {
    add(key) {
      const slot = slotOf(encode(key))
      const held = table[slot] as number
      if (held !== 0) {
        return held - 1
      }
      const id = size++
      for (let at = 0; at < width; at++) {
        rows.push(probe[at] as number)
      }
      table[slot] = id + 1
      // Two thirds full is where linear probing starts to hurt.
      if (size * 3 > table.length * 2) {
        rehash()
      }
      return id
    },
    get size() {
      return size
    },
    get bytes() {
      return rows.bytes + table.byteLength
    },
    get parts() {
      return interner.size
    },
  }
}

/**
 * The set of known states as rows of 32-bit numbers: one flat hash table, no object per state, 4 bytes per part and 6 to
 * 12 for the table.
 */

const SHIFT = 12
const MASK = (1 << SHIFT) - 1

export class RowIndex {
  /** Rows never straddle two chunks, so that one is read with one look-up. */
  private readonly chunks: Int32Array[] = []
  private table = new Int32Array(1 << 12)
  private mask = this.table.length - 1
  private used = 0

  constructor(readonly width: number) {}

  get size(): number {
    return this.used
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.byteLength, this.table.byteLength)
  }

  /** The number of the row that begins in `from` at `offset`: `size` before the call when it is new. */
  add(from: Int32Array, offset = 0): number {
    const { width, table, mask } = this
    let slot = hashOf(from, offset, width) & mask
    for (let held = table[slot] as number; held !== 0; held = table[slot] as number) {
      if (this.isSame(held - 1, from, offset)) return held - 1
      slot = (slot + 1) & mask
    }
    const id = this.used++
    if ((id & MASK) === 0) this.chunks.push(new Int32Array(width << SHIFT))
    const chunk = this.chunks[id >>> SHIFT] as Int32Array
    const base = (id & MASK) * width
    for (let at = 0; at < width; at++) chunk[base + at] = from[offset + at] as number
    table[slot] = id + 1
    // Two thirds full is where linear probing starts to hurt.
    if (this.used * 3 > table.length * 2) this.grow()
    return id
  }

  /** Copies the row of a state to the beginning of `to`. */
  load(id: number, to: Int32Array): void {
    const { width } = this
    const chunk = this.chunks[id >>> SHIFT] as Int32Array
    const base = (id & MASK) * width
    for (let at = 0; at < width; at++) to[at] = chunk[base + at] as number
  }

  private isSame(id: number, from: Int32Array, offset: number): boolean {
    const { width } = this
    const chunk = this.chunks[id >>> SHIFT] as Int32Array
    const base = (id & MASK) * width
    for (let at = 0; at < width; at++) if (chunk[base + at] !== from[offset + at]) return false
    return true
  }

  private grow(): void {
    const table = new Int32Array(this.table.length * 2)
    const mask = table.length - 1
    const { width } = this
    for (let id = 0; id < this.used; id++) {
      let slot = hashOf(this.chunks[id >>> SHIFT] as Int32Array, (id & MASK) * width, width) & mask
      while (table[slot] !== 0) slot = (slot + 1) & mask
      table[slot] = id + 1
    }
    this.table = table
    this.mask = mask
  }
}

function hashOf(row: Int32Array, offset: number, width: number): number {
  let hash = 0x9e3779b9 | 0
  for (let at = 0; at < width; at++) {
    hash = Math.imul(hash ^ (row[offset + at] as number), 0x85ebca6b)
    hash ^= hash >>> 13
  }
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * Growing lists of numbers without boxes: typed arrays in chunks, so that growth copies nothing and wastes little.
 */

const SHIFT = 14
const CHUNK = 1 << SHIFT
const MASK = CHUNK - 1

type Chunk = Int32Array | Uint32Array | Uint16Array

class Numbers<A extends Chunk> {
  private readonly chunks: A[] = []
  private used = 0

  constructor(private readonly make: (length: number) => A) {}

  get length(): number {
    return this.used
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }

  /** Reading beyond the end gives undefined behaviour; callers count for themselves. */
  get(at: number): number {
    return (this.chunks[at >>> SHIFT] as A)[at & MASK] as number
  }

  set(at: number, value: number): void {
    ;(this.chunks[at >>> SHIFT] as A)[at & MASK] = value
  }

  push(value: number): void {
    const at = this.used++
    if ((at & MASK) === 0) {
      this.chunks.push(this.make(CHUNK))
    }
    ;(this.chunks[at >>> SHIFT] as A)[at & MASK] = value
  }
}

export type NumberList = Pick<Numbers<Chunk>, 'get' | 'set' | 'push' | 'length' | 'bytes'>

export const int32List = (): NumberList => new Numbers((length) => new Int32Array(length))
export const uint32List = (): NumberList => new Numbers((length) => new Uint32Array(length))
export const uint16List = (): NumberList => new Numbers((length) => new Uint16Array(length))

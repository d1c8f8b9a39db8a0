import { expect, test, vi } from 'vitest'
import { PostcardReader, PostcardWriter } from '../../src/wire/postcard.js'

const read = {
  u16: (bytes: number[]) => new PostcardReader(Uint8Array.from(bytes)).u16(),
  u32: (bytes: number[]) => new PostcardReader(Uint8Array.from(bytes)).u32(),
  u64: (bytes: number[]) => new PostcardReader(Uint8Array.from(bytes)).u64(),
}

// The last byte that a type allows may not carry a bit beyond the type: 03, 0f and 01 are its largest values.
test.each([
  ['u16', [0xff, 0xff, 0x03], 0xffff],
  ['u32', [0xff, 0xff, 0xff, 0xff, 0x0f], 0xffff_ffff],
  ['u64', [...Array<number>(9).fill(0xff), 0x01], 2n ** 64n - 1n],
] as const)(
  'the largest %s is read, and its last byte one higher or continued is a bad varint',
  (type, bytes, value) => {
    expect(read[type]([...bytes])).toBe(value)
    const last = bytes.at(-1) as number
    const badVarint = expect.objectContaining({ kind: 'varint' })
    expect(() => read[type]([...bytes.slice(0, -1), last + 1])).toThrow(badVarint)
    expect(() => read[type]([...bytes.slice(0, -1), last | 0x80, 0x00])).toThrow(badVarint)
    expect(() => read[type](bytes.slice(0, -1))).toThrow(expect.objectContaining({ kind: 'truncated' }))
  },
)

test('every power of two around a group boundary is read and written in its shortest form', () => {
  for (let bits = 0n; bits < 64n; bits += 1n) {
    for (const value of [2n ** bits - 1n, 2n ** bits, 2n ** (bits + 1n) - 1n]) {
      const writer = new PostcardWriter(16)
      writer.u64(value)
      const bytes = writer.finish()
      expect(new PostcardReader(bytes).u64()).toBe(value)
      expect(bytes.length).toBe(Math.max(1, Math.ceil(value.toString(2).length / 7)))
    }
  }
})

test('writing many small values copies each byte a bounded number of times', () => {
  const set = Uint8Array.prototype.set
  let copied = 0
  const spy = vi.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, source, offset) {
    copied += source.length
    set.call(this, source, offset)
  })
  try {
    const writer = new PostcardWriter(1_000_000)
    for (let index = 0; index < 300_000; index += 1) writer.u64(300n)
    expect(writer.finish().length).toBe(600_000)
    expect(copied).toBeGreaterThan(0)
    expect(copied).toBeLessThan(2 * 600_000)
  } finally {
    spy.mockRestore()
  }
})

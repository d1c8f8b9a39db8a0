import { describe, expect, test } from 'vitest'
import { canonical, createInterner, memoPart, NotCanonicalError } from '../../../machines/explore/index.js'

describe('canonical text', () => {
  test('equal values have one text, in whatever order their keys came', () => {
    expect(canonical({ b: [1, { y: null, x: 'z' }], a: true })).toBe(
      canonical({ a: true, b: [1, { x: 'z', y: null }] }),
    )
    expect(canonical(Object.create(null, { a: { value: 1, enumerable: true } }))).toBe(canonical({ a: 1 }))
  })

  test('different values have different texts', () => {
    const values = [
      0,
      -0,
      '0',
      1n,
      '1n',
      null,
      undefined,
      'null',
      [],
      {},
      [undefined],
      [null],
      { a: undefined },
      Number.NaN,
      'NaN',
      new Uint8Array([1]),
      [1],
      new Uint16Array([1]),
      'a,b',
      ['a', 'b'],
      ['a,b'],
      true,
    ]
    expect(new Set(values.map(canonical)).size).toBe(values.length)
  })

  test('what has no honest text is refused; toJSON speaks for itself', () => {
    for (const value of [new Map(), new Set(), () => 1, Symbol('s'), new Error('e'), { deep: [new Map()] }]) {
      expect(() => canonical(value)).toThrow(NotCanonicalError)
    }
    expect(canonical({ toJSON: () => ({ id: 'child' }) })).toBe('{"id":"child"}')
  })
})

describe('an interner', () => {
  test('numbers equal values alike and keeps the first of them', () => {
    const interner = createInterner<unknown>()
    const first = { a: [1] }
    expect([first, { a: [1] }, { a: [2] }, 'a', 'a', -0, 0, Number.NaN, Number.NaN].map((v) => interner.id(v))).toEqual(
      [0, 0, 1, 2, 2, 3, 4, 5, 5],
    )
    expect(interner.canonical({ a: [1] })).toBe(first)
    expect(interner.value(1)).toEqual({ a: [2] })
    expect(interner.size).toBe(6)
    expect(() => interner.value(6)).toThrow(RangeError)
    expect(() => interner.id(() => 1)).toThrow(NotCanonicalError)
  })

  test('a change of a part is computed once and gives the representative', () => {
    const parts = createInterner<{ readonly n: number }>()
    let computed = 0
    const add = memoPart((part: { readonly n: number }, by: number) => {
      computed += 1
      return { n: part.n + by }
    }, parts)
    const zero = parts.canonical({ n: 0 })
    const two = add(zero, 2)
    expect(add(zero, 2)).toBe(two)
    expect(computed).toBe(1)
    expect(add(add(zero, 1), 1)).toBe(two)
    expect(add(two, -2)).toBe(zero)
  })
})

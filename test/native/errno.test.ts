import { expect, test } from 'vitest'
import { native } from '../../src/os/native.js'

test('a failed system call throws what Node itself would throw', () => {
  expect(() => native.close(9_999)).toThrow(
    expect.objectContaining({
      name: 'Error',
      message: 'EBADF: bad file descriptor, close',
      code: 'EBADF',
      errno: -9,
      syscall: 'close',
    }),
  )
})

test('arguments of a wrong type are refused before the kernel hears of them', () => {
  const wrong = native as unknown as { [name: string]: (...args: unknown[]) => unknown }
  for (const [name, ...args] of [
    ['close', 'three'],
    ['close', 1.5],
    ['close'],
    ['close', 2 ** 40],
    ['send', 1, 'text'],
    ['send', 1, new Uint16Array(2)],
    ['sendmsg', 1, new Uint8Array(1), 'no array'],
    ['sendmsg', 1, new Uint8Array(1), ['no number']],
    ['bindUnix', 1, ''],
    ['bindInet', 1, 7, 80],
  ] as const) {
    expect(() => wrong[name]?.(...args), name).toThrow(TypeError)
  }
  expect(() => native.bindInet(1, 'not.numeric.example', 80)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  expect(() => native.bindInet(1, '127.0.0.1', 65_536)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
})

test('methods refuse a receiver that is not theirs', () => {
  const { start } = native.Poll.prototype
  expect(() => start.call({} as never, 1)).toThrow(TypeError)
  const { write } = native.Writer.prototype
  expect(() => write.call({} as never, new Uint8Array(1))).toThrow(TypeError)
})

test('open file limits are numbers', () => {
  const { soft, hard } = native.limitNofile()
  expect(soft).toBeGreaterThan(0)
  expect(hard).toBeGreaterThanOrEqual(soft)
})

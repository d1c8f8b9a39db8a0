import { afterEach, expect, test } from 'vitest'
import { native } from '../../src/os/native.js'
import { checkLeaks, codeOf } from '../os/support.js'

checkLeaks()

const { SOCK_STREAM } = native.constants
/** A frame of ten bytes: a mark, a six-byte timestamp, a mark. */
const FRAME = Uint8Array.from([0xb0, 0xb1, 0, 0, 0, 0, 0, 0, 0xb8, 0xb9])
const TS_OFFSET = 2
const TS_BYTES = 6

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})
function writerAndPeer(): { writer: InstanceType<typeof native.Writer>; fd: number; peer: number } {
  const [fd, peer] = native.socketpair(SOCK_STREAM)
  const writer = new native.Writer(fd)
  closers.push(() => {
    writer.close()
    native.close(fd)
    native.close(peer)
  })
  return { writer, fd, peer }
}
function readAll(peer: number): Buffer {
  const parts: Buffer[] = []
  const into = new Uint8Array(1 << 16)
  try {
    for (;;) {
      const count = native.recv(peer, into)
      if (count === 0) break
      parts.push(Buffer.from(into.subarray(0, count)))
    }
  } catch (error) {
    if ((error as { code: string }).code !== 'EAGAIN') throw error
  }
  return Buffer.concat(parts)
}
function leb128(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte, i) => sum | (BigInt(byte & 0x7f) << BigInt(7 * i)), 0n)
}

test('beats leave while this thread does nothing but wait for them, each a whole frame with the time in it', () => {
  const { writer, peer } = writerAndPeer()
  const start = BigInt(Date.now())
  writer.startBeating(FRAME, TS_OFFSET, TS_BYTES, 1)
  // The loop is blocked: no timer, no promise and no I/O callback can run here.
  while (native.pendingBytes(peer) < 5 * FRAME.length) {}
  writer.stopBeating()
  const end = BigInt(Date.now())
  const seen = readAll(peer)
  expect(seen.length % FRAME.length).toBe(0)
  for (let at = 0; at < seen.length; at += FRAME.length) {
    const frame = seen.subarray(at, at + FRAME.length)
    expect([...frame.subarray(0, 2), ...frame.subarray(8)]).toEqual([0xb0, 0xb1, 0xb8, 0xb9])
    const stamp = frame.subarray(TS_OFFSET, TS_OFFSET + TS_BYTES)
    expect([...stamp].map((byte) => byte >> 7)).toEqual([1, 1, 1, 1, 1, 0])
    expect(leb128(stamp) >= start && leb128(stamp) <= end).toBe(true)
  }
  expect(writer.look()).toMatchObject({ beats: seen.length / FRAME.length, pending: 0, errno: 0 })
})

test('a short value is padded to the length that the frame has room for', () => {
  const { writer, peer } = writerAndPeer()
  writer.startBeating(new Uint8Array(10), 0, 10, 1)
  while (native.pendingBytes(peer) < 10) {}
  writer.stopBeating()
  const frame = readAll(peer).subarray(0, 10)
  expect([...frame].map((byte) => byte >> 7)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 0])
  expect(Number(leb128(frame)) / Date.now()).toBeCloseTo(1, 2)
})

test('no beat leaves after stopBeating, and beating can start again', () => {
  const { writer, peer } = writerAndPeer()
  for (let round = 0; round < 3; round += 1) {
    writer.startBeating(FRAME, TS_OFFSET, TS_BYTES, 1)
    expect(codeOf(() => writer.startBeating(FRAME, TS_OFFSET, TS_BYTES, 1))).toBe('EALREADY')
    while (native.pendingBytes(peer) < FRAME.length) {}
    writer.stopBeating()
    const { beats } = writer.look()
    readAll(peer)
    expect(writer.look().beats).toBe(beats)
    expect(native.pendingBytes(peer)).toBe(0)
  }
})

test('frames and beats never interleave, also when the socket is full again and again', () => {
  const { writer, peer } = writerAndPeer()
  writer.startBeating(FRAME, TS_OFFSET, TS_BYTES, 1)
  const message = new Uint8Array(100_000).fill(0x4d)
  const received: Buffer[] = []
  let pending = 0
  let written = 0
  while (written < 200 || pending > 0) {
    if (written < 200) {
      pending = writer.write(message)
      written += 1
    }
    received.push(readAll(peer))
    pending = writer.flush()
  }
  writer.stopBeating()
  received.push(readAll(peer))
  const stream = Buffer.concat(received)
  let messages = 0
  let beats = 0
  for (let at = 0; at < stream.length; ) {
    if (stream[at] === 0x4d) {
      expect(stream.subarray(at, at + message.length).equals(message)).toBe(true)
      at += message.length
      messages += 1
    } else {
      expect([stream[at], stream[at + 1], stream[at + 8], stream[at + 9]]).toEqual([0xb0, 0xb1, 0xb8, 0xb9])
      at += FRAME.length
      beats += 1
    }
  }
  expect(messages).toBe(200)
  expect(beats).toBe(writer.look().beats)
})

test('the thread sends what JavaScript left over, while JavaScript is blocked', () => {
  const { writer, peer } = writerAndPeer()
  const message = new Uint8Array(1 << 20).fill(7)
  expect(writer.write(message)).toBeGreaterThan(0)
  writer.startBeating(FRAME, TS_OFFSET, TS_BYTES, 1)
  let received = 0
  while (received < message.length + FRAME.length) received += readAll(peer).length
  writer.stopBeating()
  expect(writer.look().pending).toBe(0)
})

test('a full socket costs beats, never a torn one', () => {
  const { writer, peer } = writerAndPeer()
  expect(writer.write(new Uint8Array(1 << 20))).toBeGreaterThan(0)
  writer.startBeating(FRAME, TS_OFFSET, TS_BYTES, 1)
  while (writer.look().skipped < 3) {}
  expect(writer.look().beats).toBe(0)
  writer.stopBeating()
  let received = 0
  while (writer.flush() > 0) received += readAll(peer).length
  received += readAll(peer).length
  expect(received).toBe(1 << 20)
})

test('a dead peer is an EPIPE for the writer, not a signal, and what it said stays readable', () => {
  const [fd, peer] = native.socketpair(SOCK_STREAM)
  const writer = new native.Writer(fd)
  native.send(peer, Buffer.from('last words'))
  native.close(peer)
  writer.startBeating(FRAME, TS_OFFSET, TS_BYTES, 1)
  while (writer.look().errno === 0) {}
  expect(writer.look().errno).toBe(-32)
  expect(codeOf(() => writer.write(FRAME))).toBe('EPIPE')
  const into = new Uint8Array(64)
  expect(Buffer.from(into.subarray(0, native.recv(fd, into))).toString()).toBe('last words')
  writer.close()
  expect(codeOf(() => writer.write(FRAME))).toBe('EBADF')
  writer.close()
  native.close(fd)
})

test('a timestamp outside of the frame is refused', () => {
  const { writer } = writerAndPeer()
  for (const [offset, length, period] of [
    [5, 6, 1],
    [11, 1, 1],
    [0, 0, 1],
    [0, 11, 1],
    [2, 6, 0],
    [2 ** 50, 6, 1],
  ] as const) {
    expect(() => writer.startBeating(FRAME, offset, length, period)).toThrow(RangeError)
  }
})

import { expect, test, vi } from 'vitest'
import { bytes, vector } from '../../src/wire/fields.js'
import { FrameDecoder, KEPT_BYTES, MAX_FRAME_LENGTH } from '../../src/wire/frames.js'
import { decodePayload, encodeMessage, HandoffDecoder } from '../../src/wire/handoff.js'
import { PostcardReader } from '../../src/wire/postcard.js'

const HANDOFF_ID = '00112233-4455-4677-8899-aabbccddeeff'
const heartbeat = (tsMs: bigint) => ({ type: 'Heartbeat', tsMs }) as const
const header = (length: number) => {
  const raw = Buffer.alloc(6)
  raw.writeUInt32LE(length)
  raw.writeUInt16LE(1, 4)
  return raw
}
/** An Abort whose frame declares exactly `length`: type 1, id 17, the text's length as a 3-byte varint, the text. */
const abortOf = (length: number) =>
  ({ type: 'Abort', handoffId: HANDOFF_ID, reason: 'r'.repeat(length - 2 - 1 - 17 - 3) }) as const

test('a header that declares 1 MiB sets no memory aside before its bytes arrive', () => {
  const frames = new FrameDecoder()
  frames.append(header(MAX_FRAME_LENGTH))
  expect(frames.next()).toBeNull()
  expect(frames.heldBytes).toBeLessThanOrEqual(16)
  frames.append(new Uint8Array(1000))
  expect(frames.next()).toBeNull()
  expect(frames.heldBytes).toBeLessThanOrEqual(2 * 1006)
})

test.each([0, 1, MAX_FRAME_LENGTH + 1, 0xffff_ffff])('a length of %i is refused from four bytes alone', (length) => {
  const frames = new FrameDecoder()
  frames.append(header(length).subarray(0, 4))
  expect(() => frames.next()).toThrow(
    expect.objectContaining({
      code: length < 2 ? 'ERR_HANDOFF_PEER_FRAME_MALFORMED' : 'ERR_HANDOFF_PEER_FRAME_TOO_LARGE',
    }),
  )
  expect(frames.heldBytes).toBe(4)
})

test('a frame of exactly the cap passes both ways, one byte more is refused by the writer', () => {
  const frame = encodeMessage(abortOf(MAX_FRAME_LENGTH))
  expect(frame.length).toBe(4 + MAX_FRAME_LENGTH)
  const [decoded] = [...new HandoffDecoder().push(frame)]
  expect(decoded?.message).toEqual(abortOf(MAX_FRAME_LENGTH))
  expect(() => encodeMessage(abortOf(MAX_FRAME_LENGTH + 1))).toThrow(
    expect.objectContaining({ code: 'ERR_HANDOFF_USAGE_FRAME_TOO_LARGE' }),
  )
})

test('the buffer of a big frame is given back, a small one is kept', () => {
  const frames = new FrameDecoder()
  frames.append(encodeMessage(abortOf(MAX_FRAME_LENGTH)))
  expect(frames.next()?.frameBytes).toBe(4 + MAX_FRAME_LENGTH)
  expect(frames.heldBytes).toBe(0)
  frames.append(encodeMessage(abortOf(30_000)))
  expect(frames.next()?.frameBytes).toBe(30_004)
  expect(frames.heldBytes).toBeGreaterThan(0)
  expect(frames.heldBytes).toBeLessThanOrEqual(KEPT_BYTES)
})

test('gathering a frame from single bytes copies each byte a bounded number of times', () => {
  const frame = encodeMessage(abortOf(MAX_FRAME_LENGTH))
  const copied = { bytes: 0 }
  const copy = Buffer.prototype.copy
  const spy = vi.spyOn(Buffer.prototype, 'copy').mockImplementation(function (this: Buffer, ...args) {
    const count = copy.apply(this, args)
    copied.bytes += count
    return count
  })
  try {
    const frames = new FrameDecoder()
    for (let index = 0; index < frame.length; index += 1) frames.append(frame.subarray(index, index + 1))
    expect(frames.next()?.frameBytes).toBe(frame.length)
    expect(copied.bytes).toBeGreaterThan(0)
    expect(copied.bytes).toBeLessThan(2 * frame.length)
  } finally {
    spy.mockRestore()
  }
})

test('a vector length beyond the remaining bytes is refused before an item is read', () => {
  const item = { read: vi.fn(), write: vi.fn() }
  const declared = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
  const readers = [Uint8Array.of(...declared, 1, 2, 3), Uint8Array.of(0x04, 1, 2, 3)]
  for (const raw of readers) {
    expect(() => vector(item).read(new PostcardReader(raw))).toThrow(expect.objectContaining({ kind: 'truncated' }))
  }
  expect(item.read).not.toHaveBeenCalled()
})

test('a byte length beyond the remaining bytes is refused before a copy is made', () => {
  const raw = Uint8Array.of(0x80, 0x80, 0x40, 1, 2, 3)
  const subarray = vi.spyOn(raw, 'subarray')
  expect(() => bytes.read(new PostcardReader(raw))).toThrow(expect.objectContaining({ kind: 'truncated' }))
  expect(subarray).not.toHaveBeenCalled()
})

test('messages in front of a bad frame are delivered, then the decoder is dead with that error', () => {
  const decoder = new HandoffDecoder()
  const stream = Buffer.concat([
    encodeMessage(heartbeat(1n)),
    encodeMessage(heartbeat(2n)),
    header(1),
    encodeMessage(heartbeat(3n)),
  ])
  const seen: bigint[] = []
  const read = () => {
    for (const { message } of decoder.push(stream)) if (message.type === 'Heartbeat') seen.push(message.tsMs)
  }
  expect(read).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_PEER_FRAME_MALFORMED' }))
  expect(seen).toEqual([1n, 2n])
  expect(read).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_PEER_FRAME_MALFORMED' }))
  expect(() => decoder.end()).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_PEER_FRAME_MALFORMED' }))
  expect(seen).toEqual([1n, 2n])
})

test('messages not taken from one push come with the next, also when their chunk was reused', () => {
  const decoder = new HandoffDecoder()
  const chunk = Buffer.concat([encodeMessage(heartbeat(1n)), encodeMessage(heartbeat(2n))])
  for (const { message } of decoder.push(chunk)) {
    expect(message).toEqual(heartbeat(1n))
    break
  }
  chunk.fill(0xff)
  expect([...decoder.push(encodeMessage(heartbeat(3n)))].map(({ message }) => message)).toEqual([
    heartbeat(2n),
    heartbeat(3n),
  ])
})

test('decoded bytes do not alias the stream', () => {
  const decoder = new HandoffDecoder()
  const hello = {
    type: 'Hello',
    role: 'successor',
    pid: 7,
    buildId: Uint8Array.of(1, 2, 3),
    protoMin: 1,
    protoMax: 1,
    capabilities: 0n,
  } as const
  const [first] = [...decoder.push(encodeMessage(hello, { trailing: Uint8Array.of(9) }))]
  for (const _ of decoder.push(encodeMessage(abortOf(200))));
  expect(first).toMatchObject({ message: hello, trailing: Uint8Array.of(9) })
})

test('end() inside a frame names a truncated stream, between frames it is silent, and nothing may follow it', () => {
  const inside = new HandoffDecoder()
  expect([...inside.push(encodeMessage(heartbeat(1n)).subarray(0, 7))]).toEqual([])
  expect(() => inside.end()).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_PEER_STREAM_TRUNCATED' }))

  const between = new HandoffDecoder()
  expect([...between.push(encodeMessage(heartbeat(1n)))]).toHaveLength(1)
  between.end()
  expect(() => between.push(new Uint8Array(1))).toThrow(
    expect.objectContaining({ code: 'ERR_HANDOFF_USAGE_DECODER_ENDED' }),
  )
})

test('a BOM is data', () => {
  const message = { type: 'Abort', handoffId: HANDOFF_ID, reason: '\ufeffwhy' } as const
  expect(decodePayload(encodeMessage(message).subarray(6)).message).toEqual(message)
})

test('text with a lone surrogate is told with U+FFFD in its place', () => {
  const message = { type: 'Abort', handoffId: HANDOFF_ID, reason: 'a\ud800b' } as const
  expect(decodePayload(encodeMessage(message).subarray(6)).message).toEqual({ ...message, reason: 'a\ufffdb' })
})

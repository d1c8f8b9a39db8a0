import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isHandoffError } from '../../src/errors/handoff-error.js'
import { writeHeader } from '../../src/wire/frames.js'
import { type DecodedMessage, decodePayload, encodeMessage, HandoffDecoder } from '../../src/wire/handoff.js'
import { decodeJournal } from '../../src/wire/journal.js'
import { anyMessage, cut } from './arbitraries.js'

const anyFrame = fc.record({
  message: anyMessage,
  protoVersion: fc.integer({ min: 0, max: 0xffff }),
  trailing: fc.uint8Array({ maxLength: 40 }),
})

test('any message, version and trailing bytes come back as they were', () => {
  fc.assert(
    fc.property(anyFrame, ({ message, protoVersion, trailing }) => {
      const frame = encodeMessage(message, { protoVersion, trailing })
      const decoded = collect(new HandoffDecoder(), [frame])
      expect(decoded).toEqual([{ message, trailing, version: protoVersion, frameBytes: frame.length }])
    }),
    { numRuns: 500 },
  )
})

test('any split of a stream gives the same messages', () => {
  const cuts = fc.array(fc.nat(), { maxLength: 30 })
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 8 }), cuts, (frames, at) => {
      const stream = Buffer.concat(frames.map(({ message, ...options }) => encodeMessage(message, options)))
      const decoder = new HandoffDecoder()
      const decoded = collect(decoder, cut(stream, at))
      decoder.end()
      expect(decoded.map(({ message }) => message)).toEqual(frames.map(({ message }) => message))
      expect(decoder.consumed).toBe(stream.length)
    }),
    { numRuns: 300 },
  )
})

test('one byte at a time is a split too', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 3 }), (frames) => {
      const stream = Buffer.concat(frames.map(({ message, ...options }) => encodeMessage(message, options)))
      const bytes = [...stream].map((byte) => Uint8Array.of(byte))
      expect(collect(new HandoffDecoder(), bytes).map(({ message }) => message)).toEqual(
        frames.map(({ message }) => message),
      )
    }),
    { numRuns: 50 },
  )
})

// Wholly random bytes mostly die in the header; a right header and a right beginning let the rest be reached.
const hostilePayload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(anyMessage, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(40)).map(([message, place, byte, cutOff]) => {
    const payload = encodeMessage(message).slice(6)
    payload[place % payload.length] = byte
    return payload.subarray(0, Math.max(0, payload.length - cutOff))
  }),
)

test('arbitrary bytes give messages or a typed error of the PEER family, nothing else', () => {
  const verdicts = { decoded: 0, refused: 0 }
  fc.assert(
    fc.property(hostilePayload, fc.array(fc.nat(), { maxLength: 4 }), fc.boolean(), (payload, at, framed) => {
      const bytes = framed ? withHeader(payload) : payload
      const decoder = new HandoffDecoder()
      try {
        collect(decoder, cut(bytes, at))
        decoder.end()
        verdicts.decoded += 1
      } catch (error) {
        verdicts.refused += 1
        if (!isHandoffError(error)) throw error
        expect(error.code).toMatch(/^ERR_HANDOFF_PEER_(FRAME|STREAM|PAYLOAD)_/)
        expect(() => decoder.push(bytes)).toThrow(error)
      }
    }),
    { numRuns: 3_000 },
  )
  // The generator must reach both sides, or the property says nothing.
  expect(verdicts.decoded).toBeGreaterThan(50)
  expect(verdicts.refused).toBeGreaterThan(50)
})

test('what a hostile payload decodes to survives its own round trip', () => {
  fc.assert(
    fc.property(hostilePayload, (payload) => {
      try {
        const { message, trailing } = decodePayload(payload)
        const again = decodePayload(encodeMessage(message, { trailing }).subarray(6))
        expect(again).toEqual({ message, trailing })
      } catch (error) {
        if (!isHandoffError(error)) throw error
      }
    }),
    { numRuns: 2_000 },
  )
})

test('arbitrary bytes as a journal give a journal or ERR_HANDOFF_STATE_JOURNAL_MALFORMED', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, plausible) => {
      if (plausible && bytes.length > 0) bytes[0] = 16
      try {
        expect(decodeJournal(bytes).incumbentPid).toBeGreaterThanOrEqual(0)
      } catch (error) {
        expect(isHandoffError(error, 'ERR_HANDOFF_STATE_JOURNAL_MALFORMED')).toBe(true)
      }
    }),
    { numRuns: 2_000 },
  )
})

function collect(decoder: HandoffDecoder, chunks: readonly Uint8Array[]): DecodedMessage[] {
  return chunks.flatMap((chunk) => [...decoder.push(chunk)])
}

function withHeader(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(6 + payload.length)
  frame.set(payload, 6)
  writeHeader(frame, 1)
  return frame
}

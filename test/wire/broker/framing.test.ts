import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_FRAME_BYTES } from '../../../machines/broker/protocol.js'
import { isHandoffError } from '../../../src/errors/handoff-error.js'
import { FrameDecoder, frameBytes, HEADER_BYTES } from '../../../src/wire/broker/framing.js'
import { frameCodec, helloCodec, helloReplyCodec } from '../../../src/wire/broker/messages.js'

/** Cuts one stream at arbitrary places. */
function fragments(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b)
  return [...places, stream.length].map((end, index) => stream.subarray(index === 0 ? 0 : places[index - 1], end))
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
const cuts = fc.array(fc.nat(4096), { maxLength: 40 })

describe('the incremental decoder', () => {
  test('gives the same frames and the same surplus in any fragmentation', () => {
    fc.assert(
      fc.property(fc.array(bytes(300), { maxLength: 6 }), bytes(4), cuts, (bodies, tail, places) => {
        // A tail that begins like a frame but is not one yet.
        const rest = Buffer.concat([Buffer.from([1]), tail]).subarray(0, HEADER_BYTES - 1)
        const stream = Buffer.concat([...bodies.map(frameBytes), rest])
        const decoder = new FrameDecoder()
        const seen: string[] = []
        for (const fragment of fragments(stream, places)) {
          decoder.push(fragment)
          for (let body = decoder.next(); body !== null; body = decoder.next()) seen.push(body.toString('hex'))
        }
        expect(seen).toEqual(bodies.map((body) => body.toString('hex')))
        expect(decoder.surplus()).toEqual(rest)
      }),
    )
  })

  test('a reader that asks for what is wanted takes exactly header and body (W12)', () => {
    fc.assert(
      fc.property(bytes(500), bytes(50), fc.integer({ min: 1, max: 64 }), (body, behind, most) => {
        const stream = Buffer.concat([frameBytes(body), behind])
        const decoder = new FrameDecoder()
        let taken = 0
        let frame = decoder.next()
        while (frame === null) {
          const count = Math.min(decoder.wanted, most)
          expect(count).toBeGreaterThan(0)
          decoder.push(stream.subarray(taken, taken + count))
          taken += count
          frame = decoder.next()
        }
        expect(taken).toBe(HEADER_BYTES + body.length)
        expect(frame).toEqual(body)
      }),
    )
  })

  test('arbitrary bytes end in frames, patience or a typed refusal, never in anything else', () => {
    fc.assert(
      fc.property(bytes(400), cuts, fc.boolean(), (noise, places, looksRight) => {
        if (looksRight && noise.length > 0) noise[0] = 1
        const decoder = new FrameDecoder(256)
        try {
          for (const fragment of fragments(noise, places)) {
            decoder.push(fragment)
            for (let body = decoder.next(); body !== null; body = decoder.next()) {
              expect(body.length).toBeLessThanOrEqual(256)
            }
          }
        } catch (error) {
          expect(isHandoffError(error)).toBe(true)
        }
      }),
    )
  })

  test('names the part an end of stream would cut', () => {
    const decoder = new FrameDecoder()
    const parts = [...frameBytes(Buffer.from('ab'))].map((byte) => {
      const part = decoder.part
      decoder.push(Buffer.from([byte]))
      decoder.next()
      return part
    })
    expect(parts).toEqual([null, 'version', 'length', 'length', 'length', 'body', 'body'])
    expect(decoder.part).toBeNull()
  })

  test('a huge announcement is refused from its header, with nothing allocated', () => {
    const before = process.memoryUsage().arrayBuffers
    for (let round = 0; round < 100; round++) {
      const decoder = new FrameDecoder()
      decoder.push(Buffer.from('01ffffffff', 'hex'))
      expect(() => decoder.next()).toThrow('4294967295 bytes')
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
  })

  test('writers refuse what no reader takes', () => {
    expect(() => frameBytes(Buffer.alloc(MAX_FRAME_BYTES + 1))).toThrow('16777216')
    expect(frameBytes(Buffer.alloc(MAX_FRAME_BYTES))).toHaveLength(MAX_FRAME_BYTES + HEADER_BYTES)
  })
})

describe('the message codecs', () => {
  const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
  test('every 64-bit number comes back as the bigint it was', () => {
    fc.assert(
      fc.property(u64, u64, fc.string(), (requestId, deadlineUnixMs, traceparent) => {
        const frame = frameCodec.decode(frameCodec.encode({ requestId, deadlineUnixMs, traceparent: traceparent }))
        expect([frame.requestId, frame.deadlineUnixMs]).toEqual([requestId, deadlineUnixMs])
      }),
    )
  })

  test('arbitrary bytes decode or are refused with a code', () => {
    fc.assert(
      fc.property(bytes(200), (noise) => {
        for (const codec of [frameCodec, helloCodec, helloReplyCodec]) {
          try {
            expect(codec.decode(noise)).toBeTypeOf('object')
          } catch (error) {
            expect(isHandoffError(error, 'ERR_HANDOFF_BROKER_PEER_UNDECODABLE')).toBe(true)
          }
        }
      }),
    )
  })

  test('strings that are not UTF-8 are refused, not repaired', () => {
    expect(() => helloCodec.decode(Buffer.from('1a02ff41', 'hex'))).toThrow('do not decode as Hello')
  })
})

/** The written-out codec of the path's messages says the same as the schema's, or nothing. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Frame, HandoffAck, HandoffOffer, Hello, HelloReply } from '../../../machines/broker/protocol.js'
import { type Codec, messageCodec } from '../../../src/wire/broker/codec.js'
import {
  type PlainCodec,
  plainAck,
  plainFirst,
  plainFrame,
  plainHello,
  plainHelloReply,
  plainOffer,
} from '../../../src/wire/broker/plain-codec.js'

const u64 = fc.oneof(fc.constantFrom(0n, 1n, 0xfff_ffffn, 0x1000_0000n), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }))
const small = fc.bigInt({ min: 0n, max: 0xfff_ffffn })
const u32 = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xfff_ffff, 0x1000_0000), fc.nat(0xffff_ffff))
const kind = fc.nat(3)
const blob = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))
const text = fc.oneof(fc.string({ maxLength: 150 }), fc.string({ unit: 'binary', maxLength: 20 }))
const ascii = fc.string({ unit: 'binary-ascii', maxLength: 150 })

const negotiated = (texts: fc.Arbitrary<string>, numbers: fc.Arbitrary<bigint>, warnings: number) =>
  fc.record({
    negotiatedProtocol: fc.nat(5),
    daemonVersion: texts,
    backendPipe: texts,
    warnings: fc.array(texts, { maxLength: warnings }),
    serverCapabilities: numbers,
    keepaliveIntervalSecs: numbers,
    handlePassedToken: blob,
    connectionId: numbers,
  })
const refused = fc.record({
  reason: text,
  daemonMinProtocol: u32,
  daemonMaxProtocol: u32,
  code: fc.nat(9),
  details: fc.dictionary(ascii, text, { maxKeys: 2 }),
  retryAfterMs: u64,
})

interface Case<T> {
  readonly codec: Codec<T>
  readonly plain: PlainCodec<T>
  /** Anything that fits the schema. */
  readonly any: fc.Arbitrary<Partial<T>>
  /** As nearly all messages look: the plain codec must know them. */
  readonly usual: fc.Arbitrary<Partial<T>>
}

const frames: Case<Frame> = {
  codec: messageCodec<Frame>('Frame'),
  plain: plainFrame,
  any: fc.record(
    {
      envelopeVersion: u32,
      kind,
      payloadProtocol: u32,
      payload: blob,
      requestId: u64,
      payloadEncoding: kind,
      deadlineUnixMs: u64,
      traceparent: text,
      tracestate: text,
    },
    { requiredKeys: [] },
  ),
  usual: fc.record({ envelopeVersion: kind, kind, payloadProtocol: fc.nat(0xffff), payload: blob, requestId: small }),
}
const hellos: Case<Hello> = {
  codec: messageCodec<Hello>('Hello'),
  plain: plainHello,
  any: fc.record(
    {
      clientMinProtocol: u32,
      clientMaxProtocol: u32,
      serviceName: text,
      wantedVersion: text,
      clientVersion: text,
      clientCapabilities: u64,
      authToken: blob,
      requestId: text,
      connectionId: u64,
      peerPid: u32,
      clientLibName: text,
      clientLibVersion: text,
      peerAttestationNonce: blob,
      capabilityToken: blob,
      clientKeepaliveSecs: u64,
    },
    { requiredKeys: [] },
  ),
  usual: fc.record({
    clientMinProtocol: kind,
    clientMaxProtocol: kind,
    serviceName: ascii,
    wantedVersion: ascii,
    clientVersion: ascii,
    clientCapabilities: small,
    requestId: ascii,
    peerPid: fc.nat(0xfff_ffff),
    clientLibName: ascii,
    clientLibVersion: ascii,
    clientKeepaliveSecs: small,
  }),
}
const replies: Case<HelloReply> = {
  codec: messageCodec<HelloReply>('HelloReply'),
  plain: plainHelloReply,
  any: fc.oneof(
    negotiated(text, u64, 2).map((value) => ({ negotiated: value })),
    refused.map((value) => ({ refused: value })),
    fc.constant({}),
  ),
  usual: negotiated(ascii, small, 0).map((value) => ({ negotiated: value })),
}
const offers: Case<HandoffOffer> = {
  codec: messageCodec<HandoffOffer>('HandoffOffer'),
  plain: plainOffer,
  any: fc.record({ handleValue: u64, token: blob, serviceName: text, correlationId: u64 }, { requiredKeys: [] }),
  usual: fc.record({ handleValue: small, token: blob, serviceName: ascii, correlationId: small }),
}
const acks: Case<HandoffAck> = {
  codec: messageCodec<HandoffAck>('HandoffAck'),
  plain: plainAck,
  any: fc.record({ token: blob, accepted: fc.boolean(), errorDetail: text, correlationId: u64 }, { requiredKeys: [] }),
  usual: fc.record({ token: blob, accepted: fc.boolean(), errorDetail: ascii, correlationId: small }),
}

const cases: readonly (readonly [string, Case<never>])[] = [
  ['Frame', frames],
  ['Hello', hellos],
  ['HelloReply', replies],
  ['HandoffOffer', offers],
  ['HandoffAck', acks],
] as never

/** Tags and lengths of the schema are likelier than anything else; some damage on top. */
const noise = fc.array(fc.oneof(fc.nat(0x80), fc.nat(255), fc.constantFrom(0x08, 0x0a, 0x10, 0x12, 0x1a, 0x20, 0x22)), {
  maxLength: 60,
})
const damage = fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 3 })

describe.each(cases)('%s', (_name, { codec, plain, any, usual }) => {
  test('is encoded to the same bytes, or left alone', () => {
    fc.assert(
      fc.property(any, (message) => {
        const bytes = plain.encode(message)
        if (bytes !== null) expect(Buffer.from(bytes)).toEqual(Buffer.from(codec.encode(message)))
      }),
      { numRuns: 500 },
    )
  })

  test('is known when it looks as usual, both ways', () => {
    fc.assert(
      fc.property(usual, (message) => {
        const bytes = plain.encode(message)
        expect(Buffer.from(bytes as Uint8Array)).toEqual(Buffer.from(codec.encode(message)))
        expect(plain.decode(Buffer.from(bytes as Uint8Array))).toEqual(codec.decode(Buffer.from(bytes as Uint8Array)))
      }),
      { numRuns: 500 },
    )
  })

  test('is decoded to the same fields, or left alone, cut, damaged and repeated too', () => {
    const seen = { read: 0, left: 0 }
    const agree = (bytes: Buffer) => {
      const read = plain.decode(bytes)
      if (read === null) {
        seen.left++
        return
      }
      seen.read++
      expect(read).toStrictEqual(codec.decode(bytes))
    }
    fc.assert(
      fc.property(any, damage, fc.nat(300), fc.boolean(), (message, places, cut, twice) => {
        const whole = Buffer.from(codec.encode(message))
        agree(whole)
        const bytes = Buffer.concat(twice ? [whole, whole] : [whole]).subarray(0, cut)
        for (const [place, value] of places) if (place < bytes.length) bytes[place] = value
        agree(bytes)
      }),
      { numRuns: 1_000 },
    )
    const given = (bytes: number[]) => agree(Buffer.from(bytes))
    fc.assert(fc.property(noise, given), {
      numRuns: 2_000,
      // Fields that are there and empty, of each kind.
      examples: [0x08, 0x0a, 0x10, 0x12, 0x1a, 0x20, 0x22, 0x28, 0x3a].map((tag) => [[tag, 0]]),
    })
    expect(seen.read).toBeGreaterThan(0)
    expect(seen.left).toBeGreaterThan(0)
  })

  test('what the plain way does not know goes the way of the schema', () => {
    fc.assert(
      fc.property(any, (message) => {
        const both = plainFirst(codec, plain)
        const bytes = codec.encode(message)
        expect(Buffer.from(both.encode(message))).toEqual(Buffer.from(bytes))
        expect(both.decode(Buffer.from(bytes))).toEqual(codec.decode(Buffer.from(bytes)))
      }),
    )
  })
})

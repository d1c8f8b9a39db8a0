import { describe, expect, test } from 'vitest'
import { MAX_HELLO_BYTES, TOKEN_BYTES } from '../../../machines/broker/protocol.js'
import { messageCodec } from '../../../src/wire/broker/codec.js'
import { ackBytes, helloBytes, offerBytes, readyBytes } from '../../../src/wire/broker/envelope.js'
import { FrameDecoder, frameBytes } from '../../../src/wire/broker/framing.js'
import { ackCodec, frameCodec, helloCodec, offerCodec } from '../../../src/wire/broker/messages.js'
import { comparable, expectedMessage, type Vector, vectors } from './golden.js'

const bytesOf = (vector: Vector) => Buffer.from(vector.hex, 'hex')
const ofType = (...types: string[]) => vectors.filter((vector) => types.includes(vector.type))
const messages = vectors.filter((vector) => /^[A-Z][A-Za-z]+$/.test(vector.type))
/** Same message, other bytes: decoders take them, no encoder writes them. */
const DECODE_ONLY = ['repo/hello_with_unknown_trailing_field', 'gen/handoff_offer_unix_explicit_zero']

function unframe(bytes: Uint8Array): Buffer {
  const decoder = new FrameDecoder()
  decoder.push(bytes)
  const body = decoder.next()
  expect(body).not.toBeNull()
  expect(decoder.surplus()).toHaveLength(0)
  return body as Buffer
}

test('every vector belongs to a class this file checks', () => {
  const framed = ofType('wire:framed(Frame)', 'wire:framed(Hello body)', 'wire:framed')
  expect(messages.length + framed.length + ofType('wire:invalid', 'stream').length).toBe(vectors.length)
  expect(vectors.length).toBe(81)
})

describe('bare messages', () => {
  test.each(messages.map((vector) => [vector.name, vector] as const))('%s decodes to its fields', (_, vector) => {
    const decoded = messageCodec<object>(vector.type).decode(bytesOf(vector))
    expect(comparable(decoded)).toEqual(comparable(expectedMessage(vector.type, vector.fields)))
  })

  const encodable = messages.filter((vector) => !DECODE_ONLY.includes(vector.name))
  test.each(encodable.map((vector) => [vector.name, vector] as const))('%s encodes to its bytes', (_, vector) => {
    const encoded = messageCodec<object>(vector.type).encode(expectedMessage(vector.type, vector.fields))
    expect(Buffer.from(encoded).toString('hex')).toBe(vector.hex)
  })

  test.each(DECODE_ONLY)('%s loses nothing but what has no meaning when encoded again', (name) => {
    const vector = vectors.find((candidate) => candidate.name === name) as Vector
    const codec = messageCodec<object>(vector.type)
    const again = Buffer.from(codec.encode(codec.decode(bytesOf(vector))))
    expect(again.toString('hex')).not.toBe(vector.hex)
    expect(comparable(codec.decode(again))).toEqual(comparable(codec.decode(bytesOf(vector))))
  })
})

describe('framed messages', () => {
  const framed = ofType('wire:framed(Frame)')
  test.each(framed.map((vector) => [vector.name, vector] as const))('%s survives decode and encode', (_, vector) => {
    const frame = frameCodec.decode(unframe(bytesOf(vector)))
    expect(frameBytes(frameCodec.encode(frame)).toString('hex')).toBe(vector.hex)
    if ('envelope_version' in vector.fields) {
      expect(comparable(frame)).toEqual(comparable(expectedMessage('Frame', vector.fields)))
    }
  })

  const payloads = framed.flatMap((vector): [string, Vector, string, Record<string, unknown>][] => {
    const { hello, offer, ack } = vector.fields as Record<string, Record<string, unknown> | undefined>
    if (hello) return [[vector.name, vector, 'Hello', hello]]
    if (offer) return [[vector.name, vector, 'HandoffOffer', offer]]
    return ack ? [[vector.name, vector, 'HandoffAck', ack]] : []
  })
  test.each(payloads)('%s carries the message seen on a live socket', (_, vector, type, fields) => {
    const { payload } = frameCodec.decode(unframe(bytesOf(vector)))
    const decoded = messageCodec<object>(type).decode(payload)
    expect(comparable(decoded)).toEqual(comparable(expectedMessage(type, fields)))
  })
  test('captured payloads were found', () => expect(payloads).toHaveLength(4))

  test('a bare Hello inside framing, an empty body', () => {
    const [hello] = ofType('wire:framed(Hello body)') as [Vector]
    const decoded = helloCodec.decode(unframe(bytesOf(hello)))
    expect(comparable(decoded)).toEqual(comparable(expectedMessage('Hello', hello.fields)))
    const [empty] = ofType('wire:framed') as [Vector]
    expect(frameCodec.decode(unframe(bytesOf(empty))).envelopeVersion).toBe(0)
  })

  test.each(ofType('wire:invalid').map((vector) => [vector.name, vector] as const))('%s is refused', (_, vector) => {
    const decoder = vector.name.endsWith('hello') ? new FrameDecoder(MAX_HELLO_BYTES) : new FrameDecoder()
    decoder.push(bytesOf(vector))
    const code = vector.name.includes('version') ? 'FRAMING_VERSION' : 'FRAME_TOO_LARGE'
    expect(() => decoder.next()).toThrow(expect.objectContaining({ code: `ERR_HANDOFF_BROKER_PEER_${code}` }))
  })
})

describe('what our own writers put on the wire', () => {
  const hexOf = (name: string) => (vectors.find((vector) => vector.name === name) as Vector).hex
  const token = Buffer.from('a1b2c3d4e5f60718293a4b5c6d7e8f90', 'hex')

  test('Hello, offer, ACK and EVENT are the bytes of the original', () => {
    const captured = frameCodec.decode(unframe(Buffer.from(hexOf('cap/client_hello_wire'), 'hex')))
    expect(helloBytes(helloCodec.decode(captured.payload)).toString('hex')).toBe(hexOf('cap/client_hello_wire'))
    expect(offerBytes({ token, serviceName: 'zccache', correlationId: 1n }).toString('hex')).toBe(
      hexOf('gen/wire/handoff_offer_unix'),
    )
    expect(ackBytes({ token: Buffer.from([...Array(16).keys()]), accepted: true, correlationId: 7n })).toEqual(
      Buffer.from(hexOf('cap/backend_ack_accept_wire'), 'hex'),
    )
    expect(readyBytes(token, 1n).toString('hex')).toBe(hexOf('gen/wire/handoff_ready_event'))
  })

  test('broker to backend: sixteen raw bytes, then the framed offer', () => {
    const [vector] = ofType('stream') as [Vector]
    const stream = bytesOf(vector)
    const offer = offerCodec.decode(frameCodec.decode(unframe(stream.subarray(TOKEN_BYTES))).payload)
    expect(Buffer.concat([offer.token, offerBytes(offer)]).toString('hex')).toBe(vector.hex)
  })

  test('a number that does not fit its field is our own mistake and is thrown', () => {
    expect(() => ackCodec.encode({ correlationId: 1n << 64n })).toThrow(RangeError)
    expect(() => ackCodec.encode({ correlationId: -1n })).toThrow(RangeError)
    expect(() => helloCodec.encode({ peerPid: 2 ** 32 })).toThrow(RangeError)
  })
})

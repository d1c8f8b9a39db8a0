/**
 * Framing: one version byte, an unsigned 32-bit little-endian length, the body. A cap is checked on the header alone,
 * before a byte of the body is allocated or read.
 */
import { FRAMING_VERSION, MAX_FRAME_BYTES } from '../../../machines/broker/protocol.js'
import { brokerWireError } from '../../errors/broker-wire.js'

export const HEADER_BYTES = 5

/** @throws ERR_HANDOFF_BROKER_USAGE_FRAME_TOO_LARGE, since no reader would take it */
export function frameBytes(body: Uint8Array): Buffer {
  if (body.length > MAX_FRAME_BYTES) throw brokerWireError('ERR_HANDOFF_BROKER_USAGE_FRAME_TOO_LARGE', [body.length])
  const framed = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  framed[0] = FRAMING_VERSION
  framed.writeUInt32LE(body.length, 1)
  framed.set(body, HEADER_BYTES)
  return framed
}

/** Fails as soon as the first byte can show it. @throws ERR_HANDOFF_BROKER_PEER_FRAMING_VERSION */
export function checkFramingVersion(version: number): void {
  if (version !== FRAMING_VERSION) throw brokerWireError('ERR_HANDOFF_BROKER_PEER_FRAMING_VERSION', [version])
}

/**
 * Length of the body a complete header announces, **bytes**.
 * @throws ERR_HANDOFF_BROKER_PEER_FRAMING_VERSION, ERR_HANDOFF_BROKER_PEER_FRAME_TOO_LARGE
 */
export function bodyLength(header: Buffer, maxBytes: number): number {
  checkFramingVersion(header[0] as number)
  const length = header.readUInt32LE(1)
  if (length > maxBytes) throw brokerWireError('ERR_HANDOFF_BROKER_PEER_FRAME_TOO_LARGE', [length, maxBytes])
  return length
}

/** The part of a frame that was being read when the bytes ended; null on a frame boundary. */
export type FramePart = 'version' | 'length' | 'body'

/**
 * Takes bytes in any fragmentation and gives frames; keeps no more than one announced body. What follows the frame is
 * left alone: `surplus()` is the caller's, since after a handoff it belongs to another program (W12).
 */
export class FrameDecoder {
  #chunks: Buffer[] = []
  #buffered = 0
  #bodyBytes: number | null = null

  constructor(readonly maxBytes: number = MAX_FRAME_BYTES) {}

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
    this.#buffered += chunk.length
  }

  /** One whole body, or null until more bytes come. @throws ERR_HANDOFF_BROKER_PEER_* as soon as a header is wrong */
  next(): Buffer | null {
    if (this.#bodyBytes === null) {
      if (this.#buffered === 0) return null
      checkFramingVersion(this.#peek(1)[0] as number)
      if (this.#buffered < HEADER_BYTES) return null
      this.#bodyBytes = bodyLength(this.#peek(HEADER_BYTES), this.maxBytes)
      this.#take(HEADER_BYTES)
    }
    if (this.#buffered < this.#bodyBytes) return null
    const body = this.#take(this.#bodyBytes)
    this.#bodyBytes = null
    return body
  }

  /** Bytes still missing for what is being read, **bytes**: a reader that asks for no more swallows nothing beyond. */
  get wanted(): number {
    if (this.#bodyBytes !== null) return Math.max(0, this.#bodyBytes - this.#buffered)
    return Math.max(0, HEADER_BYTES - this.#buffered)
  }

  /** Where an end of stream now would cut. */
  get part(): FramePart | null {
    if (this.#bodyBytes !== null) return 'body'
    if (this.#buffered === 0) return null
    return this.#buffered === 1 ? 'version' : 'length'
  }

  /** Removes and returns everything not yet consumed by a frame. */
  surplus(): Buffer {
    return this.#take(this.#buffered)
  }

  #peek(count: number): Buffer {
    const first = this.#chunks[0] as Buffer
    return first.length >= count ? first.subarray(0, count) : this.#join().subarray(0, count)
  }

  #take(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0)
    const whole = (this.#chunks[0] as Buffer).length >= count ? (this.#chunks[0] as Buffer) : this.#join()
    this.#buffered -= count
    if (whole.length === count) this.#chunks.shift()
    else this.#chunks[0] = whole.subarray(count)
    return whole.subarray(0, count)
  }

  #join(): Buffer {
    const whole = Buffer.concat(this.#chunks, this.#buffered)
    this.#chunks = [whole]
    return whole
  }
}

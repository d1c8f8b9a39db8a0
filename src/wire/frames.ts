/**
 * Frames: `u32 length | u16 version | payload`, little-endian, one behind the other (wire spec, "Frame").
 *
 * Bytes are gathered in one buffer that doubles as they *arrive*; what a header declares sets nothing aside.
 */
import { wireError } from '../errors/wire.js'

/** Largest `length` (version and payload), bytes: 1 MiB, the reference's cap. */
export const MAX_FRAME_LENGTH = 1_048_576
/** Smallest `length`, bytes: the version field alone. */
export const MIN_FRAME_LENGTH = 2
export const LENGTH_BYTES = 4
export const HEADER_BYTES = 6
/** A longer buffer is given back once it is empty, so that one big frame does not stay with an idle connection. */
export const KEPT_BYTES = 65_536

export interface Frame {
  readonly version: number
  /** A view that the next call of the decoder may overwrite. */
  readonly payload: Uint8Array
  /** Bytes of the whole frame, header included. */
  readonly frameBytes: number
}

export class FrameDecoder {
  #buffer: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0
  #consumed = 0

  /** Bytes taken from the stream: whole frames, a refused header, and after {@link end} the rest. */
  get consumed(): number {
    return this.#consumed
  }

  /** Memory set aside, bytes: at most twice what has arrived and was not yet taken, or {@link KEPT_BYTES} when less. */
  get heldBytes(): number {
    return this.#buffer.length
  }

  /** Copies the chunk; the caller may reuse it at once. */
  append(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length)
    this.#buffer.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /**
   * @returns the next whole frame, or null until more bytes arrive.
   * @throws ERR_HANDOFF_PEER_FRAME_MALFORMED, ERR_HANDOFF_PEER_FRAME_TOO_LARGE as soon as the length is in.
   */
  next(): Frame | null {
    const pending = this.#end - this.#start
    if (pending < LENGTH_BYTES) return null
    const length = this.#buffer.readUInt32LE(this.#start)
    if (length < MIN_FRAME_LENGTH || length > MAX_FRAME_LENGTH) throw this.#refuse(length)
    const frameBytes = LENGTH_BYTES + length
    if (pending < frameBytes) return null
    const frame = this.#buffer.subarray(this.#start, this.#start + frameBytes)
    this.#consumed += frameBytes
    this.#start += frameBytes
    if (this.#start === this.#end) this.#rewind()
    return { version: frame.readUInt16LE(LENGTH_BYTES), payload: frame.subarray(HEADER_BYTES), frameBytes }
  }

  /** The stream is over. @throws ERR_HANDOFF_PEER_STREAM_TRUNCATED inside a frame; whole frames not yet taken are no error. */
  end(): void {
    const pending = this.#end - this.#start
    if (pending === 0) return
    if (pending >= LENGTH_BYTES && pending >= LENGTH_BYTES + this.#buffer.readUInt32LE(this.#start)) return
    this.#consumed += pending
    throw wireError('ERR_HANDOFF_PEER_STREAM_TRUNCATED', [pending])
  }

  #rewind(): void {
    this.#start = 0
    this.#end = 0
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.alloc(0)
  }

  #refuse(length: number) {
    this.#consumed += LENGTH_BYTES
    return length < MIN_FRAME_LENGTH
      ? wireError('ERR_HANDOFF_PEER_FRAME_MALFORMED', [length])
      : wireError('ERR_HANDOFF_PEER_FRAME_TOO_LARGE', [length, MAX_FRAME_LENGTH])
  }

  #makeRoom(wanted: number): void {
    const pending = this.#end - this.#start
    const needed = pending + wanted
    if (needed > this.#buffer.length) {
      // Doubling keeps the copies linear in the bytes received, however small the chunks are.
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, pending * 2))
      this.#buffer.copy(grown, 0, this.#start, this.#end)
      this.#buffer = grown
    } else {
      this.#buffer.copyWithin(0, this.#start, this.#end)
    }
    this.#start = 0
    this.#end = pending
  }
}

/** Writes length and version into the first {@link HEADER_BYTES} of a whole frame. */
export function writeHeader(frame: Uint8Array, version: number): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  view.setUint32(0, frame.length - LENGTH_BYTES, true)
  view.setUint16(LENGTH_BYTES, version, true)
}

/**
 * Messages of handoff wire version 1 ⇄ bytes. What does not decode becomes a typed error, never a half-valid message.
 */
import { FINGERPRINT_BYTES, MESSAGE_TYPES, type Message, type MessageType } from '../../machines/handoff/protocol.js'
import { wireError } from '../errors/wire.js'
import * as field from './fields.js'
import { FrameDecoder, HEADER_BYTES, LENGTH_BYTES, MAX_FRAME_LENGTH, writeHeader } from './frames.js'
import { PostcardFault, type PostcardFaultKind, PostcardReader, PostcardWriter } from './postcard.js'

type FieldsOf<T extends MessageType> = Omit<Extract<Message, { type: T }>, 'type'>

const { bool, bytes, handoffId, text, u16, u32, u64, vector } = field

/** Fields in wire order (wire spec, "Messages"). */
const LAYOUTS: { readonly [T in MessageType]: field.Layout<FieldsOf<T>> } = {
  Hello: {
    role: field.oneOf(['incumbent', 'successor']),
    pid: u32,
    buildId: bytes,
    protoMin: u16,
    protoMax: u16,
    capabilities: u64,
  },
  HelloAck: { protoVersionChosen: u16, handoffId },
  PrepareHandoff: { handoffId, successorPid: u32, deadlineMs: u64, drainGraceMs: u64 },
  Drained: { openConnsRemaining: u32, acceptClosed: bool },
  SealRequest: { handoffId },
  SealProgress: { shardsSealed: u32, shardsTotal: u32, lastRevision: u64 },
  SealComplete: {
    handoffId,
    lastRevisionPerShard: vector(u64),
    dataDirFingerprint: field.fixedBytes(FINGERPRINT_BYTES),
  },
  SealFailed: { handoffId, error: text, partialState: text },
  Begin: { handoffId },
  Ready: { handoffId, listeningOn: vector(text), healthzOk: bool, advertisedRevisionPerShard: vector(u64) },
  Commit: { handoffId },
  Abort: { handoffId, reason: text },
  ResumeAfterAbort: { handoffId },
  Heartbeat: { tsMs: u64 },
}

// One view of the table that the compiler can index with a type known only at run time.
const layoutOf = (type: MessageType) => LAYOUTS[type] as field.Layout<object>
const messageType = field.oneOf(MESSAGE_TYPES)

export interface EncodeOptions {
  /** The frame's version field; of a Hello the sender's highest version. Default 1. */
  readonly protoVersion?: number
  /** Bytes behind the message inside its frame; version 1 readers ignore them. Default none. */
  readonly trailing?: Uint8Array
}

/**
 * One whole frame.
 * @throws ERR_HANDOFF_USAGE_WIRE_FIELD, ERR_HANDOFF_USAGE_WIRE_MESSAGE_TYPE, ERR_HANDOFF_USAGE_FRAME_TOO_LARGE (above 1 MiB).
 */
export function encodeMessage(message: Message, options: EncodeOptions = {}): Uint8Array {
  if (!Object.hasOwn(LAYOUTS, message.type)) {
    throw wireError('ERR_HANDOFF_USAGE_WIRE_MESSAGE_TYPE', [String(message.type)])
  }
  const version = options.protoVersion ?? 1
  if (!Number.isInteger(version) || version < 0 || version > 0xffff) {
    throw wireError('ERR_HANDOFF_USAGE_WIRE_FIELD', ['protoVersion', String(version), 'an integer from 0 to 65535'])
  }
  const writer = new PostcardWriter(LENGTH_BYTES + MAX_FRAME_LENGTH)
  writer.raw(new Uint8Array(HEADER_BYTES))
  messageType.write(writer, message.type, 'type')
  field.writeLayout<object>(writer, layoutOf(message.type), message, message.type)
  if (options.trailing !== undefined) writer.raw(options.trailing)
  const frame = writer.finish()
  writeHeader(frame, version)
  return frame
}

export interface DecodedPayload {
  readonly message: Message
  /** What stood behind the message in its frame, mostly nothing. The reference ignores it. */
  readonly trailing: Uint8Array
}

/** @param payload a frame without its header. @throws ERR_HANDOFF_PEER_PAYLOAD_* */
export function decodePayload(payload: Uint8Array): DecodedPayload {
  const reader = new PostcardReader(payload)
  let where = 'type'
  try {
    const type = messageType.read(reader)
    where = type
    const fields = field.readLayout(reader, layoutOf(type))
    return { message: { type, ...fields } as Message, trailing: reader.rest() }
  } catch (error) {
    if (!(error instanceof PostcardFault)) throw error
    throw wireError(PAYLOAD_CODES[error.kind], [`${where}: ${error.message}`], error)
  }
}

const PAYLOAD_CODES = {
  truncated: 'ERR_HANDOFF_PEER_PAYLOAD_TRUNCATED',
  varint: 'ERR_HANDOFF_PEER_PAYLOAD_VARINT',
  bool: 'ERR_HANDOFF_PEER_PAYLOAD_BOOL',
  option: 'ERR_HANDOFF_PEER_PAYLOAD_OPTION',
  utf8: 'ERR_HANDOFF_PEER_PAYLOAD_UTF8',
  value: 'ERR_HANDOFF_PEER_PAYLOAD_VALUE',
} as const satisfies Record<PostcardFaultKind, string>

export interface DecodedMessage extends DecodedPayload {
  /** The frame's version field. Nobody rejects on it; Hello and HelloAck settle the version. */
  readonly version: number
  /** Bytes of the whole frame, header included. */
  readonly frameBytes: number
}

/**
 * The receiving end of one connection, over any fragmentation. The first error is final: a stream whose framing was
 * once in doubt has no later boundary to trust.
 */
export class HandoffDecoder {
  readonly #frames = new FrameDecoder()
  #failure: Error | null = null
  #ended = false

  /** Bytes taken from the stream so far, the refused ones included. */
  get consumed(): number {
    return this.#frames.consumed
  }

  /**
   * Takes the chunk in (a copy) and yields every message that is now whole. Lazy, so that the messages in front of a
   * bad frame are delivered before it throws; what is not taken now comes with the next push.
   * @throws ERR_HANDOFF_PEER_FRAME_*, ERR_HANDOFF_PEER_PAYLOAD_*; after the first one, that one again.
   */
  push(chunk: Uint8Array): IterableIterator<DecodedMessage> {
    if (this.#failure !== null) throw this.#failure
    if (this.#ended) throw wireError('ERR_HANDOFF_USAGE_DECODER_ENDED', [])
    this.#frames.append(chunk)
    return this.#drain()
  }

  /** The peer's EOF. @throws ERR_HANDOFF_PEER_STREAM_TRUNCATED inside a frame, or the first error again. */
  end(): void {
    this.#ended = true
    this.#guard(() => this.#frames.end())
  }

  *#drain(): Generator<DecodedMessage, undefined> {
    for (;;) {
      const decoded = this.#guard(() => this.#next())
      if (decoded === null) return
      yield decoded
    }
  }

  #next(): DecodedMessage | null {
    const frame = this.#frames.next()
    if (frame === null) return null
    return { ...decodePayload(frame.payload), version: frame.version, frameBytes: frame.frameBytes }
  }

  #guard<T>(step: () => T): T {
    if (this.#failure !== null) throw this.#failure
    try {
      return step()
    } catch (error) {
      this.#failure = error as Error
      throw error
    }
  }
}

/** The first frame of `bytes`; what follows it is left alone, see `frameBytes`. @throws as {@link HandoffDecoder}; also on no bytes at all. */
export function decodeMessage(bytes: Uint8Array): DecodedMessage {
  const decoder = new HandoffDecoder()
  for (const decoded of decoder.push(bytes)) return decoded
  decoder.end()
  throw wireError('ERR_HANDOFF_PEER_STREAM_TRUNCATED', [0])
}

/**
 * One control connection as messages: bytes in, typed messages out, heartbeats from a native thread while a hook runs.
 *
 * It knows the session's handoff id and refuses every other (wire spec, "Ids"); what may be said when is the machines'
 * business.
 */
import type { HandoffId, Message } from '../../machines/handoff/protocol.js'
import { channelError } from '../errors/channel.js'
import { ByteChannel } from '../os/byte-channel.js'
import { type DecodedMessage, encodeMessage, HandoffDecoder } from '../wire/handoff.js'
import { heartbeatTemplate } from '../wire/heartbeat.js'

/** Encoded once: phases that beat begin in the gap. */
const BEAT = heartbeatTemplate()

export interface MessageHandlers {
  onMessage(message: Message, decoded: DecodedMessage): void
  /** Once: EOF, reset, or a peer that has stopped taking our bytes. */
  onEnd(): void
  /** Once: bytes that are no message, or a message of another session. Nothing is read after it. */
  onViolation(error: Error): void
}

export class MessageChannel {
  readonly #channel: ByteChannel
  readonly #decoder = new HandoffDecoder()
  readonly #handlers: MessageHandlers
  #handoffId: HandoffId | null = null
  #beating = false
  #over = false

  /** Takes the fd over. */
  constructor(fd: number, handlers: MessageHandlers) {
    this.#handlers = handlers
    this.#channel = new ByteChannel(fd, {
      onData: (bytes) => this.#take(bytes),
      onEnd: () => this.#end(),
      onWriteStalled: () => this.#end(),
    })
  }

  /** For getsockopt and its like. */
  get fd(): number {
    return this.#channel.fd
  }

  get closed(): boolean {
    return this.#channel.closed
  }

  get handoffId(): HandoffId | null {
    return this.#handoffId
  }

  /** From now on a message that names another id is a violation. */
  bindTo(handoffId: HandoffId): void {
    this.#handoffId = handoffId
  }

  /** A dead peer is no error here: its end is reported once everything it said has been read. */
  send(message: Message, trailing?: Uint8Array): 'sent' | 'peerGone' {
    return this.#channel.write(encodeMessage(message, trailing === undefined ? {} : { trailing }))
  }

  /** A thread sends Heartbeat every period, also while JavaScript is blocked (decision 7). */
  startBeating(periodMs: number): void {
    if (this.#beating || this.#channel.closed) return
    this.#beating = true
    this.#channel.startBeating({ ...BEAT, periodMs })
  }

  stopBeating(): void {
    if (!this.#beating) return
    this.#beating = false
    this.#channel.stopBeating()
  }

  flushed(): Promise<boolean> {
    return this.#channel.flushed()
  }

  unref(): void {
    this.#channel.unref()
  }

  /** No handler is called afterwards. The peer sees the end at once. */
  close(): void {
    this.#over = true
    this.#channel.close()
  }

  #take(bytes: Uint8Array): void {
    if (this.#over) return
    try {
      for (const decoded of this.#decoder.push(bytes)) {
        this.#checkId(decoded.message)
        this.#handlers.onMessage(decoded.message, decoded)
        if (this.#over) return
      }
    } catch (error) {
      this.#over = true
      this.#channel.pauseReading()
      this.#handlers.onViolation(error as Error)
    }
  }

  #checkId(message: Message): void {
    if (this.#handoffId === null || !('handoffId' in message) || message.handoffId === this.#handoffId) return
    throw channelError('ERR_HANDOFF_PEER_WRONG_ID', [message.type, message.handoffId, this.#handoffId])
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#handlers.onEnd()
  }
}

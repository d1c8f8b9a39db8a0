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

/** Messages taken before other events of the loop get their turn: one that floods must not keep another waiting (decision 10). */
export const MESSAGES_PER_TURN = 256

/** What one peer may send; above it the channel is violated. */
export interface FloodLimit {
  /** Messages at once: what queued while this process was stopped or blocked comes in one go. */
  readonly burst: number
  /** Messages a second in the long run. */
  readonly perSecond: number
}

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
  readonly #flood: FloodLimit | null
  #handoffId: HandoffId | null = null
  /** Messages that the peer may send now, as of the time below. */
  #credit: number
  #creditAt = performance.now()
  #beating = false
  #over = false

  /** Takes the fd over. */
  constructor(fd: number, handlers: MessageHandlers, options: { readonly flood?: FloodLimit } = {}) {
    this.#handlers = handlers
    this.#flood = options.flood ?? null
    this.#credit = this.#flood?.burst ?? 0
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
    this.#guard(() => this.#deliver(this.#decoder.push(bytes)))
  }

  #deliver(messages: Iterator<DecodedMessage>): void {
    for (let taken = 0; taken < MESSAGES_PER_TURN; taken += 1) {
      const next = messages.next()
      if (next.done) {
        this.#channel.resumeReading()
        return
      }
      this.#checkFlood()
      this.#checkId(next.value.message)
      this.#handlers.onMessage(next.value.message, next.value)
      if (this.#over) return
    }
    // The rest waits in the decoder, and what follows it in the kernel.
    this.#channel.pauseReading()
    setImmediate(() => {
      if (!this.#over) this.#guard(() => this.#deliver(messages))
    })
  }

  #guard(take: () => void): void {
    try {
      take()
    } catch (error) {
      this.#over = true
      this.#channel.pauseReading()
      this.#handlers.onViolation(error as Error)
    }
  }

  #checkFlood(): void {
    if (this.#flood === null) return
    const { burst, perSecond } = this.#flood
    if (this.#credit < 1) {
      const now = performance.now()
      this.#credit = Math.min(burst, ((now - this.#creditAt) / 1_000) * perSecond)
      this.#creditAt = now
      if (this.#credit < 1) throw channelError('ERR_HANDOFF_PEER_FLOOD', [burst, perSecond])
    }
    this.#credit -= 1
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

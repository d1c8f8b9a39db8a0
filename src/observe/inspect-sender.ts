/**
 * Sends inspection to a viewer over a WebSocket. The service comes first: text is made between two turns of the loop,
 * a slow or absent viewer costs at most two bounded queues, and nothing here can end or block the process.
 */

import { WebSocket } from 'ws'
import type { AnyActorRef } from 'xstate'
import { type Captured, type InspectedProcess, messageText } from './inspection-messages.js'
import type { Logger } from './log.js'

export interface SenderOptions {
  readonly address: string
  readonly by: InspectedProcess
  readonly log: Logger
  /** Default {@link MAX_QUEUED}. */
  readonly maxQueued?: number
  /** Default {@link MAX_UNSENT_BYTES}. */
  readonly maxUnsentBytes?: number
  /** Default {@link RETRY_MS}. */
  readonly retryMs?: number
}

/** Messages kept for a viewer that is not there yet. */
export const MAX_QUEUED = 2_000
/** Bytes given to the socket that the viewer has not taken. */
export const MAX_UNSENT_BYTES = 1024 * 1024
/** Between two tries to reach a viewer, ms. */
export const RETRY_MS = 500
/** Actors whose definition is told again to a viewer that comes later. A swap's ended helpers go first. */
const MAX_ACTORS = 64

interface Known {
  readonly captured: Captured
  last: Captured | null
  ended: boolean
}

export class InspectSender {
  readonly #options: Required<SenderOptions>
  readonly #actors = new Map<AnyActorRef, Known>()
  #socket: WebSocket | null = null
  #queue: Captured[] = []
  #soon: NodeJS.Immediate | null = null
  /** Something was left out: the viewer is told the present state before it hears more. */
  #behind = false
  #dropped = 0
  #stopped = false
  readonly #onExit = (): void => this.#leave()

  constructor(options: SenderOptions) {
    this.#options = { maxQueued: MAX_QUEUED, maxUnsentBytes: MAX_UNSENT_BYTES, retryMs: RETRY_MS, ...options }
    // The kernel takes what is written to an open socket before the process is gone; what it does not take is told.
    process.once('exit', this.#onExit)
    this.#connect()
  }

  /** Messages that no viewer will get. */
  get dropped(): number {
    return this.#dropped
  }

  take(captured: Captured): void {
    if (this.#stopped) return
    this.#note(captured)
    this.#queue.push(captured)
    if (this.#queue.length > this.#options.maxQueued) {
      this.#queue.shift()
      this.#dropped += 1
      this.#behind = true
    }
    this.#soon ??= setImmediate(() => {
      this.#soon = null
      this.#flush()
    })
    this.#soon.unref()
  }

  stop(): void {
    this.#flush()
    this.#stopped = true
    process.off('exit', this.#onExit)
    if (this.#soon !== null) clearImmediate(this.#soon)
    this.#socket?.close()
  }

  #note(captured: Captured): void {
    const known = this.#actors.get(captured.ref)
    if (captured.type === 'actor') {
      this.#actors.set(captured.ref, { captured, last: null, ended: false })
      if (this.#actors.size > MAX_ACTORS) this.#forgetOne()
    } else if (captured.type === 'snapshot' && known !== undefined) {
      known.last = captured
      known.ended = (captured.snapshot as { status?: string }).status !== 'active'
    }
  }

  #forgetOne(): void {
    const ended = [...this.#actors].find(([, { ended }]) => ended) ?? [...this.#actors][1]
    if (ended !== undefined) this.#actors.delete(ended[0])
  }

  #connect(): void {
    if (this.#stopped) return
    const { address, retryMs } = this.#options
    const socket = new WebSocket(address, { perMessageDeflate: false, handshakeTimeout: 5_000, maxPayload: 4096 })
    this.#socket = socket
    socket.on('open', () => {
      unrefSocket(socket)
      this.#flush()
    })
    // Nobody listens there, or it left: neither is news to a daemon that only offers itself to be looked at.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null
      // Whoever comes next has not seen what came before.
      if (this.#actors.size > 0 && this.#queue.at(0)?.type !== 'actor') this.#behind = true
      setTimeout(() => this.#connect(), retryMs).unref()
    })
  }

  #flush(): void {
    const socket = this.#socket
    if (socket === null || socket.readyState !== WebSocket.OPEN) return
    if (socket.bufferedAmount > this.#options.maxUnsentBytes) {
      this.#dropped += this.#queue.length
      this.#queue = []
      this.#behind = true
      return
    }
    const queue = this.#behind ? this.#present() : this.#queue
    this.#queue = []
    this.#behind = false
    for (const captured of queue) this.#send(socket, captured)
  }

  /** Every living actor with its definition, then its state. */
  #present(): Captured[] {
    return [...this.#actors.values()].flatMap(({ captured, last }) => (last === null ? [captured] : [captured, last]))
  }

  #send(socket: WebSocket, captured: Captured): void {
    try {
      socket.send(messageText(captured, this.#options.by))
    } catch (err) {
      this.#dropped += 1
      this.#options.log.debug({ err }, 'an inspection message could not be sent')
    }
  }

  #leave(): void {
    this.#flush()
    const unsent = this.#queue.length + this.#dropped
    const unread = this.#socket?.bufferedAmount ?? 0
    if (this.#socket !== null && (unsent > 0 || unread > 0) && this.#socket.readyState === WebSocket.OPEN)
      this.#options.log.warn(
        { messages: unsent, bytes: unread },
        'the inspector did not take everything before the end',
      )
  }
}

/** A viewer must not keep a process alive. */
function unrefSocket(socket: WebSocket): void {
  const { _socket: inner } = socket as unknown as { readonly _socket?: { unref(): void } }
  inner?.unref()
}

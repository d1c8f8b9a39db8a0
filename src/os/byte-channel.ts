/**
 * The control channel as bytes: a connected stream socket that keeps beating while JavaScript is blocked.
 *
 * Not a net.Socket, for two reasons. Node destroys a socket whose write meets a dead peer before it has read what that
 * peer said last; here writing and reading fail separately. And heartbeats from a thread share the socket with frames,
 * so both go through one native lock.
 */
import { isErrno } from './errno.js'
import { native } from './native.js'

const { POLL_READABLE, POLL_WRITABLE } = native.constants

/** Longest one write may wait for the peer to take it, ms (wire spec, "bound on one write"). */
export const WRITE_LIMIT_MS = 10_000
/** Most bytes kept for a peer that does not read: four frames of the largest size. Beyond it the peer counts as stalled. */
export const WRITE_LIMIT_BYTES = 4 * 1024 * 1024

const READ_BYTES = 64 * 1024
/** Reads before other events of the loop get their turn. */
const READS_PER_TURN = 16
const scratch = new Uint8Array(READ_BYTES)

export interface ChannelHandlers {
  onData(bytes: Uint8Array): void
  /** Once, after everything the peer had said. `reset`: it went away without reading all that we sent. */
  onEnd(how: 'eof' | 'reset'): void
  /** Once: the peer has not taken our bytes within the limits. What was not taken is dropped; reading goes on. */
  onWriteStalled?(): void
}

export interface Beat {
  /** A whole heartbeat frame. */
  readonly frame: Uint8Array
  /** Where its Unix time in ms lies, an LEB128 varint of `tsBytes` bytes. Written anew for each beat. */
  readonly tsOffset: number
  readonly tsBytes: number
  readonly periodMs: number
}

export interface ChannelOptions {
  readonly writeLimitMs?: number
  readonly writeLimitBytes?: number
}

export class ByteChannel {
  readonly #fd: number
  readonly #handlers: ChannelHandlers
  readonly #poll: InstanceType<typeof native.Poll>
  readonly #writer: InstanceType<typeof native.Writer>
  readonly #limits: Required<ChannelOptions>
  #reading: 'flowing' | 'paused' | 'ended' = 'flowing'
  #writing: 'open' | 'gone' = 'open'
  #pending = 0
  #stalled: NodeJS.Timeout | undefined
  #waiters: ((sent: boolean) => void)[] = []
  #closed = false
  #referenced = true

  /** Takes the fd over and makes it non-blocking. Data comes from the next turn of the loop on. */
  constructor(fd: number, handlers: ChannelHandlers, options: ChannelOptions = {}) {
    this.#fd = fd
    this.#handlers = handlers
    this.#limits = { writeLimitMs: WRITE_LIMIT_MS, writeLimitBytes: WRITE_LIMIT_BYTES, ...options }
    this.#poll = new native.Poll(fd, (events, failed) => this.#onReady(events, failed))
    this.#writer = new native.Writer(fd)
    this.#arm()
  }

  /** For getsockopt and its like. Never close it, never read from it. */
  get fd(): number {
    return this.#fd
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Bytes accepted by `write` that the kernel has not taken yet. */
  get pendingBytes(): number {
    return this.#pending
  }

  /** Never throws for a dead peer: what it said before it died may still be on its way to onData. */
  write(bytes: Uint8Array): 'sent' | 'peerGone' {
    if (this.#closed || this.#writing === 'gone') return 'peerGone'
    if (this.#pending + bytes.length > this.#limits.writeLimitBytes) {
      this.#giveUpWriting(true)
      return 'peerGone'
    }
    this.#settle(() => this.#writer.write(bytes))
    return this.#writing === 'open' ? 'sent' : 'peerGone'
  }

  /** True once the kernel has everything, false when it never will. The kernel delivers it even if we exit then. */
  flushed(): Promise<boolean> {
    if (this.#pending === 0) return Promise.resolve(this.#writing === 'open' && !this.#closed)
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** A thread sends the frame every period, also while this thread is blocked. @throws EALREADY when it does so already */
  startBeating(beat: Beat): void {
    this.#writer.startBeating(beat.frame, beat.tsOffset, beat.tsBytes, beat.periodMs)
  }

  /** No beat leaves after it returns. */
  stopBeating(): void {
    if (this.#closed) return
    this.#writer.stopBeating()
    // The thread may leave the rest of a cut frame behind.
    if (this.#writing === 'open') this.#settle(() => this.#writer.flush())
  }

  /** Heartbeats sent, and left out because the socket was full. */
  beats(): { sent: number; skipped: number } {
    if (this.#closed) return { sent: 0, skipped: 0 }
    const { beats, skipped } = this.#writer.look()
    return { sent: beats, skipped }
  }

  /** Leaves further bytes, and the end, in the kernel. */
  pauseReading(): void {
    if (this.#reading !== 'flowing') return
    this.#reading = 'paused'
    this.#arm()
  }

  resumeReading(): void {
    if (this.#reading !== 'paused') return
    this.#reading = 'flowing'
    this.#arm()
  }

  ref(): void {
    this.#referenced = true
    this.#poll.ref()
    this.#stalled?.ref()
  }

  unref(): void {
    this.#referenced = false
    this.#poll.unref()
    this.#stalled?.unref()
  }

  /** The one fd there is goes with it, so the peer sees the end at once. No handler is called afterwards. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#poll.close()
    this.#writer.close()
    this.#stopWaiting(false)
    native.close(this.#fd)
  }

  #onReady(events: number, failed: boolean): void {
    if (events & POLL_READABLE || failed) this.#read()
    if (this.#closed) return
    if (this.#pending > 0 && this.#writing === 'open') this.#settle(() => this.#writer.flush())
    // libuv stops watching an fd that has an error pending; the read above has taken the error.
    else if (failed) this.#arm()
  }

  #read(): void {
    for (let turn = 0; turn < READS_PER_TURN && this.#reading === 'flowing' && !this.#closed; turn += 1) {
      let count: number
      try {
        count = native.recv(this.#fd, scratch)
      } catch (error) {
        if (isErrno(error, 'EINTR')) continue
        if (!isErrno(error, 'EAGAIN')) this.#end('reset')
        return
      }
      if (count > 0) this.#handlers.onData(scratch.slice(0, count))
      else this.#end('eof')
    }
  }

  #end(how: 'eof' | 'reset'): void {
    this.#reading = 'ended'
    this.#arm()
    this.#handlers.onEnd(how)
  }

  /** Runs one native write and draws the consequences of what is left over. */
  #settle(attempt: () => number): void {
    try {
      this.#pending = attempt()
    } catch (error) {
      if (!isErrno(error)) throw error
      this.#giveUpWriting(false)
      return
    }
    if (this.#pending === 0) {
      this.#stopWaiting(true)
    } else if (this.#stalled === undefined) {
      this.#stalled = setTimeout(() => this.#giveUpWriting(true), this.#limits.writeLimitMs)
      if (!this.#referenced) this.#stalled.unref()
    }
    this.#arm()
  }

  #giveUpWriting(stalled: boolean): void {
    this.#writing = 'gone'
    this.#writer.stopBeating()
    this.#pending = 0
    this.#stopWaiting(false)
    this.#arm()
    if (stalled) this.#handlers.onWriteStalled?.()
  }

  #stopWaiting(sent: boolean): void {
    clearTimeout(this.#stalled)
    this.#stalled = undefined
    for (const resolve of this.#waiters.splice(0)) resolve(sent)
  }

  #arm(): void {
    if (this.#closed) return
    const wanted =
      (this.#reading === 'flowing' ? POLL_READABLE : 0) |
      (this.#pending > 0 && this.#writing === 'open' ? POLL_WRITABLE : 0)
    if (wanted === 0) this.#poll.stop()
    else this.#poll.start(wanted)
  }
}

/**
 * One non-blocking stream socket by its descriptor: exact reads, whole writes, readiness from the event loop (W14).
 *
 * A net.Socket reads ahead, and what it has read is lost to the program that gets the descriptor (W12). Here nothing is
 * read that was not asked for.
 */

import { isErrno, uninterrupted } from '../os/errno.js'
import { native } from '../os/native.js'
import { type Watch, watchFd } from '../os/readiness.js'
import type { FrameDecoder } from '../wire/broker/framing.js'

const { AF_UNIX, SOCK_STREAM, POLL_READABLE, POLL_WRITABLE, POLL_DISCONNECT, SHUT_RDWR } = native.constants

/** Most bytes asked for in one read, **bytes**: a large body grows with what really arrives. */
const READ_BYTES = 64 * 1024

export type ReadOutcome =
  | { readonly kind: 'frame'; readonly body: Buffer }
  | { readonly kind: 'wait' }
  | { readonly kind: 'end' }

export class Descriptor {
  #watch: Watch | null = null
  #onReady: (() => void) | null = null
  #events = 0
  #closed = false
  /** Another process holds the same connection, or is about to: closing our descriptor is not its end. */
  shared = false

  /** Takes the fd over. */
  constructor(readonly fd: number) {}

  /**
   * connect(2) to a Unix socket never has to wait: what comes next comes in this turn.
   * @throws errno exceptions, EAGAIN when the queue of who listens is full; no descriptor stays open then
   */
  static dial(path: string): Descriptor {
    const fd = native.socket(AF_UNIX, SOCK_STREAM)
    try {
      uninterrupted(() => native.connectUnix(fd, path))
      return new Descriptor(fd)
    } catch (error) {
      native.close(fd)
      throw error
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Calls back until `ignore()`, at most once per loop iteration: readable, or the peer is gone. */
  whenReadable(callback: () => void) {
    this.#want(POLL_READABLE, callback)
  }
  whenWritable(callback: () => void) {
    this.#want(POLL_WRITABLE, callback)
  }
  /** The peer closed, or half-closed: ask {@link hungUp} which. */
  whenHungUp(callback: () => void) {
    this.#want(POLL_DISCONNECT, callback)
  }

  /** Nobody is called any more. The kernel is not told: what was wanted comes once at most. */
  ignore() {
    this.#onReady = null
  }

  /** One frame and not a byte more. @throws ERR_HANDOFF_BROKER_PEER_*, errno exceptions */
  readFrame(decoder: FrameDecoder): ReadOutcome {
    for (;;) {
      const body = decoder.next()
      if (body !== null) return { kind: 'frame', body }
      const room = Buffer.allocUnsafe(Math.min(decoder.wanted, READ_BYTES))
      const count = this.read(room)
      if (count === null) return { kind: 'wait' }
      if (count === 0) return { kind: 'end' }
      decoder.push(room.subarray(0, count))
    }
  }

  /** Bytes read, 0 at the end of the stream, null when there are none now. @throws errno exceptions */
  read(into: Uint8Array): number | null {
    const count = uninterrupted(() => native.recv(this.fd, into, true))
    return count < 0 ? null : count
  }

  /** As read, and the bytes stay in the kernel. */
  peek(into: Uint8Array): number | null {
    const count = uninterrupted(() => native.peek(this.fd, into, true))
    return count < 0 ? null : count
  }

  /** Bytes the kernel took, 0 when it has no room. @throws EPIPE and its like */
  write(bytes: Uint8Array): number {
    try {
      return uninterrupted(() => native.send(this.fd, bytes))
    } catch (error) {
      if (isErrno(error, 'EAGAIN', 'ENOBUFS')) return 0
      throw error
    }
  }

  /** Writes all of it, waiting for room as often as it takes. `done` is called once, unless the descriptor is closed. */
  writeAll(bytes: Uint8Array, done: (error: unknown) => void) {
    let rest = bytes
    const go = () => {
      try {
        rest = rest.subarray(this.write(rest))
      } catch (error) {
        this.ignore()
        done(error)
        return
      }
      if (rest.length > 0) return this.whenWritable(go)
      this.ignore()
      done(null)
    }
    go()
  }

  /** Gone altogether; a half-closed peer is still there. */
  hungUp(): boolean {
    return this.#closed || uninterrupted(() => native.hungUp(this.fd)) !== 0
  }

  /** The end for every holder of this connection, in whatever process (INV-22). */
  cut() {
    try {
      native.shutdown(this.fd, SHUT_RDWR)
    } catch (error) {
      if (!isErrno(error, 'ENOTCONN', 'EINVAL')) throw error
    }
  }

  close() {
    if (this.#closed) return
    this.#release()
    native.close(this.fd)
  }

  /** Gives the fd back, open; the descriptor is done with. Where it was watched it stays silent until it is closed. */
  detach(): number {
    this.#release()
    return this.fd
  }

  #release() {
    this.#closed = true
    this.#onReady = null
    this.#events = 0
    this.#watch?.end(this.shared)
    this.#watch = null
  }

  #want(events: number, callback: () => void) {
    if (this.#closed) return
    this.#onReady = callback
    this.#events = events
    this.#watch ??= watchFd(this.fd, () => this.#ready())
    this.#watch.want(events)
  }

  #ready() {
    const call = this.#onReady
    call?.()
    if (call !== null && this.#onReady === call) this.#watch?.want(this.#events)
  }
}

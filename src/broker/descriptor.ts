/**
 * One non-blocking stream socket by its descriptor: exact reads, whole writes, readiness from the event loop (W14).
 *
 * A net.Socket reads ahead, and what it has read is lost to the program that gets the descriptor (W12). Here nothing is
 * read that was not asked for.
 */

import { isErrno, uninterrupted } from '../os/errno.js'
import { native, type Poll } from '../os/native.js'
import type { FrameDecoder } from '../wire/broker/framing.js'

const { POLL_READABLE, POLL_WRITABLE, POLL_DISCONNECT, SHUT_RDWR } = native.constants

/** Most bytes asked for in one read, **bytes**: a large body grows with what really arrives. */
const READ_BYTES = 64 * 1024

export type ReadOutcome =
  | { readonly kind: 'frame'; readonly body: Buffer }
  | { readonly kind: 'wait' }
  | { readonly kind: 'end' }

export class Descriptor {
  #poll: Poll | null = null
  #onReady: (() => void) | null = null
  #events = 0
  #closed = false

  /** Takes the fd over. */
  constructor(readonly fd: number) {}

  get closed(): boolean {
    return this.#closed
  }

  /** Calls back until `ignore()`, at most once per loop iteration: readable, or the peer is gone. */
  whenReadable(callback: () => void) {
    this.#watch(POLL_READABLE, callback)
  }
  whenWritable(callback: () => void) {
    this.#watch(POLL_WRITABLE, callback)
  }
  /** The peer closed, or half-closed: ask {@link hungUp} which. */
  whenHungUp(callback: () => void) {
    this.#watch(POLL_DISCONNECT, callback)
  }

  /** Runs when there is something to read. Asking first is cheap; a read that finds nothing costs an exception. */
  onceReadable(callback: () => void) {
    if (native.pendingBytes(this.fd) > 0) callback()
    else this.whenReadable(callback)
  }

  /** Nobody is called any more. The kernel is told only if something comes: most often the same is awaited again. */
  ignore() {
    this.#onReady = null
  }

  /** One frame and not a byte more. @throws ERR_HANDOFF_BROKER_PEER_*, errno exceptions */
  readFrame(decoder: FrameDecoder): ReadOutcome {
    for (;;) {
      const body = decoder.next()
      if (body !== null) return { kind: 'frame', body }
      const room = Buffer.allocUnsafe(Math.min(decoder.wanted, READ_BYTES))
      const count = this.#take(room)
      if (count === null) return { kind: 'wait' }
      if (count === 0) return { kind: 'end' }
      decoder.push(room.subarray(0, count))
    }
  }

  /** Bytes read, 0 at the end of the stream, null when there are none now. @throws errno exceptions */
  #take(into: Uint8Array): number | null {
    try {
      return uninterrupted(() => native.recv(this.fd, into))
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) return null
      throw error
    }
  }

  read(into: Uint8Array): number | null {
    return this.#take(into)
  }

  /** As read, and the bytes stay in the kernel. */
  peek(into: Uint8Array): number | null {
    try {
      return uninterrupted(() => native.peek(this.fd, into))
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) return null
      throw error
    }
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
    return this.#closed || uninterrupted(() => native.hungUp(this.fd))
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

  /** Gives the fd back, open; the descriptor is done with. */
  detach(): number {
    this.#release()
    return this.fd
  }

  #release() {
    this.#closed = true
    this.#onReady = null
    this.#events = 0
    this.#poll?.close()
    this.#poll = null
  }

  #watch(events: number, callback: () => void) {
    if (this.#closed) return
    this.#onReady = callback
    if (this.#events === events) return
    this.#poll ??= new native.Poll(this.fd, (_events, failed) => this.#ready(failed))
    this.#events = events
    this.#poll.start(events)
  }

  #ready(failed: boolean) {
    const events = this.#events
    if (this.#onReady === null && !failed) {
      this.#events = 0
      this.#poll?.stop()
      return
    }
    // After an error condition the watcher has stopped itself; what the error is, the next read or write tells.
    if (failed) this.#events = 0
    const call = this.#onReady
    call?.()
    if (failed && call !== null && this.#onReady === call) this.#watch(events, call)
  }
}

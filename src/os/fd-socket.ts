/**
 * A Unix stream that carries descriptors: bytes and SCM_RIGHTS by sendmsg(2) and recvmsg(2).
 *
 * Every fd that arrives is either handed to the caller or closed here. One receive and one send at a time.
 */
import { osError } from '../errors/os.js'
import { type Deadline, deadline, type WaitOptions } from './deadline.js'
import { isErrno } from './errno.js'
import { native } from './native.js'

const { POLL_READABLE, POLL_WRITABLE } = native.constants

export type { WaitOptions } from './deadline.js'

/** The kernel takes no more in one message (SCM_MAX_FD). */
export const MAX_FDS_PER_MESSAGE = native.constants.MAX_FDS

/** Bytes asked for at once while a line is read. */
const LINE_READ_BYTES = 16 * 1024

export interface ReceiveOptions extends WaitOptions {
  /** Most fds that this receive may bring. Default {@link MAX_FDS_PER_MESSAGE}; the kernel drops those beyond (`truncated`). */
  readonly maxFds?: number
}

export interface BytesAndFds {
  readonly bytes: Uint8Array
  /** The caller's to close. Close-on-exec. */
  readonly fds: readonly number[]
}

export class FdSocket {
  readonly #fd: number
  readonly #poll: InstanceType<typeof native.Poll>
  #buffered = new Uint8Array(0)
  #reader: Waiter | null = null
  #writer: Waiter | null = null
  #closed = false

  /** Takes the fd over and makes it non-blocking. */
  constructor(fd: number) {
    this.#fd = fd
    this.#poll = new native.Poll(fd, (events, failed) => this.#onReady(events, failed))
  }

  /** For getsockopt and its like. Never close it, never read from it. */
  get fd(): number {
    return this.#fd
  }

  /**
   * Sends all bytes, with the fds attached to the first of them. The fds stay open here: close them only once the peer
   * has acknowledged, since a message under way can still be lost with the connection.
   * @throws EPIPE, ETOOMANYREFS as errno exceptions; ERR_HANDOFF_FDS_TIMEOUT
   */
  async sendWithFds(bytes: Uint8Array, fds: readonly number[], options: WaitOptions = {}): Promise<void> {
    if (bytes.length === 0) throw new RangeError('descriptors need at least one byte to travel with')
    if (fds.length > MAX_FDS_PER_MESSAGE) throw new RangeError(`${fds.length} descriptors do not fit into one message`)
    const until = deadline(options)
    let sent = 0
    while (sent < bytes.length) {
      const count = this.#try(() => native.sendmsg(this.#fd, bytes.subarray(sent), sent === 0 ? fds : []), 'sending')
      if (count === 'wouldBlock') await this.#wait('write', 'sending descriptors', until)
      else sent += count
    }
  }

  /**
   * What one recvmsg(2) gives, at most `maxBytes`; null at the end of the stream.
   * `truncated`: fds were sent that did not arrive, because this process or `maxFds` has no room.
   */
  async receive(
    maxBytes: number,
    options: ReceiveOptions = {},
  ): Promise<(BytesAndFds & { truncated: boolean }) | null> {
    if (this.#buffered.length > 0) {
      const bytes = this.#buffered.slice(0, maxBytes)
      this.#buffered = this.#buffered.slice(bytes.length)
      return { bytes, fds: [], truncated: false }
    }
    return this.#receive(maxBytes, options.maxFds ?? MAX_FDS_PER_MESSAGE, deadline(options))
  }

  /**
   * Exactly `count` bytes, not one more taken from the stream, and the fds that came along.
   * @throws ERR_HANDOFF_FDS_CLOSED, ERR_HANDOFF_FDS_TRUNCATED, ERR_HANDOFF_FDS_TIMEOUT
   */
  async readExactly(count: number, options: ReceiveOptions = {}): Promise<BytesAndFds> {
    const until = deadline(options)
    const bytes = new Uint8Array(count)
    const early = this.#buffered.slice(0, count)
    this.#buffered = this.#buffered.slice(early.length)
    bytes.set(early)
    let filled = early.length
    return this.#collect(options.maxFds, async (fds, room) => {
      while (filled < count) {
        const part = await this.#receive(count - filled, room(), until)
        if (part === null)
          throw osError('ERR_HANDOFF_FDS_CLOSED', [`${count - filled} of ${count} bytes were still to come`])
        fds.push(...part.fds)
        if (part.truncated) throw osError('ERR_HANDOFF_FDS_TRUNCATED', [fds.length])
        bytes.set(part.bytes, filled)
        filled += part.bytes.length
      }
      return bytes
    })
  }

  /**
   * Bytes up to a newline, which is taken but not returned, and the fds that came along; null when the stream ended
   * before the first byte. Fds count to the line that was being read when they came: ends that take turns need no more.
   * @throws ERR_HANDOFF_FDS_UNEXPECTED for a line above `maxBytes`, and what {@link readExactly} throws
   */
  async readLine(maxBytes: number, options: ReceiveOptions = {}): Promise<BytesAndFds | null> {
    const until = deadline(options)
    let atEnd = false
    const line = await this.#collect(options.maxFds, async (fds, room) => {
      for (;;) {
        const newline = this.#buffered.indexOf(0x0a)
        if (newline > maxBytes || (newline < 0 && this.#buffered.length > maxBytes)) {
          throw osError('ERR_HANDOFF_FDS_UNEXPECTED', [`a line of more than ${maxBytes} bytes`])
        }
        if (newline >= 0) {
          const bytes = this.#buffered.slice(0, newline)
          this.#buffered = this.#buffered.slice(newline + 1)
          return bytes
        }
        const part = await this.#receive(LINE_READ_BYTES, room(), until)
        if (part === null) {
          if (this.#buffered.length > 0 || fds.length > 0)
            throw osError('ERR_HANDOFF_FDS_CLOSED', ['a line was half read'])
          atEnd = true
          return new Uint8Array(0)
        }
        fds.push(...part.fds)
        if (part.truncated) throw osError('ERR_HANDOFF_FDS_TRUNCATED', [fds.length])
        this.#buffered = concat(this.#buffered, part.bytes)
      }
    })
    return atEnd ? null : line
  }

  /**
   * Sends all bytes without waiting; false when the kernel does not take all of them now, or others are on their way.
   * @throws EPIPE and its like as errno exceptions; ERR_HANDOFF_FDS_CLOSED
   */
  sendNow(bytes: Uint8Array): boolean {
    if (this.#writer !== null) return false
    return this.#try(() => native.sendmsg(this.#fd, bytes, []), 'sending') === bytes.length
  }

  /**
   * The lines that lie in the kernel, without waiting and without a promise in between: what was sent before something else
   * happened is known before it is acted upon. `ended`: nothing follows, and what came after the last newline is a line too.
   * @throws ERR_HANDOFF_FDS_UNEXPECTED for a line above `maxBytes` or one with descriptors; errno exceptions
   */
  linesNow(maxBytes: number): { readonly lines: readonly Uint8Array[]; readonly ended: boolean } {
    const lines: Uint8Array[] = []
    const into = new Uint8Array(LINE_READ_BYTES)
    for (;;) {
      const received = this.#nowOrNothing(into)
      if (received === 'wouldBlock') return { lines, ended: false }
      for (const fd of received.fds) native.close(fd)
      if (received.truncated) throw osError('ERR_HANDOFF_FDS_UNEXPECTED', ['descriptors with a line that takes none'])
      if (received.count === 0) {
        if (this.#buffered.length > 0) lines.push(this.#buffered)
        this.#buffered = new Uint8Array(0)
        return { lines, ended: true }
      }
      this.#buffered = concat(this.#buffered, into.subarray(0, received.count))
      for (let end = this.#buffered.indexOf(0x0a); end >= 0; end = this.#buffered.indexOf(0x0a)) {
        lines.push(this.#buffered.slice(0, end))
        this.#buffered = this.#buffered.slice(end + 1)
      }
      if (this.#buffered.length > maxBytes)
        throw osError('ERR_HANDOFF_FDS_UNEXPECTED', [`a line of more than ${maxBytes} bytes`])
    }
  }

  /** Resolves when there is something to receive, or the end of the stream. @throws ERR_HANDOFF_FDS_CLOSED, ERR_HANDOFF_FDS_TIMEOUT */
  async readable(options: WaitOptions = {}): Promise<void> {
    if (this.#closed) throw osError('ERR_HANDOFF_FDS_CLOSED', ['waiting'])
    await this.#wait('read', 'waiting', deadline(options))
  }

  /** Ends a wait in progress with ERR_HANDOFF_FDS_CLOSED. */
  close(): void {
    if (this.#closed) return
    this.#release()
    native.close(this.#fd)
  }

  /** Gives the fd back, still open, for a channel of another kind. Nothing may be buffered: use {@link readExactly}. */
  detach(): number {
    if (this.#buffered.length > 0) throw new RangeError('bytes beyond the line were read and would be lost')
    if (this.#closed) throw osError('ERR_HANDOFF_FDS_CLOSED', ['it was to be detached'])
    this.#release()
    return this.#fd
  }

  #release(): void {
    this.#closed = true
    this.#poll.close()
    const gone = osError('ERR_HANDOFF_FDS_CLOSED', ['this end was still using it'])
    this.#reader?.reject(gone)
    this.#writer?.reject(gone)
  }

  /** Runs `read`; whatever it collected is closed when it fails. */
  async #collect(
    maxFds: number | undefined,
    read: (fds: number[], room: () => number) => Promise<Uint8Array>,
  ): Promise<BytesAndFds> {
    const fds: number[] = []
    try {
      const bytes = await read(fds, () => Math.min(MAX_FDS_PER_MESSAGE, (maxFds ?? MAX_FDS_PER_MESSAGE) - fds.length))
      if (fds.length > (maxFds ?? Number.POSITIVE_INFINITY)) {
        throw osError('ERR_HANDOFF_FDS_UNEXPECTED', [`${fds.length} descriptors instead of at most ${maxFds}`])
      }
      return { bytes, fds }
    } catch (error) {
      for (const fd of fds) native.close(fd)
      throw error
    }
  }

  /** A peer that closed with something unread left a reset behind what it had said. */
  #nowOrNothing(into: Uint8Array) {
    try {
      return this.#try(() => native.recvmsg(this.#fd, into, 0), 'receiving')
    } catch (error) {
      if (isErrno(error, 'ECONNRESET')) return { count: 0, fds: [], truncated: false }
      throw error
    }
  }

  async #receive(maxBytes: number, maxFds: number, until: Deadline) {
    const into = new Uint8Array(maxBytes)
    for (;;) {
      until.check('receiving descriptors')
      const received = this.#try(() => native.recvmsg(this.#fd, into, Math.max(0, maxFds)), 'receiving')
      if (received === 'wouldBlock') {
        await this.#wait('read', 'receiving descriptors', until)
      } else {
        if (received.count === 0 && received.fds.length === 0) return null
        return { bytes: into.subarray(0, received.count), fds: received.fds, truncated: received.truncated }
      }
    }
  }

  #try<T>(call: () => T, doing: string): T | 'wouldBlock' {
    if (this.#closed) throw osError('ERR_HANDOFF_FDS_CLOSED', [doing])
    try {
      return call()
    } catch (error) {
      if (isErrno(error, 'EAGAIN', 'EINTR', 'ENOBUFS')) return 'wouldBlock'
      throw error
    }
  }

  #wait(direction: 'read' | 'write', doing: string, until: Deadline): Promise<void> {
    until.check(doing)
    const busy = direction === 'read' ? this.#reader : this.#writer
    if (busy !== null) throw new Error(`two operations at once on one descriptor channel, both ${doing}`)
    return new Promise<void>((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        until.signal?.removeEventListener('abort', onAbort)
        if (direction === 'read') this.#reader = null
        else this.#writer = null
        this.#arm()
        act()
      }
      const waiter: Waiter = {
        resolve: () => settle(resolve),
        reject: (error) => settle(() => reject(error)),
      }
      const onAbort = (): void => waiter.reject(until.signal?.reason)
      const timer =
        until.at === null
          ? undefined
          : setTimeout(() => waiter.reject(until.error(doing)), Math.max(0, until.at - performance.now()))
      until.signal?.addEventListener('abort', onAbort, { once: true })
      if (direction === 'read') this.#reader = waiter
      else this.#writer = waiter
      this.#arm()
    })
  }

  #onReady(events: number, failed: boolean): void {
    if (events & POLL_READABLE || failed) this.#reader?.resolve()
    if (events & POLL_WRITABLE || failed) this.#writer?.resolve()
  }

  #arm(): void {
    if (this.#closed) return
    const wanted = (this.#reader === null ? 0 : POLL_READABLE) | (this.#writer === null ? 0 : POLL_WRITABLE)
    if (wanted === 0) this.#poll.stop()
    else this.#poll.start(wanted)
  }
}

interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

/** Accepts on a Unix control socket and hands out raw fds, so that their bytes and credentials are ours to read. */
import { isErrno } from './errno.js'
import { native } from './native.js'

export interface AcceptorHandlers {
  /** The fd is the receiver's: non-blocking, close-on-exec. */
  onConnection(fd: number): void
  /** An accept failed and will be tried again: EMFILE and its like. Accepting never ends by itself. */
  onTrouble?(error: unknown): void
}

export interface Acceptor {
  pause(): void
  resume(): void
  /** Stops accepting; the listening fd stays its owner's. */
  close(): void
}

/** Out of descriptors or memory: nothing tells when there are some again, so wait this long, ms. */
const TRY_AGAIN_MS = 100
/** Connections taken before other events of the loop get their turn. */
const BATCH = 64

export interface AcceptOptions {
  /** Accepted sockets block: for those that are passed on to programs that expect it. */
  readonly blocking?: boolean
}

/** Borrows the listening fd. Close the acceptor before the fd. */
export function acceptOn(listeningFd: number, handlers: AcceptorHandlers, options: AcceptOptions = {}): Acceptor {
  const blocking = options.blocking ?? false
  const { POLL_READABLE } = native.constants
  let state: 'accepting' | 'paused' | 'closed' = 'accepting'
  let retry: NodeJS.Timeout | undefined

  const poll = new native.Poll(listeningFd, (_events, failed) => {
    for (let taken = 0; taken < BATCH && state === 'accepting'; taken += 1) {
      let fd: number
      try {
        fd = native.accept(listeningFd, blocking, true)
      } catch (error) {
        if (isErrno(error, 'EAGAIN')) break
        if (isErrno(error, 'ECONNABORTED', 'EINTR')) continue
        poll.stop()
        retry = setTimeout(arm, TRY_AGAIN_MS)
        handlers.onTrouble?.(error)
        return
      }
      if (fd < 0) break
      handlers.onConnection(fd)
    }
    if (failed) arm()
  })
  const arm = (): void => {
    if (state === 'accepting') poll.start(POLL_READABLE)
  }
  arm()

  return {
    pause() {
      if (state !== 'accepting') return
      state = 'paused'
      clearTimeout(retry)
      poll.stop()
    },
    resume() {
      if (state !== 'paused') return
      state = 'accepting'
      arm()
    },
    close() {
      state = 'closed'
      clearTimeout(retry)
      poll.close()
    },
  }
}

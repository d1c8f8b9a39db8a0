/** Listening on duplicates of a socket that others hold too, again and again, with one Server object. */
import { fstatSync } from 'node:fs'
import net, { type Server } from 'node:net'
import { attachError } from '../../errors/attach.js'
import { closeFd, dup } from '../../os/fds.js'
import { holdCloseEvent } from './private-node.js'

export interface ListenerSocket {
  readonly name: string
  /** Kept aside by its owner and never closed here: it is what the queue lives on between two accepts (INV-04). */
  readonly fd: number
  /** The length that the shared queue was given. The kernel caps it at `somaxconn`. */
  readonly backlog: number
}

export class Acceptor {
  readonly #listener: ListenerSocket
  readonly #server: Server
  #starting: Promise<void> | undefined
  #releaseCloseEvent: () => void

  constructor(listener: ListenerSocket, server: Server) {
    this.#listener = listener
    this.#server = server
    this.#releaseCloseEvent = () => {}
  }

  /** @throws ERR_HANDOFF_ATTACH_LISTEN */
  async start(): Promise<void> {
    if (this.#starting === undefined && this.#server.listening) return
    this.#starting ??= this.#listen().finally(() => {
      this.#starting = undefined
    })
    await this.#starting
  }

  /** Closes this process's duplicate only. Connections stay, and the queue stays with the other holders of the socket. */
  async stop(): Promise<void> {
    // A failed start is reported to whoever started.
    await this.#starting?.catch(() => {})
    if (!this.#server.listening) return
    this.#releaseCloseEvent()
    this.#releaseCloseEvent = holdCloseEvent(this.#server)
    // http.Server's own close() would also cut idle keep-alive connections; a callback would stay registered for 'close'.
    net.Server.prototype.close.call(this.#server)
  }

  /** For a server that never listens again: `close` is announced as soon as its last connection is gone. */
  retire(): void {
    this.#releaseCloseEvent()
    if (!this.#server.listening) net.Server.prototype.close.call(this.#server)
  }

  #listen(): Promise<void> {
    const { name, fd, backlog } = this.#listener
    return new Promise((resolve, reject) => {
      const server = this.#server
      let copy: number
      try {
        copy = dup(fd)
      } catch (error) {
        reject(attachError('ERR_HANDOFF_ATTACH_LISTEN', [name, fd], error))
        return
      }
      const settle = (error?: Error): void => {
        server.off('error', settle)
        server.off('listening', settle)
        if (error === undefined) {
          this.#releaseCloseEvent()
          this.#releaseCloseEvent = () => {}
          resolve()
          return
        }
        closeLeftover(copy, fd)
        reject(attachError('ERR_HANDOFF_ATTACH_LISTEN', [name, fd], error))
      }
      server.on('error', settle)
      server.on('listening', settle)
      // Positional: { fd, backlog } is ignored, and listen(2) would shrink the queue of every holder to 511.
      server.listen({ fd: copy }, backlog)
    })
  }
}

/** Node closes the duplicate on some of its failures and forgets it on others. */
function closeLeftover(copy: number, original: number): void {
  try {
    const [left, kept] = [fstatSync(copy), fstatSync(original)]
    if (left.ino === kept.ino && left.dev === kept.dev) closeFd(copy)
  } catch {
    // EBADF: closed already.
  }
}

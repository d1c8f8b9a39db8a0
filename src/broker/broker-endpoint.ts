/** Where clients come in: a socket of the broker's own, or one that a daemon holds and lends. */
import { createServer, type Server } from 'node:net'
import { type Acceptor, acceptOn } from '../os/acceptor.js'
import { dup } from '../os/fds.js'
import { checkPathIsFree } from '../os/listeners.js'
import { fdOfSocket } from '../os/node-handles.js'
import { stageUnixServer } from '../os/unix-socket.js'
import { checkPrivateDirectory } from './private-directory.js'

export interface BrokerEndpoint {
  start(): void
  /** At once: no connection comes after it. */
  stop(): void
  close(): void
}

export interface EndpointHandlers {
  /** The fd is the receiver's. */
  onConnection(fd: number): void
  onStarved(error: unknown): void
}

/** Connections the kernel queues, as far as somaxconn allows: a full Unix queue is an error for the client. */
const BACKLOG = 4_096

/**
 * Binds under a staging name and renames: whatever a crashed broker left is replaced, a living one is not (W10).
 * @throws ERR_HANDOFF_SOCKET_PATH_BUSY, ERR_HANDOFF_LISTEN, ERR_HANDOFF_BROKER_USAGE_DIRECTORY
 */
export function ownEndpoint(path: string, privateDirectory: boolean, handlers: EndpointHandlers): BrokerEndpoint {
  if (privateDirectory) checkPrivateDirectory(path)
  checkPathIsFree(path)
  const server = stageUnixServer(path, { mode: 0o600, backlog: BACKLOG })
  server.publish()
  const accepting = { onConnection: handlers.onConnection, onTrouble: handlers.onStarved }
  const acceptor: Acceptor = acceptOn(server.fd, accepting, { blocking: true })
  acceptor.pause()
  return {
    start: () => acceptor.resume(),
    stop: () => acceptor.pause(),
    close() {
      acceptor.close()
      server.close()
    },
  }
}

/**
 * A net.Server that gives every connection away unread, for `listeners.x.attach(server)` of a daemon: it accepts when the
 * daemon goes live and stops when it drains.
 */
export function lentEndpoint(handlers: EndpointHandlers): BrokerEndpoint & { readonly server: Server } {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    try {
      handlers.onConnection(dup(fdOfSocket(socket)))
    } catch (error) {
      handlers.onStarved(error)
    }
    // The copy lives on; nothing was read, so closing this one says nothing to the client.
    socket.destroy()
  })
  return { server, start() {}, stop() {}, close() {} }
}

/** Leave a connection open but unread, and take it up again. */
import { pendingBytes } from '../../os/fds.js'
import type { Connection } from './connection.js'
import { descriptorOf, startReading, stopReading } from './private-node.js'

/** Stops reading and the idle timer in one turn of the loop: bytes that arrive wait in the kernel, nothing closes it. */
export function park(connection: Connection): void {
  if (connection.parked !== null) return
  const { socket } = connection
  stopReading(socket)
  connection.parked = { timeoutMs: socket.timeout ?? 0, paused: false }
  socket.setTimeout(0)
}

/** Reads again. The idle timer starts anew: time in which nobody listened is not held against the client. */
export function unpark(connection: Connection): void {
  if (connection.parked === null) return
  const { socket } = connection
  const { timeoutMs, paused } = connection.parked
  connection.parked = null
  if (socket.destroyed) return
  if (timeoutMs > 0) socket.setTimeout(timeoutMs)
  if (paused) socket.resume()
  else startReading(socket)
}

/** Bytes that wait in the kernel: of a parked connection, the request that came too late. 0 when it is closed. */
export function unreadBytes(connection: Connection): number {
  const fd = descriptorOf(connection.socket)
  return fd === null ? 0 : pendingBytes(fd)
}

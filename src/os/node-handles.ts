/** Node keeps a socket's fd to itself; this is the one place that asks for it. */
import type { Socket } from 'node:net'

/** @throws TypeError when the socket is closed, or Node no longer keeps the number where it did from 20 to 26 */
export function fdOfSocket(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: { fd?: unknown } | null })._handle
  const fd = handle?.fd
  if (typeof fd === 'number' && fd >= 0) return fd
  throw new TypeError('this socket has no file descriptor: it is closed, or was never connected')
}

/** One datagram to a Unix socket, path or abstract: how the systemd notify protocol is spoken. */
import { native } from './native.js'

const { constants } = native

/**
 * `@name` means the abstract namespace, as in NOTIFY_SOCKET. Its address is exactly as long as the name: one padded
 * with NULs names another socket.
 * @throws errno exception: ECONNREFUSED and ENOENT when nobody receives there, EAGAIN when its queue is full
 */
export function sendDatagram(target: string, bytes: Uint8Array): void {
  const fd = native.socket(constants.AF_UNIX, constants.SOCK_DGRAM)
  try {
    native.sendtoUnix(fd, bytes, target.startsWith('@') ? `\0${target.slice(1)}` : target)
  } finally {
    native.close(fd)
  }
}

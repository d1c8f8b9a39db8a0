/** Who may talk to our sockets: our own uid, root, and those that were named (decision 10). */
import { channelError } from '../errors/channel.js'
import type { Logger } from '../observe/log.js'
import { closeFd } from '../os/fds.js'
import { peerCredentials } from '../os/unix-socket.js'

/** Checks before a byte is read. A stranger is logged and closed. */
export function isPeerAllowed(fd: number, allowedUids: readonly number[], log: Logger): boolean {
  const own = process.geteuid?.() ?? 0
  const allowed = [own, 0, ...allowedUids]
  const { uid, pid } = peerCredentials(fd)
  if (allowed.includes(uid)) return true
  log.warn({ uid, pid, err: channelError('ERR_HANDOFF_PEER_UID', [uid, `uids ${allowed.join(', ')}`]) }, 'turned away')
  closeFd(fd)
  return false
}

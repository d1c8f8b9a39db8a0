/** The directory of a broker socket: ours, and closed to everybody else, so that no one can swap the socket (W8). */
import { lstatSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { brokerError } from '../errors/broker.js'
import { isErrno } from '../os/errno.js'

/** Creates the last level when it is missing. @throws ERR_HANDOFF_BROKER_USAGE_DIRECTORY */
export function checkPrivateDirectory(socketPath: string): void {
  const directory = dirname(socketPath)
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    if (!isErrno(error, 'EEXIST'))
      throw brokerError('ERR_HANDOFF_BROKER_USAGE_DIRECTORY', [directory, 'is missing'], error)
  }
  const stat = lstatSync(directory)
  const fail = (problem: string) => brokerError('ERR_HANDOFF_BROKER_USAGE_DIRECTORY', [directory, problem])
  if (!stat.isDirectory()) throw fail('is no directory, or a symbolic link')
  if (stat.uid !== process.geteuid?.()) throw fail('belongs to another user')
  if ((stat.mode & 0o077) !== 0) throw fail(`has the mode 0${(stat.mode & 0o777).toString(8)}`)
}

/** Own uid, root, and whoever was allowed by name. */
export function peerPolicy(allowedUids: readonly number[] = []): (uid: number) => boolean {
  const allowed = new Set([0, process.geteuid?.() ?? 0, ...allowedUids])
  return (uid) => allowed.has(uid)
}

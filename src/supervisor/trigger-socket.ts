/** Where the trigger socket meets the kernel: bound aside, renamed into place, every client's uid from the kernel. */
import { chmodSync, closeSync, lstatSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { osError } from '../errors/os.js'
import { triggerError } from '../errors/trigger.js'
import { dialOnce, peerCredentials, stageUnixServer } from '../os/unix-socket.js'

/** Clients the kernel queues while this process is busy. */
const BACKLOG = 128

export interface BoundTriggerSocket {
  readonly server: Server
  /** Lets other users connect, or keeps them out. */
  openToOthers(open: boolean): void
  /** Removes the path if it is still ours. */
  unpublish(): void
}

/**
 * @param openToOthers lets other users connect, so that the uid check can decide: a path in mode 0600 would keep even
 *   the allowed ones out.
 * @throws HandoffError ERR_HANDOFF_STATE_SUPERVISOR_RUNNING, ERR_HANDOFF_SOCKET_PATH_…, ERR_HANDOFF_LISTEN
 */
export async function bindTriggerSocket(
  path: string,
  openToOthers: boolean,
  onConnection: (socket: Socket) => void,
): Promise<BoundTriggerSocket> {
  refuseTaken(path)
  const staged = stageUnixServer(path, { mode: modeFor(openToOthers), backlog: BACKLOG })
  // Half-open: `echo handoff | socat …` closes its writing end long before there is an answer.
  const server = createServer({ allowHalfOpen: true }, onConnection)
  try {
    await new Promise<void>((resolve, reject) => {
      // The positional form: with { fd, backlog } Node would shrink the queue.
      server.once('error', reject).listen({ fd: staged.fd }, BACKLOG, resolve)
    })
    staged.publish()
  } catch (error) {
    staged.unpublish()
    server.close()
    throw error
  }
  return {
    server,
    openToOthers(open) {
      if (staged.leadsHere()) chmodSync(path, modeFor(open))
    },
    unpublish: () => staged.unpublish(),
  }
}

const modeFor = (openToOthers: boolean): number => (openToOthers ? 0o666 : 0o600)

/** A dead supervisor leaves a socket nobody answers on; that one may be replaced, a living one or another file may not. */
function refuseTaken(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isSocket()) throw osError('ERR_HANDOFF_SOCKET_PATH_BUSY', [path, 'it is something else than a socket'])
  const dialled = dialOnce(path)
  if (dialled.ok) closeSync(dialled.fd)
  if (dialled.ok || dialled.why === 'busy') throw triggerError('ERR_HANDOFF_STATE_SUPERVISOR_RUNNING', [path])
  if (dialled.why === 'denied')
    throw osError('ERR_HANDOFF_SOCKET_PATH_BUSY', [path, 'another user owns it'], dialled.error)
}

/** @throws errno exception when the client has gone already */
export const peerUid = (socket: Socket): number => peerCredentials(socket).uid

/** Asks a living primitive for copies of its listeners, over `<control_socket>.fds` (wire spec, "Rendezvous socket"). */
import type { Logger } from '../observe/log.js'
import { FdSocket } from '../os/fd-socket.js'
import { closeFd } from '../os/fds.js'
import { dialUnix, peerCredentials } from '../os/unix-socket.js'
import type { GivenListener } from './held-listeners.js'

/** A primitive that serves answers at once; one that does not is not worth more, ms. */
const ANSWER_MS = 5_000
/** Room for 253 names of 255 bytes, and then some. */
const MAX_LINE_BYTES = 128 * 1024

export const rendezvousPath = (controlSocket: string): string => `${controlSocket}.fds`

/** What it gives; nothing when it has no rendezvous socket or says something else. */
export async function takeListeners(controlSocket: string, pid: number, log: Logger): Promise<GivenListener[]> {
  const outcome = await dialUnix(rendezvousPath(controlSocket))
  if (!outcome.ok) {
    log.warn(
      { primitivePid: pid, why: outcome.why },
      'the primitive has no rendezvous socket; its listeners are bound anew',
    )
    return []
  }
  const { uid } = peerCredentials(outcome.fd)
  const socket = new FdSocket(outcome.fd)
  try {
    if (uid !== process.geteuid?.() && uid !== 0) throw new Error(`it belongs to uid ${uid}`)
    await socket.sendWithFds(encode({ v: 1, want: 'listeners' }), [], { timeoutMs: ANSWER_MS })
    const answer = await socket.readLine(MAX_LINE_BYTES, { timeoutMs: ANSWER_MS })
    if (answer === null) throw new Error('it closed the connection')
    const given = match(answer.bytes, answer.fds)
    await socket.sendWithFds(encode({ received: answer.fds.length }), [], { timeoutMs: ANSWER_MS })
    return given
  } catch (error) {
    log.warn({ primitivePid: pid, err: error }, 'the primitive did not give its listeners back; they are bound anew')
    return []
  } finally {
    socket.close()
  }
}

const encode = (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`)

function match(line: Uint8Array, fds: readonly number[]): GivenListener[] {
  try {
    const answer: unknown = JSON.parse(Buffer.from(line).toString('utf8'))
    const listed = (answer as { listeners?: unknown }).listeners
    if (!Array.isArray(listed) || listed.length !== fds.length) throw new Error('its list and its descriptors differ')
    return listed.map((entry: { name?: unknown }, i) => {
      if (typeof entry?.name !== 'string') throw new Error('a listener has no name')
      return { name: entry.name, fd: fds[i] as number }
    })
  } catch (error) {
    for (const fd of fds) closeFd(fd)
    throw error
  }
}

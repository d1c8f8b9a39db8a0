/** One look at a control path: who answers Hello there. Only a serving incumbent greets, so an answer is a proof. */
import type { Hello } from '../../machines/handoff/protocol.js'
import { isAlive } from '../os/processes.js'
import { dialUnix, peerCredentials } from '../os/unix-socket.js'
import { MessageChannel } from './message-channel.js'

export interface AskOptions {
  /** For the whole look, ms. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export interface PathLook {
  /** Null when nobody answers in time: no socket, a dead one, one that is silent or speaks otherwise. */
  readonly hello: Hello | null
  /** The living process that listens there, whether it answers or not; null where the kernel does not tell. */
  readonly holderPid: number | null
  /** Somebody listens there and takes nobody: it is stopped, or drowned. */
  readonly isBusy: boolean
}

/** @throws what {@link dialUnix} throws */
export async function lookAtPath(path: string, options: AskOptions): Promise<PathLook> {
  const outcome = await dialUnix(path, {
    timeoutMs: options.timeoutMs,
    ...(options.signal && { signal: options.signal }),
  })
  if (!outcome.ok) return { hello: null, holderPid: null, isBusy: outcome.why === 'busy' }
  const { pid } = peerCredentials(outcome.fd)
  const hello = await helloFrom(outcome.fd, options)
  return { hello, holderPid: pid !== null && isAlive(pid) ? pid : null, isBusy: false }
}

/** The Hello alone. */
export const askHello = async (path: string, options: AskOptions): Promise<Hello | null> =>
  (await lookAtPath(path, options)).hello

/** Takes the fd over. */
async function helloFrom(fd: number, options: AskOptions): Promise<Hello | null> {
  return await new Promise<Hello | null>((resolve) => {
    const finish = (hello: Hello | null): void => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', giveUp)
      channel.close()
      resolve(hello)
    }
    const giveUp = (): void => finish(null)
    const channel = new MessageChannel(fd, {
      onMessage: (message) => {
        if (message.type === 'Hello') finish(message)
        else if (message.type !== 'Heartbeat') finish(null)
      },
      onEnd: giveUp,
      onViolation: giveUp,
    })
    // Not before there is something to close: without a channel nobody would be there to catch what it throws.
    const timer = setTimeout(giveUp, options.timeoutMs)
    if (options.signal?.aborted) giveUp()
    else options.signal?.addEventListener('abort', giveUp, { once: true })
  })
}

/** Looks until the named process answers. @throws the signal's reason */
export async function confirmServing(
  path: string,
  pid: number,
  options: { pollMs: number; timeoutMs: number; signal: AbortSignal },
): Promise<Hello> {
  // Mostly it is a matter of a millisecond; a look before that would take time from who is about to serve.
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, options.pollMs)) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    options.signal.throwIfAborted()
    const hello = await askHello(path, { timeoutMs: options.timeoutMs, signal: options.signal })
    if (hello?.pid === pid) return hello
  }
}

/** The way from a replaced incumbent to its successor: the rendezvous path, which leads there by now. */
import type { Socket } from 'node:net'
import { FdSocket } from '../os/fd-socket.js'
import { dialUnix, peerCredentials, socketFromFd } from '../os/unix-socket.js'
import { rendezvousPath } from './rendezvous.js'

/** A successor that serves answers at once, ms. */
const ANSWER_MS = 2_000
const MAX_ANSWER_BYTES = 4096

/** A channel on which the successor adopts what is offered, and how many descriptors it has room for. */
export interface Adopter {
  readonly channel: FdSocket
  readonly room: number
}
export type DialAdopter = () => Promise<Adopter>

/** For requests of one listener. @throws what dialling throws, or an Error that says why nobody takes requests there */
export async function dialForward(controlSocket: string, listener: string): Promise<Socket> {
  const { channel } = await ask(controlSocket, { want: 'forward', listener })
  return socketFromFd(channel.detach())
}

/** For whole connections. @throws as {@link dialForward}; a successor of an older version takes none */
export async function dialAdopter(controlSocket: string): Promise<Adopter> {
  const { channel, answer } = await ask(controlSocket, { want: 'adopt' })
  const { room } = answer as { room?: unknown }
  return { channel, room: typeof room === 'number' ? room : 0 }
}

async function ask(controlSocket: string, request: { readonly want: string; readonly listener?: string }) {
  const dialled = await dialUnix(rendezvousPath(controlSocket), { timeoutMs: ANSWER_MS })
  if (!dialled.ok) throw dialled.error
  const channel = new FdSocket(dialled.fd)
  try {
    const { uid, pid } = peerCredentials(channel.fd)
    if (uid !== process.geteuid?.() && uid !== 0) throw new Error(`the rendezvous socket belongs to uid ${uid}`)
    // A successor without a rendezvous socket has left ours where it was.
    if (pid === process.pid) throw new Error('the successor has no rendezvous socket')
    const line = Buffer.from(`${JSON.stringify({ v: 1, ...request })}\n`)
    await channel.sendWithFds(line, [], { timeoutMs: ANSWER_MS })
    const heard = await channel.readLine(MAX_ANSWER_BYTES, { timeoutMs: ANSWER_MS, maxFds: 0 })
    const text = heard === null ? 'nothing' : Buffer.from(heard.bytes).toString('utf8')
    const answer = answerIn(text)
    if (answer?.[request.want] !== true) throw new Error(`the successor does not ${request.want}: it said ${text}`)
    return { channel, answer }
  } catch (error) {
    channel.close()
    throw error
  }
}

function answerIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' ? (answer as Readonly<Record<string, unknown>>) : null
  } catch {
    return null
  }
}

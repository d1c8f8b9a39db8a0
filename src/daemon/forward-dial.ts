/** The way from a replaced incumbent to its successor: the rendezvous path, which leads there by now. */
import type { Socket } from 'node:net'
import { FdSocket } from '../os/fd-socket.js'
import { dialUnix, peerCredentials, socketFromFd } from '../os/unix-socket.js'
import { rendezvousPath } from './rendezvous.js'

/** A successor that serves answers at once, ms. */
const ANSWER_MS = 2_000
const MAX_ANSWER_BYTES = 4096

/** @throws what dialling throws, or an Error that says why nobody takes requests there */
export async function dialForward(controlSocket: string, listener: string): Promise<Socket> {
  const dialled = await dialUnix(rendezvousPath(controlSocket), { timeoutMs: ANSWER_MS })
  if (!dialled.ok) throw dialled.error
  const channel = new FdSocket(dialled.fd)
  try {
    const { uid, pid } = peerCredentials(channel.fd)
    if (uid !== process.geteuid?.() && uid !== 0) throw new Error(`the rendezvous socket belongs to uid ${uid}`)
    // A successor without a rendezvous socket has left ours where it was.
    if (pid === process.pid) throw new Error('the successor has no rendezvous socket')
    const request = { v: 1, want: 'forward', listener }
    await channel.sendWithFds(Buffer.from(`${JSON.stringify(request)}\n`), [], { timeoutMs: ANSWER_MS })
    const answer = await channel.readLine(MAX_ANSWER_BYTES, { timeoutMs: ANSWER_MS, maxFds: 0 })
    const text = answer === null ? 'nothing' : Buffer.from(answer.bytes).toString('utf8')
    if (text !== '{"v":1,"forward":true}') throw new Error(`the successor takes no requests: it said ${text}`)
    return socketFromFd(channel.detach())
  } catch (error) {
    channel.close()
    throw error
  }
}

/** The successor's part in moving live connections: asks the incumbent for them, and reads them once it serves. */
import type { Logger } from '../observe/log.js'
import { FdSocket } from '../os/fd-socket.js'
import { dialUnix, peerCredentials } from '../os/unix-socket.js'
import { ConnectionReceiver, roomForFds } from './attach/connection-receiver.js'
import type { ListenerSet } from './listener-set.js'
import { rendezvousPath } from './rendezvous.js'

/** A connect to a socket whose owner is too busy to accept, ms. */
const DIAL_MS = 500
/** Each wait for an older program that hands over, ms. */
const LATE_MS = 2_000

export class IncomingMove {
  readonly #controlSocket: string
  readonly #listeners: ListenerSet
  readonly #log: Logger
  #receiver: ConnectionReceiver | null = null
  #channel: FdSocket | null = null

  constructor(controlSocket: string, listeners: ListenerSet, log: Logger) {
    this.#controlSocket = controlSocket
    this.#listeners = listeners
    this.#log = log
  }

  /** Copies of all connections, while the incumbent serves them. An incumbent that gives none is no failure. */
  async fetch(signal: AbortSignal): Promise<void> {
    const dialled = await dialUnix(rendezvousPath(this.#controlSocket), { timeoutMs: DIAL_MS, signal })
    if (!dialled.ok) {
      this.#log.debug({ why: dialled.why }, 'no incumbent offers its connections; they end there')
      return
    }
    const channel = new FdSocket(dialled.fd)
    const abort = (): void => channel.close()
    signal.addEventListener('abort', abort, { once: true })
    try {
      const { uid } = peerCredentials(channel.fd)
      if (uid !== process.geteuid?.() && uid !== 0) throw new Error(`the rendezvous socket belongs to uid ${uid}`)
      const room = roomForFds()
      const request = { v: 1, want: 'connections', room }
      await channel.sendWithFds(Buffer.from(`${JSON.stringify(request)}\n`), [], { signal })
      const receiver = new ConnectionReceiver(channel, this.#listeners.stage(), room)
      this.#receiver = receiver
      await receiver.pull({ signal })
      this.#channel = channel
      receiver.awaitCut().catch((error: unknown) => {
        this.#log.debug({ err: error }, 'the incumbent tells no more')
        // Nobody will read these; while we hold them, their clients do not see that the incumbent is gone.
        if (!receiver.knowsCut) receiver.abandon()
      })
    } catch (error) {
      this.#log.info({ err: error }, 'the incumbent keeps its connections')
      this.abandon()
      channel.close()
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** The commit point: this process serves, so it reads what the incumbent has parked. */
  goLive(): void {
    const receiver = this.#receiver
    if (receiver === null) return
    this.#receiver = null
    const count = receiver.goLive()
    const channel = this.#channel
    // They are read by now; the rest has time.
    setImmediate(() => {
      channel?.close()
      this.#log.info({ event: 'handoff.adopted', connections: count }, `${count} live connections taken over`)
    })
  }

  /** What an older program could not let go of before: read here from its last word on. The channel is the caller's. */
  async adoptLate(channel: FdSocket): Promise<void> {
    const room = roomForFds()
    const receiver = new ConnectionReceiver(channel, this.#listeners.incoming(), room)
    try {
      const limits = { timeoutMs: LATE_MS }
      await channel.sendWithFds(Buffer.from(`${JSON.stringify({ v: 1, adopt: true, room })}\n`), [], limits)
      await receiver.awaitCut(limits)
      const count = receiver.goLive()
      this.#log.info({ event: 'handoff.adoptedLate', connections: count }, `${count} live connections followed later`)
    } catch (error) {
      receiver.abandon()
      throw error
    }
  }

  /** Closes our copies; the incumbent's are untouched. */
  abandon(): void {
    this.#receiver?.abandon()
    this.#receiver = null
    this.#channel?.close()
    this.#channel = null
  }
}

/** `<control_socket>.fds`: gives copies of the listeners to a restarted supervisor (INV-07; wire spec, "Rendezvous socket"). */
import { isPeerAllowed } from '../channel/peer-policy.js'
import type { Logger } from '../observe/log.js'
import { type Acceptor, acceptOn } from '../os/acceptor.js'
import { FdSocket, MAX_FDS_PER_MESSAGE } from '../os/fd-socket.js'
import { type StagedUnixServer, stageUnixServer } from '../os/unix-socket.js'
import type { DaemonListener } from './options.js'

/** One request a connection, and none of them slow, ms. */
const REQUEST_MS = 10_000
const MAX_REQUEST_BYTES = 4096

export class Rendezvous {
  readonly #path: string
  readonly #log: Logger
  readonly #listeners: () => readonly DaemonListener[]
  #staged: StagedUnixServer | null = null
  #acceptor: Acceptor | null = null

  constructor(controlSocket: string, listeners: () => readonly DaemonListener[], log: Logger) {
    this.#path = `${controlSocket}.fds`
    this.#listeners = listeners
    this.#log = log
  }

  /** Own uid and root only, whoever else may talk on the control socket: descriptors are the service itself. */
  publish(): void {
    if (this.#staged?.leadsHere()) return
    const staged = stageUnixServer(this.#path)
    this.close()
    this.#staged = staged
    this.#acceptor = acceptOn(staged.fd, {
      onConnection: (fd) => {
        if (isPeerAllowed(fd, [], this.#log)) void this.#serve(new FdSocket(fd))
      },
      onTrouble: (error) => this.#log.warn({ err: error }, 'the rendezvous socket could not accept; trying again'),
    })
    staged.publish()
  }

  close(): void {
    this.#acceptor?.close()
    this.#staged?.close()
    this.#acceptor = null
    this.#staged = null
  }

  async #serve(socket: FdSocket): Promise<void> {
    const limits = { timeoutMs: REQUEST_MS }
    try {
      const request = await socket.readLine(MAX_REQUEST_BYTES, { ...limits, maxFds: 0 })
      if (request === null) return
      const problem = problemOf(request.bytes)
      if (problem !== null) return await socket.sendWithFds(line({ v: 1, error: problem }), [], limits)
      const listeners = this.#listeners().slice(0, MAX_FDS_PER_MESSAGE)
      await socket.sendWithFds(
        line({ v: 1, listeners: listeners.map(({ name }) => ({ name })) }),
        listeners.map(({ fd }) => fd),
        limits,
      )
      await socket.readLine(MAX_REQUEST_BYTES, limits)
    } catch (error) {
      this.#log.warn({ err: error }, 'a request on the rendezvous socket failed')
    } finally {
      socket.close()
    }
  }
}

const line = (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`)

function problemOf(bytes: Uint8Array): string | null {
  let request: { v?: unknown; want?: unknown }
  try {
    request = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return 'the request is not a line of JSON'
  }
  if (typeof request !== 'object' || request === null || request.v !== 1) return 'only version 1 is spoken here'
  return request.want === 'listeners' ? null : `nothing is given for want=${JSON.stringify(request.want)}`
}

/**
 * `<control_socket>.fds`: gives copies of the listeners to a restarted supervisor (INV-07), and live connections to a
 * successor (wire spec, "Rendezvous socket").
 */
import { writeSync } from 'node:fs'
import { isPeerAllowed } from '../channel/peer-policy.js'
import type { Logger } from '../observe/log.js'
import { type Acceptor, acceptOn } from '../os/acceptor.js'
import { FdSocket, MAX_FDS_PER_MESSAGE } from '../os/fd-socket.js'
import { peerCredentials, type StagedUnixServer, stageUnixServer } from '../os/unix-socket.js'
import type { DaemonListener } from './options.js'

/** One request a connection, and none of them slow, ms. */
const REQUEST_MS = 10_000
const MAX_REQUEST_BYTES = 4096

export const rendezvousPath = (controlSocket: string): string => `${controlSocket}.fds`

export interface RendezvousGifts {
  listeners(): readonly DaemonListener[]
  /** Takes the socket over; false when there is nothing to give now. */
  connections(socket: FdSocket, pid: number | null, room: number): boolean
  /** Who adopts connections that come to rest in an older program; null while this process does not serve. */
  adopter(): { adoptLate(channel: FdSocket): Promise<void> } | null
  /** Answers HTTP requests on it, which came to sessions of a replaced incumbent; takes the descriptor over. */
  forwarded(fd: number, listener: string): void
  /** Whether {@link forwarded} has a server to answer with. */
  canForward(listener: string): boolean
}

export class Rendezvous {
  readonly #path: string
  readonly #log: Logger
  readonly #gifts: RendezvousGifts
  #staged: StagedUnixServer | null = null
  #acceptor: Acceptor | null = null

  constructor(controlSocket: string, gifts: RendezvousGifts, log: Logger) {
    this.#path = rendezvousPath(controlSocket)
    this.#gifts = gifts
    this.#log = log
  }

  publish(): void {
    this.stage()
    this.#staged?.publish()
  }

  /** Own uid and root only, whoever else may talk on the control socket: descriptors are the service itself. */
  stage(): void {
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
  }

  close(): void {
    this.#acceptor?.close()
    this.#staged?.close()
    this.#acceptor = null
    this.#staged = null
  }

  async #serve(socket: FdSocket): Promise<void> {
    const limits = { timeoutMs: REQUEST_MS }
    let isOurs = true
    try {
      const line = await socket.readLine(MAX_REQUEST_BYTES, { ...limits, maxFds: 0 })
      if (line === null) return
      const request = requestIn(line.bytes)
      if ('problem' in request) return await socket.sendWithFds(encode({ v: 1, error: request.problem }), [], limits)
      if (request.want === 'connections') {
        isOurs = !this.#gifts.connections(socket, peerCredentials(socket.fd).pid, request.room)
        if (isOurs) await socket.sendWithFds(encode({ v: 1, error: 'this process does not serve' }), [], limits)
        return
      }
      if (request.want === 'adopt') {
        const adopter = this.#gifts.adopter()
        if (adopter !== null) await adopter.adoptLate(socket)
        else await socket.sendWithFds(encode({ v: 1, error: 'this process does not serve' }), [], limits)
        return
      }
      if (request.want === 'forward') {
        const takes = this.#gifts.canForward(request.listener)
        const answer = takes ? { v: 1, forward: true } : { v: 1, error: 'no HTTP server answers for that listener' }
        if (takes) {
          isOurs = false
          // Ours before the answer goes out: what follows it is HTTP.
          const fd = socket.detach()
          writeSync(fd, encode(answer))
          this.#gifts.forwarded(fd, request.listener)
        } else await socket.sendWithFds(encode(answer), [], limits)
        return
      }
      const listeners = this.#gifts.listeners().slice(0, MAX_FDS_PER_MESSAGE)
      await socket.sendWithFds(
        encode({ v: 1, listeners: listeners.map(({ name }) => ({ name })) }),
        listeners.map(({ fd }) => fd),
        limits,
      )
      await socket.readLine(MAX_REQUEST_BYTES, limits)
    } catch (error) {
      this.#log.warn({ err: error }, 'a request on the rendezvous socket failed')
    } finally {
      if (isOurs) socket.close()
    }
  }
}

const encode = (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`)

type Request =
  | { readonly want: 'listeners' | 'adopt' }
  | { readonly want: 'forward'; readonly listener: string }
  | { readonly want: 'connections'; readonly room: number }

function requestIn(bytes: Uint8Array): Request | { readonly problem: string } {
  let request: { v?: unknown; want?: unknown; room?: unknown; listener?: unknown }
  try {
    request = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return { problem: 'the request is not a line of JSON' }
  }
  if (typeof request !== 'object' || request === null || request.v !== 1) {
    return { problem: 'only version 1 is spoken here' }
  }
  const { want, room, listener } = request
  if (want === 'listeners' || want === 'adopt') return { want }
  if (want === 'forward') return { want, listener: String(listener) }
  if (want !== 'connections') return { problem: `nothing is given for want=${JSON.stringify(want)}` }
  if (!Number.isSafeInteger(room) || (room as number) < 0) return { problem: 'room must be a number of descriptors' }
  return { want, room: room as number }
}

/**
 * The relay between the roles of a swap and whoever looks at them. It is a process of its own (`handoff inspect`), so
 * that a viewer never costs a role more than one local socket.
 *
 * Listens on the loopback interface, with Host, Origin and token checked, and on a Unix socket for its own user.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { observeError } from '../errors/observe.js'
import { closeFd } from '../os/fds.js'
import { dialOnce, peerCredentials, type StagedUnixServer, stageUnixServer } from '../os/unix-socket.js'
import type { Logger } from './log.js'
import { judgeLocal, judgeLoopback, type Verdict } from './relay-guard.js'
import { type MemoryLimits, RelayMemory } from './relay-memory.js'

/** Longest message from a role, bytes. */
export const MAX_PRODUCED_BYTES = 1024 * 1024
/** A watcher that leaves more than this unread is dropped, bytes: twice what a late one is told at once. */
export const MAX_UNREAD_BYTES = 8 * 1024 * 1024
/** Connections at once. A swap has three roles; the rest is room for restarts. */
export const MAX_PRODUCERS = 64
export const MAX_WATCHERS = 256

export interface RelayOptions {
  /** Loopback port; 0 lets the kernel choose. */
  readonly port: number
  /** Unix socket for the roles; none without. */
  readonly socketPath?: string
  /** What is served over HTTP, by path, e.g. `/`. */
  readonly pages: ReadonlyMap<string, Page>
  readonly log: Logger
  readonly token?: string
  readonly memory?: MemoryLimits
  readonly maxUnreadBytes?: number
  /** Called with every message that was taken, as text. */
  readonly onMessage?: (text: string) => void
}

export interface Page {
  readonly contentType: string
  readonly body: string | Buffer
  /** Served only with the token. */
  readonly secret: boolean
  /** Value of Content-Security-Policy. */
  readonly policy?: string
}

export interface Relay {
  readonly port: number
  readonly token: string
  /** Open this in a browser. The token travels in the fragment: it is in no request and no log. */
  readonly pageUrl: string
  /** For `inspect: …` and HANDOFF_INSPECT. */
  readonly produceUrl: string
  readonly counts: () => { producers: number; watchers: number; dropped: number }
  close(): Promise<void>
}

/** @throws HandoffError ERR_HANDOFF_STATE_INSPECTOR_RUNNING, ERR_HANDOFF_INSPECT_LISTEN, ERR_HANDOFF_SOCKET_PATH_… */
export async function openRelay(options: RelayOptions): Promise<Relay> {
  const hub = new Hub(options)
  const token = options.token ?? randomBytes(16).toString('hex')
  const loopback = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/'
    const page = options.pages.get(path)
    const verdict = judgeLoopback(request, { port, token })
    // 404 is said of the doors: a page has a path of its own.
    const known = verdict.ok || verdict.status === 404
    const hostIsOurs = /^(127\.0\.0\.1|localhost|\[::1\]):\d+$/.test(request.headers.host ?? '')
    if (page === undefined) response.writeHead(404).end()
    else if (request.method !== 'GET' || !hostIsOurs || (page.secret && !known)) response.writeHead(403).end()
    else response.writeHead(200, headersOf(page)).end(page.body)
  })
  const port = await listen(loopback, options.port)
  loopback.on('upgrade', (request, socket, head) =>
    hub.admit(judgeLoopback(request, { port, token }), request, socket, head),
  )
  const local = options.socketPath === undefined ? null : await openLocal(options.socketPath, hub)
  const at = `127.0.0.1:${port}`
  return {
    port,
    token,
    pageUrl: `http://${at}/#token=${token}`,
    produceUrl: `ws://${at}/produce?token=${token}`,
    counts: () => hub.counts(),
    async close() {
      hub.close()
      local?.close()
      loopback.closeAllConnections()
      await new Promise<void>((resolve) => loopback.close(() => resolve()))
    },
  }
}

function headersOf({ contentType, policy }: Page): Record<string, string> {
  return {
    'content-type': contentType,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    ...(policy === undefined ? {} : { 'content-security-policy': policy }),
  }
}

async function listen(server: Server, port: number): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    throw observeError('ERR_HANDOFF_INSPECT_LISTEN', [`127.0.0.1:${port}`, why], error)
  }
  return (server.address() as AddressInfo).port
}

async function openLocal(path: string, hub: Hub): Promise<{ close(): void }> {
  const dialled = dialOnce(path)
  if (dialled.ok) {
    closeFd(dialled.fd)
    throw observeError('ERR_HANDOFF_STATE_INSPECTOR_RUNNING', [path])
  }
  const staged: StagedUnixServer = stageUnixServer(path)
  const server = createServer((_request, response) => response.writeHead(404).end())
  server.on('upgrade', (request, socket, head) => {
    const { uid } = peerCredentials(socket as Socket)
    const own = uid === 0 || uid === process.geteuid?.()
    hub.admit(own ? judgeLocal(request) : { ok: false, status: 403 }, request, socket, head)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen({ fd: staged.fd }, resolve))
  staged.publish()
  return {
    close() {
      staged.unpublish()
      server.closeAllConnections()
      server.close()
    },
  }
}

class Hub {
  readonly #options: RelayOptions
  readonly #memory: RelayMemory
  readonly #server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_PRODUCED_BYTES })
  readonly #producers = new Set<WebSocket>()
  readonly #watchers = new Set<WebSocket>()
  #dropped = 0
  #closed = false

  constructor(options: RelayOptions) {
    this.#options = options
    this.#memory = new RelayMemory(options.memory)
  }

  counts() {
    return { producers: this.#producers.size, watchers: this.#watchers.size, dropped: this.#dropped }
  }

  admit(verdict: Verdict, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    if (!verdict.ok) {
      refuse(socket, verdict.status)
      return
    }
    const { door } = verdict
    const [present, most] =
      door === 'produce' ? [this.#producers.size, MAX_PRODUCERS] : [this.#watchers.size, MAX_WATCHERS]
    if (present >= most) {
      refuse(socket, 503)
      return
    }
    this.#server.handleUpgrade(request, socket, head, (peer) => {
      peer.on('error', () => peer.terminate())
      if (door === 'produce') this.#produce(peer)
      else this.#watch(peer)
    })
  }

  close(): void {
    this.#closed = true
    for (const peer of [...this.#producers, ...this.#watchers]) peer.terminate()
    this.#server.close()
  }

  #produce(peer: WebSocket): void {
    this.#producers.add(peer)
    const sessions = new Set<string>()
    peer.on('message', (data, isBinary) => {
      const text = isBinary ? '' : data.toString()
      const { type, sessionId } = headOf(text)
      if (type === null || sessionId === null) {
        this.#options.log.warn({ bytes: text.length }, 'something else than inspection was sent; the sender is dropped')
        peer.terminate()
        return
      }
      sessions.add(sessionId)
      this.#spread({ text, type, sessionId })
    })
    peer.on('close', () => {
      this.#producers.delete(peer)
      if (sessions.size === 0 || this.#closed) return
      const gone = { type: '@handoff.gone', sessionIds: [...sessions], createdAt: String(Date.now()) }
      this.#spread({ text: JSON.stringify(gone), type: gone.type, sessionId: '' })
    })
  }

  #watch(peer: WebSocket): void {
    this.#watchers.add(peer)
    peer.on('close', () => this.#watchers.delete(peer))
    for (const text of this.#memory.replay()) if (!this.#tell(peer, text)) return
  }

  #spread(message: { text: string; type: string; sessionId: string }): void {
    this.#memory.add(message)
    this.#options.onMessage?.(message.text)
    for (const peer of this.#watchers) this.#tell(peer, message.text)
  }

  /** @returns false when it was dropped: nobody is waited for, and nobody's memory is ours. */
  #tell(peer: WebSocket, text: string): boolean {
    if (peer.bufferedAmount <= (this.#options.maxUnreadBytes ?? MAX_UNREAD_BYTES)) {
      peer.send(text)
      return true
    }
    this.#dropped += 1
    this.#watchers.delete(peer)
    this.#options.log.warn({ bytes: peer.bufferedAmount }, 'a watcher stopped reading; it is dropped')
    peer.terminate()
    return false
  }
}

function refuse(socket: Duplex, status: 400 | 403 | 404 | 503): void {
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function headOf(text: string): { type: string | null; sessionId: string | null } {
  try {
    const { type, sessionId } = JSON.parse(text) as { type?: unknown; sessionId?: unknown }
    const known = typeof type === 'string' && /^@xstate\.(actor|event|snapshot|action)$/.test(type)
    return { type: known ? type : null, sessionId: typeof sessionId === 'string' ? sessionId : null }
  } catch {
    return { type: null, sessionId: null }
  }
}

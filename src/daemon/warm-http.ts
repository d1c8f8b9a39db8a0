/**
 * Answers requests before there are clients. A program that has just started runs code that V8 has not compiled yet, and
 * answers at a fraction of its later speed; with requests coming on meanwhile they queue for longer than the cut itself takes.
 */
import { Server, type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'
import { Socket } from 'node:net'
import { daemonError } from '../errors/daemon.js'
import { streamPair } from '../os/fds.js'

export interface WarmUpRequest {
  /** Default GET. */
  readonly method?: string
  /** With the query, as in a request line. */
  readonly path: string
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string | Uint8Array
}

export interface WarmUpOptions {
  /** Asked in turn. The server must answer from something that may be changed: it asks as often as the limits below allow. */
  readonly requests: readonly WarmUpRequest[]
  /** Requests altogether. Default 5000: after that V8 has little left to compile (measured with `examples/kv.ts`). */
  readonly count?: number
  /** Ends earlier, ms. Default 1000: the incumbent serves meanwhile, nobody waits but the swap. */
  readonly limitMs?: number
  readonly signal?: AbortSignal
}

const CONNECTIONS = 8
/** New connections have code of their own. */
const REQUESTS_PER_CONNECTION = 20

/**
 * For `prepare`: answers requests with a server of its own, made of the same handler on scratch data, over connections that
 * nobody else sees. What it answers is looked at by nobody; a handler that fails or never answers costs its time.
 * @returns how many were answered
 * @throws ERR_HANDOFF_USAGE_WARM_UP for a server that listens or speaks no HTTP/1, and for requests that are none
 */
export async function warmUpHttp(server: Server, options: WarmUpOptions): Promise<{ answered: number }> {
  if (!(server instanceof Server))
    throw usage('server', 'is no HTTP/1 server', 'give one made by createServer of node:http')
  if (server.listening) throw usage('server', 'has clients of its own', 'make another one with the same handler')
  const warmUp = new WarmUp(server, options)
  return { answered: await warmUp.run() }
}

const usage = (what: string, problem: string, cure: string) =>
  daemonError('ERR_HANDOFF_USAGE_WARM_UP', [what, problem, cure])

class WarmUp {
  readonly #server: Server
  readonly #requests: readonly Buffer[]
  readonly #limitMs: number
  readonly #signal: AbortSignal | undefined
  /** Whoever waits for the answer on a connection. */
  readonly #waiting = new Map<Socket, () => void>()
  #left: number
  #answered = 0
  #nth = 0

  constructor(server: Server, { requests, count = 5000, limitMs = 1000, signal }: WarmUpOptions) {
    if (requests.length === 0) throw usage('requests', 'is empty', 'name at least one request')
    this.#server = server
    this.#requests = requests.map(serialize)
    this.#limitMs = limitMs
    this.#signal = signal
    this.#left = count
  }

  async run(): Promise<number> {
    const stop = (): void => {
      this.#left = 0
      for (const socket of [...this.#waiting.keys()]) this.#proceed(socket)
    }
    const noteAnswer = ({ socket }: { socket: Socket }, response: ServerResponse): void => {
      response.once('close', () => {
        if (response.writableFinished) this.#answered++
        this.#proceed(socket)
      })
    }
    const timer = setTimeout(stop, this.#limitMs)
    this.#signal?.addEventListener('abort', stop, { once: true })
    this.#server.prependListener('request', noteAnswer)
    try {
      if (this.#signal?.aborted !== true) await Promise.all(Array.from({ length: CONNECTIONS }, () => this.#client()))
      return this.#answered
    } finally {
      this.#server.off('request', noteAnswer)
      this.#signal?.removeEventListener('abort', stop)
      clearTimeout(timer)
    }
  }

  async #client(): Promise<void> {
    while (this.#left > 0) {
      const [ours, theirs] = streamPair()
      const client = new Socket({ fd: ours, readable: true, writable: true }).on('error', () => {}).resume()
      const served = new Socket({ fd: theirs, readable: true, writable: true, allowHalfOpen: true })
      served.once('close', () => this.#proceed(served))
      this.#server.emit('connection', served)
      for (let sent = 0; sent < REQUESTS_PER_CONNECTION && this.#left > 0 && served.writable; sent++) {
        this.#left--
        const answer = new Promise<void>((resolve) => this.#waiting.set(served, resolve))
        client.write(this.#requests[this.#nth++ % this.#requests.length] as Buffer)
        await answer
      }
      client.destroy()
      served.destroy()
    }
  }

  #proceed(socket: Socket): void {
    this.#waiting.get(socket)?.()
    this.#waiting.delete(socket)
  }
}

/** @throws ERR_HANDOFF_USAGE_WARM_UP for what would be another request than was meant */
function serialize({ method = 'GET', path, headers = {}, body = '' }: WarmUpRequest): Buffer {
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(method)) throw usage('method', `${method} is no method`, 'correct it')
  if (!/^\/[\x21-\x7e]*$/.test(path)) throw usage('path', `${path} is no path`, 'begin with /, percent-encode the rest')
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: warm-up', `Content-Length: ${Buffer.byteLength(body)}`]
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch (error) {
      throw usage('headers', `holds a bad header: ${(error as Error).message}`, 'correct it')
    }
    lines.push(`${name}: ${value}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(body)])
}

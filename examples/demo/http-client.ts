/**
 * An HTTP/1.1 client over a bare socket, one request at a time, that can say exactly how a request failed.
 *
 * A pooling client repairs some failures silently and words the others alike; here nothing is retried and nothing is hidden.
 */
import { connect, type Socket } from 'node:net'

export type FailureKind =
  /** The kernel turned the connection away: ECONNREFUSED, or EAGAIN of a full Unix socket queue. */
  | 'refused'
  /** The connection ended after the first byte of the answer and before its last. */
  | 'reset'
  /** Anything else that is no answer: timeout, malformed answer, connection lost before the first byte. */
  | 'failed'
  /** An idle keep-alive connection was closed just as the request set out: not one byte came back. */
  | 'idleClosed'

export class RequestFailure extends Error {
  override readonly name = 'RequestFailure'
  constructor(
    readonly kind: FailureKind,
    readonly reason: string,
  ) {
    super(`${kind}: ${reason}`)
  }
}

export interface Target {
  readonly host: string
  readonly port: number
}

export interface Request {
  readonly method: 'GET' | 'PUT'
  readonly path: string
  readonly body?: Uint8Array
  /** Asks the server to close after the answer. */
  readonly close?: boolean
}

export interface Answer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

/** Largest head or body this client takes, bytes; the demo's answers are far below. */
const ANSWER_MAX_BYTES = 4 << 20

interface Pending {
  readonly resolve: (answer: Answer) => void
  readonly reject: (failure: RequestFailure) => void
  readonly timer: NodeJS.Timeout
}

export class Connection {
  readonly #socket: Socket
  readonly #timeoutMs: number
  #pending: Pending | undefined
  #received: Buffer = Buffer.alloc(0)
  #answered = 0
  #lost: string | undefined

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket
    this.#timeoutMs = timeoutMs
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#onData(bytes))
    socket.on('end', () => this.#onLost('closed by the server'))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#onLost(error.code ?? error.message))
    socket.on('close', () => this.#onLost('closed'))
  }

  /** Connects. @throws {RequestFailure} `refused`, or `failed` with the errno code */
  static open(target: Target, timeoutMs: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(target)
      const fail = (kind: FailureKind, reason: string) => {
        clearTimeout(timer)
        socket.destroy()
        reject(new RequestFailure(kind, reason))
      }
      const timer = setTimeout(() => fail('failed', `no connection within ${timeoutMs} ms`), timeoutMs)
      const onError = ({ code = 'unknown' }: NodeJS.ErrnoException) =>
        fail(code === 'ECONNREFUSED' || code === 'EAGAIN' ? 'refused' : 'failed', `connect: ${code}`)
      socket.once('error', onError)
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.off('error', onError)
        resolve(new Connection(socket, timeoutMs))
      })
    })
  }

  /** False once the server has closed the connection, or has said that it will. */
  get usable(): boolean {
    return this.#lost === undefined
  }

  /** Sends one request and waits for the whole answer, whatever its status. @throws {RequestFailure} */
  send(request: Request): Promise<Answer> {
    if (this.#pending) throw new Error('one request at a time')
    if (this.#lost !== undefined) return Promise.reject(new RequestFailure('failed', `not sent: ${this.#lost}`))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail('failed', `no answer within ${this.#timeoutMs} ms`), this.#timeoutMs)
      this.#pending = { resolve, reject, timer }
      this.#socket.write(encodeRequest(request))
    })
  }

  close(): void {
    this.#lost ??= 'closed by the client'
    this.#socket.destroy()
  }

  #onData(bytes: Buffer): void {
    if (!this.#pending) {
      this.#fail('failed', 'bytes that no request asked for')
      return
    }
    this.#received = Buffer.concat([this.#received, bytes])
    try {
      const parsed = parseAnswer(this.#received)
      if (!parsed) return
      if (parsed.bytes < this.#received.byteLength) throw new Error('bytes after the answer')
      this.#finish(parsed.answer)
    } catch (error) {
      this.#fail('failed', error instanceof Error ? error.message : String(error))
    }
  }

  #finish(answer: Answer): void {
    const pending = this.#takePending()
    this.#received = Buffer.alloc(0)
    this.#answered += 1
    if (answer.headers.get('connection')?.toLowerCase() === 'close') {
      this.#lost = 'the server asked to close'
      this.#socket.destroy()
    }
    pending?.resolve(answer)
  }

  #onLost(reason: string): void {
    if (!this.#pending) {
      this.#lost ??= reason
      this.#socket.destroy()
    } else if (this.#received.byteLength > 0) {
      this.#fail('reset', `${reason} after ${this.#received.byteLength} bytes of the answer`)
    } else {
      this.#fail(this.#answered > 0 ? 'idleClosed' : 'failed', `${reason} before the answer`)
    }
  }

  #fail(kind: FailureKind, reason: string): void {
    this.#lost ??= reason
    this.#socket.destroy()
    this.#takePending()?.reject(new RequestFailure(kind, reason))
  }

  #takePending(): Pending | undefined {
    const pending = this.#pending
    this.#pending = undefined
    clearTimeout(pending?.timer)
    return pending
  }
}

function encodeRequest({ method, path, body, close }: Request): Buffer {
  const head = [
    `${method} ${path} HTTP/1.1`,
    'Host: demo',
    ...(close ? ['Connection: close'] : []),
    ...(body ? [`Content-Length: ${body.byteLength}`] : []),
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body ?? Buffer.alloc(0)])
}

/** Undefined while the answer is incomplete. Bodies must be announced by Content-Length, as the daemon's are. */
function parseAnswer(received: Buffer): { answer: Answer; bytes: number } | undefined {
  if (received.byteLength > ANSWER_MAX_BYTES) throw new Error(`answer above ${ANSWER_MAX_BYTES} bytes`)
  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const [statusLine = '', ...lines] = received.toString('latin1', 0, headEnd).split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(statusLine)?.[1]
  if (!status) throw new Error(`malformed status line: ${JSON.stringify(statusLine.slice(0, 80))}`)
  const headers = new Map(lines.map(parseHeader))
  const length = headers.get('content-length')
  if (length === undefined || !/^\d{1,10}$/.test(length)) throw new Error('answer without a valid Content-Length')
  const bytes = headEnd + 4 + Number(length)
  if (received.byteLength < bytes) return undefined
  const body = received.subarray(headEnd + 4, bytes)
  return { answer: { status: Number(status), headers, body }, bytes }
}

function parseHeader(line: string): [string, string] {
  const colon = line.indexOf(':')
  if (colon < 1) throw new Error(`malformed header: ${JSON.stringify(line.slice(0, 80))}`)
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

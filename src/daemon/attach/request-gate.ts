/** Requests of sessions that stay in this process although another one will answer them: passed, held, or sent on. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Server } from 'node:net'

export type AnyRequest = IncomingMessage | Http2ServerRequest
export type AnyResponse = ServerResponse | Http2ServerResponse
export type Handler = (request: AnyRequest, response: AnyResponse) => void

/** In front of the request handlers of a server whose connections cannot be left unread: HTTP/2 keeps its streams here. */
export class RequestGate {
  readonly #server: Server
  readonly #pass: Handler
  readonly #handlers: readonly Handler[]
  #mode: 'pass' | 'hold' | Handler = 'pass'
  #held: [AnyRequest, AnyResponse][] = []
  #inFlight = 0
  #wake: (() => void) | undefined

  /** @param pass who answers in normal times; default: the server's handlers, as they are now */
  constructor(server: Server, pass?: Handler) {
    this.#server = server
    const handlers = server.listeners('request') as Handler[]
    this.#handlers = handlers
    this.#pass =
      pass ?? ((request, response) => handlers.forEach((handler) => void handler.call(server, request, response)))
    server.removeAllListeners('request')
    server.on('request', (request: AnyRequest, response: AnyResponse) => this.#take(request, response))
  }

  /** From now on requests wait here; those begun before are answered. */
  hold(): void {
    this.#mode = 'hold'
  }

  /** The handoff was aborted. */
  open(): void {
    this.#mode = 'pass'
    this.#flush()
  }

  /** As it was before; what was held is answered. */
  remove(): void {
    this.#server.removeAllListeners('request')
    for (const handler of this.#handlers) this.#server.on('request', handler)
    this.#flush()
  }

  /** The successor serves: it answers what was held and all that comes. */
  sendOn(forward: Handler): void {
    this.#mode = forward
    this.#flush()
  }

  /** What waits at the gate of a server that this one replaces. */
  inherit(older: RequestGate): void {
    this.#held.push(...older.#held.splice(0))
    if (older.#mode === 'hold') this.#mode = 'hold'
  }

  /** Waits until everything that was begun before {@link hold} is answered. @param deadline as in a drain */
  async quiet(deadline: number, signal?: AbortSignal): Promise<number> {
    const left = deadline - performance.now()
    if (this.#inFlight === 0 || left <= 0 || signal?.aborted === true) return this.#inFlight
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(finish, Math.min(left, 2 ** 31 - 1))
      signal?.addEventListener('abort', finish)
      this.#wake = finish
    })
    return this.#inFlight
  }

  #take(request: AnyRequest, response: AnyResponse): void {
    if (this.#mode === 'hold') {
      this.#held.push([request, response])
      return
    }
    if (this.#mode !== 'pass') {
      this.#mode(request, response)
      return
    }
    this.#inFlight++
    response.once('close', () => {
      this.#inFlight--
      if (this.#inFlight === 0) this.#wake?.()
    })
    this.#pass(request, response)
  }

  #flush(): void {
    for (const [request, response] of this.#held.splice(0)) {
      if (!response.destroyed) this.#server.emit('request', request, response)
    }
  }
}

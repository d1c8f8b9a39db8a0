/** Requests of sessions that cannot move (TLS, HTTP/2, no room) are answered by the successor, over a Unix socket. */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AnyRequest, AnyResponse, Handler } from './request-gate.js'

/** A connection to the successor on which it answers plain HTTP/1.1 for the named listener. */
export type DialSuccessor = (listener: string) => Promise<Socket>

/** What concerns one connection only, and is each side's own affair (RFC 9110, 7.6.1); 100 Continue was said already. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'expect',
])

/** Idle connections to the successor are kept: a dial for each request would cost more than the request. */
class SuccessorAgent extends http.Agent {
  constructor(
    readonly dial: DialSuccessor,
    readonly listener: string,
  ) {
    super({ keepAlive: true })
  }

  override createConnection(_options: object, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    this.dial(this.listener).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as never),
    )
  }
}

/** @param closing asked for each answer: whether its connection should end after it */
export function forwarder(dial: DialSuccessor, listener: string, closing: () => boolean): Handler {
  const agent = new SuccessorAgent(dial, listener)
  return (request, response) => {
    const onward = http.request({ agent, setHost: false, ...lineOf(request), headers: requestHeaders(request) })
    onward.on('response', (answer) => pass(answer, response, closing()))
    onward.on('error', () => refuse(request, response))
    request.on('error', () => onward.destroy())
    response.on('close', () => {
      if (!response.writableEnded) onward.destroy()
    })
    request.pipe(onward)
  }
}

const lineOf = (request: AnyRequest): { method: string; path: string } => ({
  method: request.method ?? 'GET',
  path: request.url ?? '/',
})

function requestHeaders(request: AnyRequest): http.OutgoingHttpHeaders {
  const headers: http.OutgoingHttpHeaders = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (!name.startsWith(':') && !HOP_BY_HOP.has(name) && value !== undefined) headers[name] = value
  }
  const authority = request.headers[':authority']
  if (headers.host === undefined && typeof authority === 'string') headers.host = authority
  if (hasUnmeasuredBody(request)) headers['transfer-encoding'] = 'chunked'
  return headers
}

function hasUnmeasuredBody(request: AnyRequest): boolean {
  if (request.headers['content-length'] !== undefined) return false
  if ('stream' in request) return !request.stream.endAfterHeaders
  return request.headers['transfer-encoding'] !== undefined
}

function pass(answer: IncomingMessage, response: AnyResponse, closing: boolean): void {
  const headers: http.OutgoingHttpHeaders = {}
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    if (!HOP_BY_HOP.has(name) && values !== undefined) headers[name] = values.length === 1 ? values[0] : values
  }
  if (closing && 'shouldKeepAlive' in response)
    response.shouldKeepAlive = false
    // HTTP/2 has no reason phrase, and the two overloads share no signature.
  ;(response as ServerResponse).writeHead(answer.statusCode ?? 502, headers)
  answer.pipe(response as ServerResponse, { end: false })
  answer.on('end', () => {
    if (Object.keys(answer.trailers).length > 0) (response as ServerResponse).addTrailers(answer.trailers as never)
    response.end()
  })
  answer.on('error', () => cut(response))
  answer.on('aborted', () => cut(response))
}

/** The successor cannot be reached: the client may try again, on another connection. */
export function refuse(_request: AnyRequest | null, response: AnyResponse): void {
  if (response.headersSent) {
    cut(response)
    return
  }
  response.statusCode = 503
  response.setHeader('retry-after', '1')
  if ('shouldKeepAlive' in response) response.shouldKeepAlive = false
  response.end()
}

function cut(response: AnyResponse): void {
  if ('stream' in response && response.stream) response.stream.close()
  else response.destroy()
}

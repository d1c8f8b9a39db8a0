/** The HTTP face of the key-value store. A PUT is answered with 200 only once its write is on disk (INV-03). */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KvStore } from './kv-store.js'

export interface KvService {
  readonly store: KvStore
  readonly buildId: string
  /** Why this process opened the store: `coldStart`, `begin` or `reopen`. */
  readonly reason: string
  healthy(): boolean
}

/** Largest value a PUT may carry, bytes. */
export const BODY_MAX_BYTES = 1 << 20
/** Longest delay `/slow` gives, ms: above any drain deadline worth testing, below what a forgotten client may hold. */
export const SLOW_MAX_MS = 60_000

class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message)
  }
}

export function kvHandler(service: KvService): RequestListener {
  return (request, response) => {
    route(service, request, response).catch((error: unknown) => refuse(request, response, error))
  }
}

async function route(service: KvService, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { store, buildId, reason } = service
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2)
  if (path.startsWith('/kv/')) return routeKey(store, keyOf(path), request, response)
  allow(request, 'GET', 'HEAD')
  if (path === '/') {
    return json(response, 200, { pid: process.pid, buildId, revision: store.revision, reason })
  }
  if (path === '/healthz') {
    const healthy = service.healthy()
    return json(response, healthy ? 200 : 503, { healthy })
  }
  if (path === '/slow') {
    const ms = Number(new URLSearchParams(query).get('ms') || Number.NaN)
    if (!(ms >= 0 && ms <= SLOW_MAX_MS)) throw new HttpError(400, `ms must be a number from 0 to ${SLOW_MAX_MS}`)
    await sleep(ms)
    return json(response, 200, { sleptMs: ms })
  }
  throw new HttpError(404, `no such path: ${path}`)
}

async function routeKey(store: KvStore, key: string, request: IncomingMessage, response: ServerResponse) {
  allow(request, 'GET', 'HEAD', 'PUT')
  if (request.method === 'PUT') {
    const value = await readBody(request)
    return json(response, 200, { revision: await store.put(key, value) })
  }
  const entry = await store.get(key)
  if (!entry) throw new HttpError(404, `no such key: ${key}`)
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': entry.value.byteLength,
    revision: entry.revision,
  })
  response.end(entry.value)
}

function keyOf(path: string): string {
  try {
    const key = decodeURIComponent(path.slice('/kv/'.length))
    if (key !== '') return key
  } catch {}
  throw new HttpError(400, 'the key must be non-empty and percent-encoded UTF-8')
}

function allow(request: IncomingMessage, ...methods: string[]): void {
  if (methods.includes(request.method ?? '')) return
  throw new HttpError(405, `only ${methods.join(', ')} here`, { allow: methods.join(', ') })
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const tooLarge = () => new HttpError(413, `a value may hold ${BODY_MAX_BYTES} bytes`, { connection: 'close' })
  if (Number(request.headers['content-length'] ?? 0) > BODY_MAX_BYTES) throw tooLarge()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength
      if (bytes > BODY_MAX_BYTES) reject(tooLarge())
      else chunks.push(chunk)
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    request.once('close', () => reject(new HttpError(400, 'the body broke off')))
  })
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const known = error instanceof HttpError
  const text = known ? error.message : `the store did not answer: ${error instanceof Error ? error.message : error}`
  if (response.headersSent) return void response.destroy()
  const body = `${JSON.stringify({ error: text })}\n`
  response.writeHead(known ? error.status : 503, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(known ? error.headers : {}),
  })
  if (request.complete) return void response.end(body)
  // Closing while the client still sends would reset the connection and take this answer with it: read to the end first.
  response.write(body)
  const end = () => void response.end()
  if (request.destroyed) end()
  else request.once('close', end).resume()
}

function json(response: ServerResponse, status: number, value: object): void {
  const body = `${JSON.stringify(value)}\n`
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

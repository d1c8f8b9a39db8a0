import { readdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { warmUpHttp } from '../../src/daemon/index.js'

/** A server that keeps what it was asked. */
function asked(answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end()) {
  const seen: { method: string; url: string; body: string; header: string | undefined }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      seen.push({ method, url, body, header: headers['x-kind'] as string | undefined })
      answer(request, response)
    })
  })
  return { server, seen }
}

const openSockets = () => readdirSync('/proc/self/fd').length

describe('warmUpHttp', () => {
  test('asks each request in turn, as often as it was told to, and leaves no descriptor', async () => {
    const { server, seen } = asked()
    const before = openSockets()
    const requests = [{ path: '/a?b=1' }, { method: 'PUT', path: '/k', body: 'v\u00e9', headers: { 'x-kind': 'warm' } }]
    expect(await warmUpHttp(server, { requests, count: 100, limitMs: 60_000 })).toEqual({ answered: 100 })
    expect(seen.filter(({ url }) => url === '/a?b=1')).toHaveLength(50)
    expect(seen.find(({ url }) => url === '/k')).toEqual({ method: 'PUT', url: '/k', body: 'v\u00e9', header: 'warm' })
    // Descriptors are closed in the loop's next turn.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    expect(openSockets()).toBe(before)
    expect(server.listenerCount('request')).toBe(1)
  })

  test('goes on after answers that close their connection, and after handlers that cut it', async () => {
    let nth = 0
    const { server, seen } = asked((request, response) => {
      if (nth++ % 3 === 0) request.socket.destroy()
      else response.setHeader('connection', 'close').end('bye')
    })
    const { answered } = await warmUpHttp(server, { requests: [{ path: '/' }], count: 30, limitMs: 60_000 })
    expect(seen).toHaveLength(30)
    expect(answered).toBe(20)
  })

  test.each([
    ['the limit passes', { limitMs: 20 }],
    ['the signal comes', { limitMs: 600_000, signal: AbortSignal.timeout(20) }],
    ['the signal had come', { limitMs: 600_000, signal: AbortSignal.abort() }],
  ])('a handler that never answers holds nobody up once %s', async (_what, limits) => {
    const { server } = asked(() => {})
    expect(await warmUpHttp(server, { requests: [{ path: '/' }], ...limits })).toEqual({ answered: 0 })
  })

  test.each([
    ['no request', { requests: [] }, 'requests is empty'],
    ['a path with a line end', { requests: [{ path: '/ HTTP/1.1\r\nX: y' }] }, 'is no path'],
    ['a method with a space', { requests: [{ path: '/', method: 'GET /x' }] }, 'is no method'],
    ['a header with a line end', { requests: [{ path: '/', headers: { a: 'b\r\nc: d' } }] }, 'bad header'],
  ])('%s is refused before anything is asked', async (_what, options, words) => {
    const { server, seen } = asked()
    await expect(warmUpHttp(server, options)).rejects.toMatchObject({
      code: 'ERR_HANDOFF_USAGE_WARM_UP',
      message: expect.stringContaining(words),
    })
    expect(seen).toEqual([])
  })

  test('a server that listens already, or speaks something else, is refused', async () => {
    const requests = [{ path: '/' }]
    const listening = await new Promise<Server>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => resolve(server))
    })
    try {
      await expect(warmUpHttp(listening, { requests })).rejects.toThrow('has clients of its own')
    } finally {
      listening.close()
    }
    await expect(warmUpHttp(createNetServer() as Server, { requests })).rejects.toThrow('is no HTTP/1 server')
  })
})

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Connection, type Request, RequestFailure, type Target } from '../../examples/demo/http-client.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const GET: Request = { method: 'GET', path: '/' }

let server: Server | undefined
const connections: Connection[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close()
  for (const socket of sockets.splice(0)) socket.destroy()
  if (server?.listening) {
    server.close()
    await once(server, 'close')
  }
})

/** Runs `answer` for the n-th request (from 0) that comes in on a connection. */
async function misbehavingServer(answer: (socket: Socket, request: number) => void): Promise<Target> {
  server = createServer((socket) => {
    sockets.push(socket)
    let requests = 0
    socket.on('error', () => {})
    socket.on('data', () => answer(socket, requests++))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

async function connectTo(target: Target, timeoutMs = 10_000): Promise<Connection> {
  const connection = await Connection.open(target, timeoutMs)
  connections.push(connection)
  return connection
}

const kindOf = (sent: Promise<unknown>) =>
  sent.then(
    () => 'answered',
    (error: unknown) => (error instanceof RequestFailure ? error.kind : error),
  )

describe('an answer', () => {
  test('is put together from any fragments', async () => {
    const target = await misbehavingServer(async (socket) => {
      socket.setNoDelay(true)
      for (const byte of OK) await new Promise<void>((sent) => void socket.write(byte, () => setImmediate(sent)))
    })
    const answer = await (await connectTo(target)).send(GET)
    expect([answer.status, answer.body.toString(), answer.headers.get('content-length')]).toEqual([200, 'ok', '2'])
  })

  test('leaves the connection usable, unless the server asked to close', async () => {
    const target = await misbehavingServer((socket, request) =>
      socket.write(request === 0 ? OK : OK.replace('\r\n\r\n', '\r\nConnection: Close\r\n\r\n')),
    )
    const connection = await connectTo(target)
    await connection.send(GET)
    expect(connection.usable).toBe(true)
    await connection.send(GET)
    expect(connection.usable).toBe(false)
  })

  test('of any status is an answer: who asked must judge it', async () => {
    const target = await misbehavingServer((socket) => socket.write(OK.replace('200 OK', '503')))
    expect((await (await connectTo(target)).send(GET)).status).toBe(503)
  })
})

describe('refused', () => {
  test('a port where nobody listens', async () => {
    const target = await misbehavingServer(() => {})
    server?.close()
    await expect(Connection.open(target, 10_000)).rejects.toMatchObject({
      kind: 'refused',
      reason: 'connect: ECONNREFUSED',
    })
  })
})

describe('reset: the answer had begun', () => {
  test.each([
    ['RST', (socket: Socket) => socket.resetAndDestroy()],
    ['FIN', (socket: Socket) => socket.end()],
  ])('%s inside the head', async (_, close) => {
    const target = await misbehavingServer((socket) => socket.write(OK.slice(0, 10), () => close(socket)))
    expect(await kindOf((await connectTo(target)).send(GET))).toBe('reset')
  })

  test.each([
    ['RST', (socket: Socket) => socket.resetAndDestroy()],
    ['FIN', (socket: Socket) => socket.end()],
  ])('%s inside the body, on a connection that had answered before', async (_, close) => {
    const target = await misbehavingServer((socket, request) => {
      if (request === 0) socket.write(OK)
      else socket.write(OK.slice(0, -1), () => close(socket))
    })
    const connection = await connectTo(target)
    await connection.send(GET)
    expect(await kindOf(connection.send(GET))).toBe('reset')
  })
})

describe('idle closed: a keep-alive connection ends with no byte of the answer', () => {
  test.each([
    ['RST', (socket: Socket) => socket.resetAndDestroy()],
    ['FIN', (socket: Socket) => socket.end()],
  ])('%s in the place of a second answer', async (_, close) => {
    const target = await misbehavingServer((socket, request) => (request === 0 ? socket.write(OK) : close(socket)))
    const connection = await connectTo(target)
    await connection.send(GET)
    expect(await kindOf(connection.send(GET))).toBe('idleClosed')
    expect(connection.usable).toBe(false)
  })

  test('the same on the first request of a connection is a failure', async () => {
    const target = await misbehavingServer((socket) => socket.resetAndDestroy())
    expect(await kindOf((await connectTo(target)).send(GET))).toBe('failed')
  })

  test('a close between requests only makes the connection unusable', async () => {
    const target = await misbehavingServer((socket) => socket.end(OK))
    const connection = await connectTo(target)
    await connection.send(GET)
    await vi.waitUntil(() => !connection.usable)
    expect(await kindOf(connection.send(GET))).toBe('failed')
  })
})

describe('failed', () => {
  test('no answer in time', async () => {
    const target = await misbehavingServer(() => {})
    const connection = await connectTo(target, 30)
    await expect(connection.send(GET)).rejects.toMatchObject({ kind: 'failed', reason: 'no answer within 30 ms' })
    expect(connection.usable).toBe(false)
  })

  test.each([
    ['no HTTP', 'SSH-2.0-x\r\n\r\n'],
    ['a status that is no number', 'HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n'],
    ['no length', 'HTTP/1.1 200 OK\r\n\r\nok'],
    ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok'],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: 2\r\n\r\n'],
    ['more than was announced', `${OK}!`],
    ['two answers to one request', `${OK}${OK}`],
  ])('a malformed answer: %s', async (_, answer) => {
    const target = await misbehavingServer((socket) => socket.write(answer))
    expect(await kindOf((await connectTo(target)).send(GET))).toBe('failed')
  })

  test('bytes that nobody asked for poison the connection', async () => {
    const target = await misbehavingServer((socket) => socket.write(OK, () => setImmediate(() => socket.write(OK))))
    const connection = await connectTo(target)
    await kindOf(connection.send(GET))
    await vi.waitUntil(() => !connection.usable)
  })
})

test('two requests at once on one connection are a mistake of the caller', async () => {
  const connection = await connectTo(await misbehavingServer(() => {}))
  const first = kindOf(connection.send(GET))
  expect(() => connection.send(GET)).toThrow('one request at a time')
  connection.close()
  expect(await first).toBe('failed')
})

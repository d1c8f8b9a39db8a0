/** The client against brokers and backends by hand: which way it goes, and what it never does. */
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { HelloReply, Negotiated } from '../../machines/broker/protocol.js'
import { type ConnectOptions, connectClient } from '../../src/broker/index.js'
import { ackBytes, helloReplyBytes, readyBytes } from '../../src/wire/broker/envelope.js'
import { vectors } from '../wire/broker/golden.js'
import { later } from './cleanup.js'
import { silentServer } from './raw.js'
import { ask, echo, listenPipe, pathsIn, privateDirectory, readUntil } from './support.js'

const token = Buffer.from('a1b2c3d4e5f60718293a4b5c6d7e8f90', 'hex')

/** A broker that answers the first bytes with these; `then` may go on. */
async function rawBroker(bytes: Uint8Array, then: (socket: Socket) => void = () => {}) {
  const paths = pathsIn(privateDirectory())
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(bytes)
      then(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(paths.broker, resolve))
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  await listenPipe(paths.pipe, (socket) => echo(socket, 'plain'))
  const open = async (options: Partial<ConnectOptions> = {}) => {
    const connected = await connectClient({ broker: paths.broker, service: 'kv', wantedVersion: '1.2.3', ...options })
    later(() => connected.socket.destroy())
    return connected
  }
  return { paths, open, sockets }
}
const negotiated = (pipe: string, fields: Partial<Negotiated> = {}): HelloReply => ({
  negotiated: {
    negotiatedProtocol: 1,
    daemonVersion: '1.2.3',
    backendPipe: pipe,
    warnings: [],
    serverCapabilities: 1n,
    keepaliveIntervalSecs: 1_800n,
    handlePassedToken: token,
    connectionId: 1n,
    ...fields,
  },
})
const reply = (body: HelloReply): Buffer => helloReplyBytes(body, { requestId: 1n })

/** Answers with a token, then writes `bytes`; whatever is wrong with them, the client must reach the plain endpoint. */
async function afterOffer(then: (socket: Socket) => void, options: Partial<ConnectOptions> = {}) {
  const paths = pathsIn(privateDirectory())
  await listenPipe(paths.pipe, (socket) => echo(socket, 'plain'))
  const { open } = await rawBroker(reply(negotiated(paths.pipe)), then)
  return await open(options)
}
const vector = (name: string): Buffer => Buffer.from(vectors.find((one) => one.name === name)?.hex ?? '', 'hex')
const noHurry = { policy: { readyTimeoutMs: 60_000 } }

describe('EVENT', () => {
  test('of our own token hands the connection over, and what came with it is not lost', async () => {
    const { socket, route } = await afterOffer(
      (broker) =>
        broker.write(Buffer.concat([vector('gen/wire/handoff_ready_event'), Buffer.from('220 first words\n')])),
      noHurry,
    )
    expect(route).toBe('handlePassed')
    expect(await readUntil(socket, '\n')).toBe('220 first words\n')
  })

  test('in one piece with the reply hands the connection over', async () => {
    const paths = pathsIn(privateDirectory())
    const all = [reply(negotiated(paths.pipe)), readyBytes(token, 1n), Buffer.from('and more')]
    const { open } = await rawBroker(Buffer.concat(all))
    const { socket, route } = await open(noHurry)
    expect(route).toBe('handlePassed')
    expect(await readUntil(socket, 'more')).toBe('and more')
  })

  test('byte by byte hands the connection over', async () => {
    const { route } = await afterOffer(async (broker) => {
      for (const byte of readyBytes(token, 1n)) {
        broker.write(Buffer.from([byte]))
        await new Promise((resolve) => setImmediate(resolve))
      }
    }, noHurry)
    expect(route).toBe('handlePassed')
  })

  test('with other ids is accepted: only token and verdict count', async () => {
    const { route } = await afterOffer(
      (broker) => broker.write(vector('gen/wire/handoff_ready_event_other_request_id')),
      noHurry,
    )
    expect(route).toBe('handlePassed')
  })

  test.each<[string, (broker: Socket) => void]>([
    ['of another token', (broker) => broker.write(vector('gen/wire/handoff_ready_event_wrong_token'))],
    ['that says no', (broker) => broker.write(vector('gen/wire/handoff_ready_event_refused'))],
    ['compressed', (broker) => broker.write(vector('gen/wire/handoff_ready_event_compressed'))],
    ['of another kind', (broker) => broker.write(vector('gen/wire/handoff_ready_event_wrong_kind'))],
    ['that is an ACK', (broker) => broker.write(ackBytes({ token, accepted: true, correlationId: 1n }))],
    ['that is no frame', (broker) => broker.write('HTTP/1.1 400\r\n')],
    ['cut short', (broker) => broker.end(readyBytes(token, 1n).subarray(0, 10))],
    ['that never comes: EOF', (broker) => broker.end()],
    ['that never comes: closed', (broker) => broker.destroy()],
  ])('%s means the plain endpoint, at once and silently', async (_, then) => {
    const { socket, route } = await afterOffer(then, noHurry)
    expect(route).toBe('brokerNegotiated')
    expect(await ask(socket, 'x')).toBe('plain:x')
  })

  test('that never comes at all means the plain endpoint when patience ends', async () => {
    const { route } = await afterOffer(() => {}, { policy: { readyTimeoutMs: 30 } })
    expect(route).toBe('brokerNegotiated')
  })
})

describe('a client that is not offered a handoff does not wait for one', () => {
  test.each<[string, Partial<Negotiated>, Partial<ConnectOptions>]>([
    ['no capability bit', { serverCapabilities: 0n }, {}],
    ['no token', { handlePassedToken: new Uint8Array(0) }, {}],
    ['it would not adopt', {}, { adopt: false }],
  ])('%s', async (_, fields, options) => {
    const paths = pathsIn(privateDirectory())
    await listenPipe(paths.pipe, (socket) => echo(socket, 'plain'))
    const { open } = await rawBroker(reply(negotiated(paths.pipe, fields)))
    expect((await open({ ...noHurry, ...options })).route).toBe('brokerNegotiated')
  })
})

describe('errors that have nothing to do with a handoff', () => {
  test('nobody there', async () => {
    const broker = pathsIn(privateDirectory()).broker
    await expect(connectClient({ broker, service: 'kv', wantedVersion: '1.0.0' })).rejects.toMatchObject({
      code: 'ERR_HANDOFF_BROKER_UNREACHABLE',
      todo: expect.stringContaining('broker'),
    })
  })

  test('refused, with the reason and when to come back', async () => {
    const refused = {
      reason: 'too fast',
      daemonMinProtocol: 1,
      daemonMaxProtocol: 1,
      code: 4,
      details: {},
      retryAfterMs: 250n,
    }
    const { open } = await rawBroker(reply({ refused }))
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_HANDOFF_BROKER_REFUSED',
      happened: 'the broker refused (rateLimited): too fast',
      todo: 'try again in 250 ms',
      cause: { retryAfterMs: 250n },
    })
  })

  test.each<[string, Uint8Array, (socket: Socket) => void, string]>([
    ['an empty reply', reply({}), () => {}, 'PEER_PROTOCOL'],
    ['noise', Buffer.from('nonsense'), () => {}, 'PEER_PROTOCOL'],
    ['an answer cut short', reply(negotiated('/p')).subarray(0, 9), (socket) => socket.end(), 'PEER_LEFT'],
    [
      'no endpoint and no token',
      reply(negotiated('', { handlePassedToken: new Uint8Array(0) })),
      () => {},
      'NO_ENDPOINT',
    ],
    ['no endpoint after a handoff that failed', reply(negotiated('')), (socket) => socket.end(), 'NO_ENDPOINT'],
    ['a backend that is gone', reply(negotiated('/nowhere/at/all')), (socket) => socket.end(), 'BACKEND_UNREACHABLE'],
  ])('%s', async (_, bytes, then, code) => {
    const { open } = await rawBroker(bytes, then)
    await expect(open()).rejects.toMatchObject({ code: `ERR_HANDOFF_BROKER_${code}` })
  })

  test('a broker that says nothing', async () => {
    const paths = pathsIn(privateDirectory())
    await silentServer(paths.broker)
    const options = {
      broker: paths.broker,
      service: 'kv',
      wantedVersion: '1.0.0',
      policy: { clientHelloTimeoutMs: 30 },
    }
    await expect(connectClient(options)).rejects.toMatchObject({ code: 'ERR_HANDOFF_BROKER_TIMEOUT' })
  })

  test('its caller gave up: before, and meanwhile', async () => {
    const paths = pathsIn(privateDirectory())
    const { sockets } = await silentServer(paths.broker)
    const options = { broker: paths.broker, service: 'kv', wantedVersion: '1.0.0' }
    const gone = { code: 'ERR_HANDOFF_BROKER_ABORTED' }
    await expect(connectClient({ ...options, signal: AbortSignal.abort() })).rejects.toMatchObject(gone)
    const controller = new AbortController()
    const waiting = connectClient({ ...options, signal: controller.signal })
    waiting.catch(() => {})
    while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const closed = new Promise((resolve) => sockets.at(-1)?.resume().once('close', resolve))
    controller.abort()
    await expect(waiting).rejects.toMatchObject(gone)
    await closed
  })
})

describe('an endpoint remembered', () => {
  test('is dialled without the broker when the version is our own', async () => {
    const { paths } = await rawBroker(Buffer.alloc(0))
    const { socket, route, endpoint } = await connectClient({
      broker: '/nobody/here',
      service: 'kv',
      wantedVersion: '1.2.3',
      clientVersion: '1.2.3',
      cachedEndpoint: paths.pipe,
    })
    later(() => socket.destroy())
    expect([route, endpoint]).toEqual(['cachedEndpoint', paths.pipe])
    expect(await ask(socket, 'x')).toBe('plain:x')
  })

  test('is no error when it is gone, and no choice when the version differs', async () => {
    const paths = pathsIn(privateDirectory())
    await listenPipe(paths.pipe, (socket) => echo(socket, 'plain'))
    const { open } = await rawBroker(reply(negotiated(paths.pipe, { handlePassedToken: new Uint8Array(0) })))
    const gone = { clientVersion: '1.2.3', cachedEndpoint: '/nowhere/at/all' }
    expect((await open(gone)).route).toBe('brokerNegotiated')
    expect((await open({ clientVersion: '1.0.0', cachedEndpoint: paths.pipe })).route).toBe('brokerNegotiated')
  })
})

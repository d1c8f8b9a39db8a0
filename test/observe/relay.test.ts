import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createWebSocketInspector, createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createActor, createMachine } from 'xstate'
import { openRelay, type Relay, type RelayOptions } from '../../src/observe/relay.js'
import { RelayMemory } from '../../src/observe/relay-memory.js'

const log = pino({ level: 'silent' })
const pages = new Map([
  ['/', { contentType: 'text/html', body: '<p>page</p>', secret: false, policy: "default-src 'none'" }],
  ['/trace', { contentType: 'text/plain', body: 'trace', secret: true }],
])
let dir: string
let relay: Relay
let open: WebSocket[] = []

const start = async (options: Partial<RelayOptions> = {}) => {
  relay = await openRelay({ port: 0, socketPath: join(dir, 'c.sock.inspect'), pages, log, ...options })
  return relay
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'relay-'))
})
afterEach(async () => {
  for (const socket of open) socket.terminate()
  open = []
  await relay.close()
  rmSync(dir, { recursive: true, force: true })
})

/** A client, and everything it was told. */
async function connect(url: string, headers: Record<string, string> = {}) {
  const socket = new WebSocket(url, { headers })
  open.push(socket)
  const told: { type: string; sessionId: string; snapshot?: { value: string } }[] = []
  const waiting: (() => void)[] = []
  socket.on('message', (data) => {
    told.push(JSON.parse(String(data)))
    for (const look of waiting) look()
  })
  const outcome = await new Promise<'open' | number>((resolve, reject) => {
    socket.once('open', () => resolve('open'))
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0))
    socket.once('error', reject)
  })
  const until = (count: number) =>
    new Promise<void>((resolve) => {
      const look = () => told.length >= count && resolve()
      waiting.push(look)
      look()
    })
  return { socket, told, outcome, until }
}

type Client = Awaited<ReturnType<typeof connect>>

const watchUrl = () => `ws://127.0.0.1:${relay.port}/watch?token=${relay.token}`
const actor = (sessionId: string) => JSON.stringify({ type: '@xstate.actor', sessionId, definition: '{}' })
const snapshot = (sessionId: string, value: string, status = 'active') =>
  JSON.stringify({ type: '@xstate.snapshot', sessionId, snapshot: { value, status } })

describe('who may talk to the relay', () => {
  beforeEach(async () => {
    await start()
  })

  test.each([
    ['no token', () => `ws://127.0.0.1:${relay.port}/watch`, {}, 403],
    ['a wrong token of the same length', () => `ws://127.0.0.1:${relay.port}/watch?token=${'0'.repeat(32)}`, {}, 403],
    ['a foreign page', watchUrl, { origin: 'https://evil.example' }, 403],
    ['a page of another local server', watchUrl, { origin: 'http://127.0.0.1:1' }, 403],
    ['a name that resolves here', watchUrl, { host: 'evil.example' }, 403],
    ['another path', () => `ws://127.0.0.1:${relay.port}/admin?token=${relay.token}`, {}, 404],
  ])('%s is refused', async (_who, url, headers, status) => {
    expect((await connect(url(), headers)).outcome).toBe(status)
    expect(relay.counts()).toEqual({ producers: 0, watchers: 0, dropped: 0 })
  })

  test('our own page and a local program with the token come in', async () => {
    expect((await connect(watchUrl(), { origin: `http://127.0.0.1:${relay.port}` })).outcome).toBe('open')
    expect((await connect(relay.produceUrl)).outcome).toBe('open')
  })

  test('it listens on the loopback interface alone', async () => {
    const socket = createConnection({ host: '127.0.0.2', port: relay.port })
    const [error] = await once(socket, 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('its Unix socket is for the owner alone, and for no browser', async () => {
    expect(statSync(join(dir, 'c.sock.inspect')).mode & 0o777).toBe(0o600)
    const url = `ws+unix:${join(dir, 'c.sock.inspect')}:/produce`
    expect((await connect(url)).outcome).toBe('open')
    expect((await connect(url, { origin: 'http://localhost' })).outcome).toBe(403)
  })

  test('a second relay on the same socket is refused, and the first goes on', async () => {
    await expect(openRelay({ port: 0, socketPath: join(dir, 'c.sock.inspect'), pages, log })).rejects.toMatchObject({
      code: 'ERR_HANDOFF_STATE_INSPECTOR_RUNNING',
    })
    expect((await connect(watchUrl())).outcome).toBe('open')
  })

  test('the page needs no token, what a trace holds does; a rebound name gets neither', async () => {
    const get = (path: string, host = `127.0.0.1:${relay.port}`) =>
      new Promise<{ status: number; policy: string | undefined }>((resolve, reject) => {
        request({ port: relay.port, host: '127.0.0.1', path, headers: { host } }, (response) => {
          response.resume()
          resolve({ status: response.statusCode ?? 0, policy: response.headers['content-security-policy'] as string })
        })
          .on('error', reject)
          .end()
      })
    expect(await get('/')).toEqual({ status: 200, policy: "default-src 'none'" })
    expect(await get('/trace')).toMatchObject({ status: 403 })
    expect(await get(`/trace?token=${relay.token}`)).toMatchObject({ status: 200 })
    expect(await get('/', `evil.example:${relay.port}`)).toMatchObject({ status: 403 })
    expect(await get('/etc/passwd')).toMatchObject({ status: 404 })
  })
})

describe('what a watcher is told', () => {
  test('a late one gets definition and state, then what happens', async () => {
    await start()
    const producer = await connect(relay.produceUrl)
    producer.socket.send(actor('s-1/x:0'))
    producer.socket.send(snapshot('s-1/x:0', 'serving'))
    const first = await connect(watchUrl())
    await first.until(2)
    const late = await connect(watchUrl())
    producer.socket.send(snapshot('s-1/x:0', 'draining'))
    await Promise.all([first.until(3), late.until(3)])
    expect(late.told.map(({ type, snapshot }) => snapshot?.value ?? type)).toEqual([
      '@xstate.actor',
      'serving',
      'draining',
    ])
    expect(late.told).toEqual(first.told)
  })

  test('the end of a process is told, also when it was killed', async () => {
    await start()
    const producer = await connect(relay.produceUrl)
    const watcher = await connect(watchUrl())
    producer.socket.send(actor('s-1/x:0'))
    await watcher.until(1)
    producer.socket.terminate()
    await watcher.until(2)
    expect(watcher.told[1]).toMatchObject({ type: '@handoff.gone', sessionIds: ['s-1/x:0'] })
  })

  test.each([
    ['no JSON', '{'],
    ['another type', '{"type":"@xstate.evil","sessionId":"x"}'],
    ['no session', '{"type":"@xstate.event"}'],
  ])('a producer that sends %s is dropped, and nobody is told', async (_what, text) => {
    await start()
    const watcher = await connect(watchUrl())
    const producer = await connect(relay.produceUrl)
    producer.socket.send(text)
    await once(producer.socket, 'close')
    expect(watcher.told).toEqual([])
  })

  test('fifty watchers, one of which stopped reading: 49 miss nothing, the one is dropped, its memory bounded', async () => {
    const limit = 256 * 1024
    await start({ maxUnreadBytes: limit })
    const watchers = await Promise.all(Array.from({ length: 50 }, () => connect(watchUrl())))
    const [stuck, ...reading] = watchers as [Client, ...Client[]]
    const { _socket: inner } = stuck.socket as unknown as { _socket: Socket }
    inner.pause()
    const producer = await connect(relay.produceUrl)
    const before = process.memoryUsage().rss
    // More than the kernel keeps for one that does not read.
    const total = 400
    const text = JSON.stringify({
      type: '@xstate.event',
      sessionId: 's',
      event: { type: 'e', pad: 'x'.repeat(50_000) },
    })
    for (let i = 0; i < total; i += 1) {
      producer.socket.send(text)
      // One at a time, so that only the stuck one falls behind.
      await reading[0]?.until(i + 1)
    }
    await Promise.all(reading.map(({ until }) => until(total)))
    expect(relay.counts()).toMatchObject({ watchers: 49, dropped: 1 })
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 31)
  })
})

describe('the format of @statelyai/inspect', () => {
  test('its own inspector may produce, and its own receiver may watch', async () => {
    await start()
    const seen: StatelyInspectionEvent[] = []
    const arrived = new Promise<void>((resolve) => {
      createWebSocketReceiver({ server: watchUrl() }).subscribe((event) => {
        seen.push(event)
        if (seen.some(({ type }) => type === '@xstate.snapshot')) resolve()
      })
    })
    const inspector = createWebSocketInspector({ url: relay.produceUrl })
    const lamp = createMachine({ id: 'lamp', initial: 'off', states: { off: {} } })
    createActor(lamp, { inspect: inspector.inspect }).start()
    await arrived
    inspector.stop()
    expect(seen.map(({ type }) => type)).toEqual(['@xstate.actor', '@xstate.event', '@xstate.snapshot'])
  })
})

describe('its memory', () => {
  const remember = (memory: RelayMemory, text: string) => {
    const { type, sessionId } = JSON.parse(text)
    memory.add({ text, type, sessionId })
  }

  test('what falls out of the window stays as definition and state; what has ended goes', () => {
    const memory = new RelayMemory({ messages: 2, bytes: 1e6, actors: 8 })
    for (const id of ['a', 'b']) {
      remember(memory, actor(id))
      remember(memory, snapshot(id, 'one'))
      remember(memory, snapshot(id, 'two'))
    }
    remember(memory, snapshot('b', 'three', 'done'))
    remember(memory, snapshot('a', 'four'))
    remember(memory, snapshot('a', 'five'))
    remember(memory, snapshot('a', 'six'))
    expect([...memory.replay()]).toEqual([
      actor('a'),
      snapshot('a', 'four'),
      snapshot('a', 'five'),
      snapshot('a', 'six'),
    ])
  })

  test('it holds its bounds whatever is sent', () => {
    const memory = new RelayMemory({ messages: 100, bytes: 20_000, actors: 4 })
    for (let i = 0; i < 5_000; i += 1)
      remember(memory, i % 3 === 0 ? actor(`s${i}`) : snapshot(`s${i}`, 'x'.repeat(i % 700)))
    expect(memory.size.messages).toBeLessThanOrEqual(100)
    expect(memory.size.bytes).toBeLessThanOrEqual(20_000)
    expect(memory.size.actors).toBeLessThanOrEqual(4)
  })
})

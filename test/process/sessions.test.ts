/** Sessions that cannot move, since their keys or streams live in the process, go on: the successor answers through the old one. */
import { once } from 'node:events'
import http2, { type ClientHttp2Session } from 'node:http2'
import tls from 'node:tls'
import { expect, test } from 'vitest'
import { connectMany, connectRaw, type RawClient } from '../daemon/attach/raw-client.js'
import { applied, Scene, upTo } from './connection-scene.js'
import { gone, until } from './harness.js'

const SESSIONS = 100

/** Longer than the test needs the old program. */
const PATIENT = { retireGraceMs: 60_000 }

function load(ask: ((path: string) => Promise<string>)[]) {
  const counts: number[] = []
  let stopped = false
  const running = Promise.all(
    ask.map(async (each) => {
      while (!stopped) counts.push(Number((await each('/fast')).split(' ')[1]))
    }),
  )
  return {
    counts,
    /** Resolves when that many more have been answered; rejects with the first that fails. */
    more: async (answers: number): Promise<void> => {
      const enough = counts.length + answers
      await Promise.race([until(() => counts.length >= enough), running.then(() => {})])
    },
    stop: async (): Promise<void> => {
      stopped = true
      await running
    },
  }
}

/** An end is told by `close` and `goaway`; a reset behind them, as the old program exits, is no news. */
function connectHttp2(port: number): ClientHttp2Session {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  return session
}

const overRaw = (client: RawClient) => async (path: string) => {
  client.get(path)
  const { status, body } = await client.answer()
  if (status !== 200) throw new Error(`status ${status}`)
  return body
}

const overHttp2 = (session: ClientHttp2Session) => async (path: string) => {
  const stream = session.request({ ':path': path })
  const headed = once(stream, 'response')
  let body = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text
  })
  await once(stream, 'end')
  const [headers] = await headed
  if (headers[':status'] !== 200) throw new Error(`status ${headers[':status']}`)
  return body
}

test('HTTPS sessions see no new handshake and no error over a rollback and a swap, each request applied once', async () => {
  await using scene = await Scene.start([], PATIENT)
  const port = await scene.port('https')
  const clients = await Promise.all(Array.from({ length: SESSIONS }, () => connectRaw({ port, secure: true })))
  const traffic = load(clients.map(overRaw))
  await traffic.more(200)
  const old = await scene.world.incumbentPid()
  expect((await scene.swap('--crash-in-open')).result).toBe('rolledBack')
  scene.world.forgiveFiles()
  await traffic.more(200)
  expect((await scene.swap()).result).toBe('committed')
  await traffic.more(500)
  await traffic.stop()
  expect(applied(traffic.counts)).toEqual(upTo(traffic.counts.length))
  expect(clients.map(({ ended }) => ended)).toEqual(clients.map(() => 'open'))
  for (const client of clients) client.close()
  // The last session is over: nothing keeps the old program any more.
  await gone(old)
})

test('HTTP/2 sessions as well', async () => {
  await using scene = await Scene.start([], PATIENT)
  const port = await scene.port('h2')
  const sessions = Array.from({ length: SESSIONS }, () => connectHttp2(port))
  let ended = 0
  for (const session of sessions) for (const event of ['close', 'goaway', 'error']) session.on(event, () => ended++)
  await Promise.all(sessions.map((session) => once(session, 'connect')))
  const traffic = load(sessions.map(overHttp2))
  await traffic.more(200)
  const old = await scene.world.incumbentPid()
  expect((await scene.swap('--crash-in-open')).result).toBe('rolledBack')
  scene.world.forgiveFiles()
  await traffic.more(200)
  expect((await scene.swap()).result).toBe('committed')
  await traffic.more(500)
  await traffic.stop()
  expect(applied(traffic.counts)).toEqual(upTo(traffic.counts.length))
  expect(ended).toBe(0)
  for (const session of sessions) session.close()
  await gone(old)
})

test('bodies pass in both directions, however they are framed', async () => {
  await using scene = await Scene.start([], PATIENT)
  const client = await connectRaw({ port: await scene.port('https'), secure: true })
  const session = connectHttp2(await scene.port('h2'))
  await once(session, 'connect')
  expect((await scene.swap()).result).toBe('committed')
  const pid = await scene.world.incumbentPid()
  client.get('/big')
  expect((await client.answer()).body).toMatch(new RegExp(`^${pid} 1 b{300000}$`))
  client.send('POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n')
  expect((await client.answer()).body).toBe(`${pid} 2 5`)
  const stream = session.request({ ':method': 'POST', ':path': '/echo' })
  stream.end('x'.repeat(100_000))
  const [bytes] = await once(stream, 'data')
  expect(String(bytes)).toBe(`${pid} 3 100000`)
  client.close()
  session.close()
})

test('clients for whose connections the successor has no room are answered by it all the same', async () => {
  await using scene = await Scene.start([], PATIENT)
  const clients = await connectMany(120, { port: await scene.port() })
  const ask = clients.map(overRaw)
  await Promise.all(ask.map((each) => each('/fast')))
  const outcome = await scene.swapWithin(330)
  expect(outcome.result).toBe('committed')
  await until(() => scene.logged('handoff.moved').length > 0)
  const [told] = scene.logged('handoff.moved') as { moved: number; staying: { notOffered: number } }[]
  expect(told?.moved).toBeGreaterThan(0)
  expect(told?.staying).toEqual({ notOffered: 120 - (told?.moved ?? 0) })
  // Whoever asked for the swap hears the same.
  expect(outcome.connections).toEqual({ moved: told?.moved, staying: told?.staying })
  const pid = String(await scene.world.incumbentPid())
  const answers = await Promise.all(ask.map((each) => each('/fast')))
  expect(answers.filter((answer) => answer.split(' ')[0] !== pid)).toEqual([])
  expect(clients.filter(({ ended }) => ended !== 'open')).toEqual([])
  for (const client of clients) client.close()
})

test('when the time to linger ends, HTTP/2 clients are told to go on elsewhere', async () => {
  await using scene = await Scene.start([], { retireGraceMs: 1_000 })
  const session = connectHttp2(await scene.port('h2'))
  await once(session, 'connect')
  const goaway = once(session, 'goaway')
  expect((await scene.swap()).result).toBe('committed')
  expect((await goaway)[0]).toBe(http2.constants.NGHTTP2_NO_ERROR)
  await once(session, 'close')
})

test('a TLS session that was begun with the old program is resumed with the new one', async () => {
  await using scene = await Scene.start()
  const at = { port: await scene.port('https'), host: '127.0.0.1', rejectUnauthorized: false }
  const first = tls.connect(at)
  first.on('error', () => {})
  // Tickets come behind the handshake.
  const [session] = await once(first, 'session')
  first.destroy()
  const old = await scene.world.incumbentPid()
  expect((await scene.swap('--policy', '{}')).result).toBe('committed')
  await gone(old)
  const second = tls.connect({ ...at, session })
  second.on('error', () => {})
  await once(second, 'secureConnect')
  expect(second.isSessionReused()).toBe(true)
  second.destroy()
})

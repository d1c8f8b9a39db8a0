import { closeSync, openSync } from 'node:fs'
import http from 'node:http'
import { expect, test } from 'vitest'
import { attachServer } from '../../../src/daemon/attach/attach-server.js'
import { closeFd, openFds, streamPair } from '../../../src/os/fds.js'
import { queueFacts } from '../../../src/os/listeners.js'
import { GET } from './raw-client.js'
import { BACKLOG, farDeadline, Gate, listenerRig, turns, until } from './rig.js'

test('the shared queue keeps its length when the server starts to accept', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer())
  expect(queueFacts(rig.bound.fd)?.backlog).toBe(BACKLOG)
  await handle.startAccepting()
  expect(queueFacts(rig.bound.fd)?.backlog).toBe(BACKLOG)
})

test('nothing is accepted before startAccepting; the clients wait in the queue and are served then', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer(new Gate().handler))
  const client = await rig.connect()
  client.get()
  await until(() => queueFacts(rig.bound.fd)?.queued === 1)
  expect(handle.connections().open).toBe(0)
  await handle.startAccepting()
  expect((await client.answer()).status).toBe(200)
})

test('200 idle keep-alive connections see no FIN and no reset through stop, drain and resume, and go on (INV-06)', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const clients = await rig.connectMany(200)
  const round = async (): Promise<void> => {
    for (const client of clients) client.get()
    for (const answer of await Promise.all(clients.map((client) => client.answer()))) expect(answer.status).toBe(200)
  }
  await round()
  await handle.stopAccepting()
  await round()
  const drained = await handle.drain({ deadline: farDeadline() })
  expect(drained).toEqual({ openConnections: 200, inFlight: 0, idle: 200, remaining: [] })
  expect(handle.connections()).toEqual({ open: 200, inFlight: 0, idle: 200, parked: 200 })
  for (const client of clients) client.get()
  await turns()
  expect(clients.filter((client) => client.waiting > 0)).toEqual([])
  await handle.resume()
  for (const answer of await Promise.all(clients.map((client) => client.answer()))) {
    expect(answer.headers.connection).toBe('keep-alive')
  }
  await round()
  expect(clients.map((client) => client.ended)).toEqual(clients.map(() => 'open'))
})

test('clients that connect between drain and resume are served after it', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer(new Gate().handler))
  await handle.startAccepting()
  await handle.drain({ deadline: farDeadline() })
  const late = await rig.connect()
  late.get()
  await until(() => queueFacts(rig.bound.fd)?.queued === 1)
  await handle.resume()
  expect((await late.answer()).status).toBe(200)
})

test('a request in flight is finished with Connection: close, then the drain is over', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  expect(handle.connections()).toMatchObject({ open: 1, inFlight: 1 })
  gate.answer('late but whole')
  const answer = await client.answer()
  expect(answer).toMatchObject({ status: 200, body: 'late but whole', headers: { connection: 'close' } })
  expect(await draining).toMatchObject({ inFlight: 0 })
  expect(await client.end()).toBe('fin')
})

test('Connection: close is said also where the handler writes its own head', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  gate.held.shift()?.response.writeHead(201, 'Made', { 'Content-Length': '2', 'X-Own': 'yes' }).end('ok')
  expect(await client.answer()).toMatchObject({ status: 201, headers: { connection: 'close', 'x-own': 'yes' } })
  await draining
})

test('an answer that is already streaming ends normally, and its connection is parked, not closed', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  const [{ response } = { response: undefined }] = gate.held.splice(0)
  response?.write('first ')
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  response?.end('last')
  const answer = await client.answer()
  expect(answer.body).toBe('first last')
  expect(answer.headers.connection).toBe('keep-alive')
  expect(await draining).toEqual({ openConnections: 1, inFlight: 0, idle: 1, remaining: [] })
  expect(handle.connections().parked).toBe(1)
  client.get()
  await handle.resume()
  expect((await client.answer()).status).toBe(200)
})

test('a body half sent when the drain begins is received whole and answered', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer(new Gate().handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.send('POST /half HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234')
  await until(() => handle.connections().inFlight === 1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  client.send('56789')
  expect(await client.answer()).toMatchObject({ body: 'POST /half 10', headers: { connection: 'close' } })
  expect(await draining).toMatchObject({ inFlight: 0 })
})

test('a head half sent when the drain begins counts as in flight and is answered', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer(new Gate().handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get()
  await client.answer()
  client.send(GET('/slow-head').slice(0, 12))
  await until(() => handle.connections().inFlight === 1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  client.send(GET('/slow-head').slice(12))
  expect(await client.answer()).toMatchObject({ body: 'GET /slow-head 0', headers: { connection: 'close' } })
  expect(await draining).toMatchObject({ inFlight: 0 })
})

test('pipelined requests are all answered; only the last answer closes', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.send(GET('/held') + GET('/held') + GET('/held'))
  await gate.holding(3)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  for (const body of ['one', 'two', 'three']) gate.answer(body)
  const answers = [await client.answer(), await client.answer(), await client.answer()]
  expect(answers.map((answer) => answer.body)).toEqual(['one', 'two', 'three'])
  expect(answers.map((answer) => answer.headers.connection)).toEqual(['keep-alive', 'keep-alive', 'close'])
  expect(await draining).toMatchObject({ inFlight: 0 })
})

test('a request pipelined behind one in flight takes over the mark, and both are answered', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  client.get('/held')
  await gate.holding(2)
  gate.answer('one')
  gate.answer('two')
  expect(await client.answer()).toMatchObject({ body: 'one', headers: { connection: 'keep-alive' } })
  expect(await client.answer()).toMatchObject({ body: 'two', headers: { connection: 'close' } })
  await draining
})

test('past the deadline the drain tells who is still busy and why; they are served to the end all the same', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const [waiting, half, idle] = [await rig.connect(), await rig.connect(), await rig.connect()]
  waiting.get('/held')
  half.send('GET / HT')
  idle.get()
  await idle.answer()
  await gate.holding(1)
  await until(() => handle.connections().inFlight === 2)
  const drained = await handle.drain({ deadline: performance.now() + 20 })
  expect(drained).toMatchObject({ openConnections: 3, inFlight: 2, idle: 1 })
  const peer = (client: typeof waiting) => `127.0.0.1:${client.socket.localPort}`
  expect(new Map(drained.remaining.map((r) => [r.peer, r.reason]))).toEqual(
    new Map([
      [peer(waiting), 'awaitingAnswer'],
      [peer(half), 'requestArriving'],
    ]),
  )
  gate.answer()
  expect((await waiting.answer()).headers.connection).toBe('close')
})

test('an aborted signal ends the wait, resume ends it too, and marks are taken back', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  const cut = new AbortController()
  const first = handle.drain({ deadline: farDeadline(), signal: cut.signal })
  await turns()
  cut.abort()
  expect(await first).toMatchObject({ inFlight: 1 })
  const second = handle.drain({ deadline: farDeadline() })
  await turns()
  await handle.resume()
  expect(await second).toMatchObject({ inFlight: 1 })
  gate.answer()
  expect((await client.answer()).headers.connection).toBe('keep-alive')
  client.get()
  expect((await client.answer()).status).toBe(200)
})

test('a client that goes away in mid-request does not hold the drain', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  client.close()
  expect(await draining).toEqual({ openConnections: 0, inFlight: 0, idle: 0, remaining: [] })
})

test('an unread body, answered early, keeps its connection busy until it has arrived', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer((_request, response) => response.end('early')))
  await handle.startAccepting()
  const client = await rig.connect()
  client.send('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nabc')
  expect((await client.answer()).body).toBe('early')
  expect(handle.connections().inFlight).toBe(1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  client.send('def')
  expect(await draining).toMatchObject({ inFlight: 0, idle: 1 })
  await handle.resume()
  client.get()
  expect((await client.answer()).body).toBe('early')
})

test('an upgraded connection counts as busy until it ends', async () => {
  const rig = listenerRig()
  const server = http.createServer()
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n')
    socket.on('end', () => socket.end()).resume()
  })
  const handle = rig.attach(server)
  await handle.startAccepting()
  const client = await rig.connect()
  client.send('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  expect((await client.answer()).status).toBe(101)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  expect(handle.connections()).toMatchObject({ inFlight: 1, parked: 0 })
  client.close()
  expect(await draining).toMatchObject({ openConnections: 0, inFlight: 0 })
})

test('Expect: 100-continue is counted, with and without a checkContinue listener', async () => {
  const rig = listenerRig()
  const server = http.createServer(new Gate().handler)
  const handle = rig.attach(server)
  await handle.startAccepting()
  const client = await rig.connect()
  const head = 'PUT /big HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n'
  client.send(head)
  expect((await client.answer()).status).toBe(100)
  expect(handle.connections().inFlight).toBe(1)
  client.send('body')
  expect((await client.answer()).body).toBe('PUT /big 4')
  server.on('checkContinue', (request, response) => {
    response.writeContinue()
    server.emit('request', request, response)
  })
  client.send(head)
  expect((await client.answer()).status).toBe(100)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  expect(handle.connections().inFlight).toBe(1)
  client.send('body')
  expect(await client.answer()).toMatchObject({ body: 'PUT /big 4', headers: { connection: 'close' } })
  await draining
})

test('a connection accepted just before the stop is served: its first byte is waited for', async () => {
  const rig = listenerRig()
  const server = http.createServer(new Gate().handler)
  const handle = rig.attach(server, { firstByteGraceMs: 30_000 })
  await handle.startAccepting()
  const drained = new Promise((resolve) => {
    server.once('connection', () => resolve(handle.drain({ deadline: farDeadline() })))
  })
  const client = await rig.connect()
  await turns(20)
  client.get()
  expect(await client.answer()).toMatchObject({ status: 200, headers: { connection: 'close' } })
  expect(await drained).toMatchObject({ inFlight: 0 })
})

test('a connection that never sends anything holds the drain only for its first moment', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer(new Gate().handler), { firstByteGraceMs: 10 })
  await handle.startAccepting()
  const silent = await rig.connect()
  await until(() => handle.connections().open === 1)
  expect(await handle.drain({ deadline: farDeadline() })).toMatchObject({ inFlight: 0, idle: 1 })
  await handle.resume()
  silent.get()
  expect((await silent.answer()).status).toBe(200)
})

test('a request that is in the kernel when its connection is to be parked is answered first', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer(new Gate().handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get()
  await client.answer()
  // The drain looks in its second turn; this runs right before, with no poll for input in between.
  setImmediate(() => setImmediate(() => client.get('/just-in-time')))
  const draining = handle.drain({ deadline: farDeadline() })
  expect(await client.answer()).toMatchObject({ body: 'GET /just-in-time 0', headers: { connection: 'close' } })
  expect(await draining).toMatchObject({ inFlight: 0 })
})

test('no timer of the server touches a parked connection: neither keep-alive nor an unsolicited 408', async () => {
  const options = { keepAliveTimeout: 1, headersTimeout: 1_000, requestTimeout: 1_000, connectionsCheckingInterval: 50 }
  const begin = async () => {
    const rig = listenerRig()
    const server = http.createServer(options, new Gate().handler)
    const handle = rig.attach(server)
    await handle.startAccepting()
    const [used, silent] = [await rig.connect(), await rig.connect()]
    used.get()
    await used.answer()
    await until(() => handle.connections().open === 2)
    return { server, handle, used, silent }
  }
  const parked = await begin()
  await parked.handle.drain({ deadline: farDeadline() })
  const control = await begin()
  // The same server, not drained, shows when the timers have struck.
  await Promise.all([control.used.end(), control.silent.end()])
  expect((await control.silent.answer()).status).toBe(408)
  expect([parked.used.ended, parked.silent.ended]).toEqual(['open', 'open'])
  expect(parked.handle.connections()).toEqual({ open: 2, inFlight: 0, idle: 2, parked: 2 })
  parked.used.get()
  await parked.handle.resume()
  expect((await parked.used.answer()).status).toBe(200)
  expect([parked.server.headersTimeout, parked.server.requestTimeout]).toEqual([1_000, 1_000])
})

test('release closes idle connections and tells on which of them a request had arrived unread', async () => {
  const rig = listenerRig()
  const handle = rig.attach(http.createServer(new Gate().handler))
  await handle.startAccepting()
  const clients = await rig.connectMany(3)
  for (const client of clients) client.get()
  await Promise.all(clients.map((client) => client.answer()))
  await handle.drain({ deadline: farDeadline() })
  clients[0]?.get()
  await turns()
  expect(await handle.release()).toEqual({ idleClosed: 3, withUnread: 1 })
  await Promise.all(clients.map((client) => client.end()))
  expect(clients.map((client) => client.ended)).toEqual(['reset', 'fin', 'fin'])
  await expect(handle.startAccepting()).rejects.toMatchObject({ code: 'ERR_HANDOFF_ATTACH_STATE_RELEASED' })
})

test('after release what lingers is answered, and its connection is closed as soon as it is idle', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  gate.held[0]?.response.write('be')
  await handle.drain({ deadline: performance.now() })
  expect(await handle.release()).toEqual({ idleClosed: 0, withUnread: 0 })
  gate.answer('gun')
  expect((await client.answer()).body).toBe('begun')
  expect(await client.end()).toBe('fin')
  expect(handle.connections().open).toBe(0)
})

test('the server announces close neither while it rests nor after a resume, but once it is released', async () => {
  const rig = listenerRig()
  const server = http.createServer()
  const announced: string[] = []
  server.on('close', () => announced.push('close'))
  const handle = rig.attach(server)
  await handle.startAccepting()
  await handle.drain({ deadline: farDeadline() })
  await turns()
  await handle.resume()
  await turns()
  expect(announced).toEqual([])
  await handle.drain({ deadline: farDeadline() })
  await handle.release()
  await turns()
  expect(announced).toEqual(['close'])
})

test('50 rounds of stop, drain and resume leave no listener and no descriptor behind', async () => {
  const rig = listenerRig()
  const server = http.createServer(new Gate().handler)
  const handle = rig.attach(server)
  const client = await rig.connect()
  const listeners = () => server.eventNames().map((name) => [name, server.listenerCount(name)])
  const sockets = () => [...openFds().values()].filter((to) => to.startsWith('socket:')).length
  const round = async (): Promise<void> => {
    await handle.startAccepting()
    client.get()
    expect((await client.answer()).status).toBe(200)
    await handle.stopAccepting()
    await handle.drain({ deadline: farDeadline() })
  }
  await round()
  const before = [listeners(), sockets()]
  for (let count = 0; count < 50; count++) await round()
  expect([listeners(), sockets()]).toEqual(before)
  expect(queueFacts(rig.bound.fd)?.backlog).toBe(BACKLOG)
})

test('misuse is refused with what to do: a listening server, one server on two listeners', async () => {
  const rig = listenerRig()
  const other = listenerRig()
  const listening = http.createServer()
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  expect(() => rig.attach(listening)).toThrow(/create the server without calling listen/)
  listening.close()
  const server = http.createServer()
  const handle = rig.attach(server)
  expect(rig.attach(server)).toBe(handle)
  expect(() => other.attach(server)).toThrow(/one server per listener/)
})

test('a descriptor that cannot listen is refused with its errno as cause, and nothing leaks', async () => {
  const file = openSync('/dev/null', 'r')
  const [stream, other] = streamPair()
  const closed = openSync('/dev/null', 'r')
  closeSync(closed)
  const before = openFds()
  for (const [fd, code] of [
    [file, 'EINVAL'],
    [stream, 'EINVAL'],
    [closed, 'EBADF'],
  ] as const) {
    const handle = attachServer({ name: 'bad', fd, backlog: 1 }, http.createServer())
    const error = await handle.startAccepting().catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'ERR_HANDOFF_ATTACH_LISTEN', cause: { code } })
  }
  expect(openFds()).toEqual(before)
  for (const fd of [file, stream, other]) closeFd(fd)
})

test('a request that comes on a busy connection after the drain waits for the outcome; an abort answers it', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(http.createServer(gate.handler))
  await handle.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  await handle.drain({ deadline: performance.now(), keepConnections: true })
  // Pipelined behind an answer that outlasts the drain: the state may be sealed by the time it is parsed.
  client.get('/held')
  gate.answer('before the seal')
  expect((await client.answer()).body).toBe('before the seal')
  await turns()
  expect(gate.held).toHaveLength(0)
  await handle.resume()
  await gate.holding(1)
  gate.answer('after the abort')
  expect((await client.answer()).body).toBe('after the abort')
})

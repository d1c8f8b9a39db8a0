import http from 'node:http'
import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { AttachedServer } from '../../../src/daemon/attach/attach-server.js'
import { ConnectionReceiver, roomForFds } from '../../../src/daemon/attach/connection-receiver.js'
import { ConnectionSender } from '../../../src/daemon/attach/connection-sender.js'
import { FdSocket } from '../../../src/os/fd-socket.js'
import { openFds, openFilesLimit, streamPair } from '../../../src/os/fds.js'
import { GET } from './raw-client.js'
import { farDeadline, Gate, listenerRig, type Rig, turns, until } from './rig.js'

const WAIT = { timeoutMs: 20_000 }
const named = (name: string): http.Server => http.createServer((_request, response) => response.end(name))

/** Both ends of a move between two servers of this process, as if they were two. */
function exchange(from: AttachedServer, to: AttachedServer, room = 10_000) {
  const [a, b] = streamPair().map((fd) => new FdSocket(fd)) as [FdSocket, FdSocket]
  onTestFinished(() => {
    a.close()
    b.close()
  })
  const outgoing = from.outgoing()
  const sender = new ConnectionSender(a, new Map([['http', outgoing]]), room, WAIT)
  const receiver = new ConnectionReceiver(b, new Map([['http', to.incoming()]]), room)
  return {
    outgoing,
    sender,
    receiver,
    channels: [a, b] as const,
    async copy() {
      await Promise.all([sender.copy(), receiver.pull(WAIT)])
    },
    async cut() {
      const [cuts] = await Promise.all([sender.cut(), receiver.awaitCut(WAIT)])
      const cut = cuts.get('http')
      if (cut === undefined) throw new Error('no cut for http')
      return cut
    },
  }
}

async function incumbent(rig: Rig, server: http.Server): Promise<AttachedServer> {
  const handle = rig.attach(server)
  await handle.startAccepting()
  return handle
}

test('idle connections move: the successor answers what arrived in the gap, the client sees no close', async () => {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const clients = await rig.connectMany(300)
  for (const client of clients) client.get()
  for (const client of clients) expect((await client.answer()).body).toBe('old')
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  // Copied, and the incumbent still serves.
  for (const client of clients) client.get()
  for (const client of clients) expect((await client.answer()).body).toBe('old')
  const drained = await old.drain({ deadline: farDeadline(), keepConnections: true })
  expect(drained).toMatchObject({ openConnections: 300, inFlight: 0, idle: 300 })
  const cut = await move.cut()
  expect([cut.parked.length, cut.staying.length]).toEqual([300, 0])
  for (const client of clients) client.get()
  await turns()
  expect(clients.filter((client) => client.waiting > 0)).toEqual([])
  expect(move.receiver.goLive()).toBe(300)
  await next.startAccepting()
  expect(move.outgoing.detach(cut.parked.map(({ id }) => id))).toBe(300)
  expect(await old.release()).toEqual({ idleClosed: 0, withUnread: 0 })
  for (const client of clients) expect((await client.answer()).body).toBe('new')
  expect(clients.filter((client) => client.ended !== 'open')).toEqual([])
  expect(next.connections()).toMatchObject({ open: 300, parked: 0 })
})

test('moved connections move on: five hops, with and without a request in between', async () => {
  const rig = listenerRig()
  let from = await incumbent(rig, named('hop 0'))
  const [busy, quiet, silent] = [await rig.connect(), await rig.connect(), await rig.connect()]
  for (const client of [busy, quiet]) {
    client.get()
    expect((await client.answer()).body).toBe('hop 0')
  }
  await until(() => from.connections().open === 3)
  for (let hop = 1; hop <= 5; hop++) {
    const to = rig.attach(named(`hop ${hop}`))
    const move = exchange(from, to)
    await move.copy()
    await from.drain({ deadline: farDeadline(), keepConnections: true })
    const cut = await move.cut()
    expect(cut.staying).toEqual([])
    expect(cut.parked.filter(({ used }) => used)).toHaveLength(2)
    move.receiver.goLive()
    await to.startAccepting()
    move.outgoing.detach(cut.parked.map(({ id }) => id))
    move.sender.close()
    await from.release()
    busy.get()
    expect((await busy.answer()).body).toBe(`hop ${hop}`)
    from = to
  }
  for (const client of [quiet, silent]) {
    client.get()
    expect((await client.answer()).body).toBe('hop 5')
  }
})

test('what cannot be parked stays, with its reason: begun requests are answered there, later ones sent away', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const server = http.createServer(gate.handler)
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching\r\n\r\n')
    socket.on('end', () => socket.end()).resume()
  })
  const old = await incumbent(rig, server)
  const [waiting, half, upgraded, idle] = await rig.connectMany(4)
  if (!waiting || !half || !upgraded || !idle) throw new Error('four clients were asked for')
  waiting.get('/held')
  half.send(GET('/half').slice(0, 9))
  upgraded.send('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  await upgraded.answer()
  idle.get()
  await idle.answer()
  await gate.holding(1)
  await until(() => old.connections().inFlight === 3)
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  await old.drain({ deadline: performance.now(), keepConnections: true })
  const cut = await move.cut()
  expect(cut.parked).toHaveLength(1)
  expect(cut.staying.map(({ reason }) => reason).sort()).toEqual(['awaitingAnswer', 'requestArriving', 'upgraded'])
  expect(move.receiver.goLive()).toBe(1)
  await next.startAccepting()
  move.outgoing.detach(cut.parked.map(({ id }) => id))
  await old.release()
  idle.get()
  expect((await idle.answer()).body).toBe('new')
  gate.answer('finished where it began')
  half.send(GET('/half').slice(9))
  expect((await waiting.answer()).body).toBe('finished where it began')
  // It was no request yet when the data was sealed: only the successor may answer it.
  expect(await half.answer()).toMatchObject({ status: 503, headers: { 'retry-after': '1', connection: 'close' } })
})

test('an abort after the cut gives every connection back with no byte lost (INV-06)', async () => {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const clients = await rig.connectMany(50)
  for (const client of clients) client.get()
  for (const client of clients) await client.answer()
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  await old.drain({ deadline: farDeadline(), keepConnections: true })
  await move.cut()
  for (const client of clients) client.get()
  await turns()
  move.receiver.abandon()
  move.sender.close()
  await old.resume()
  for (const client of clients) expect((await client.answer()).body).toBe('old')
  for (const client of clients) client.get()
  for (const client of clients) expect((await client.answer()).body).toBe('old')
  expect(clients.filter((client) => client.ended !== 'open')).toEqual([])
  await until(() => next.connections().open === 0)
})

async function parked(count: number) {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const clients = await rig.connectMany(count)
  for (const client of clients) client.get()
  for (const client of clients) await client.answer()
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  await old.drain({ deadline: farDeadline(), keepConnections: true })
  const cut = await move.cut()
  return { old, next, clients, move, ids: cut.parked.map(({ id }) => id) }
}

test('what the incumbent has taken back no successor reads, however late it goes live (INV-15)', async () => {
  const { old, next, clients, move } = await parked(20)
  expect(move.sender.successorReads()).toBe(false)
  expect(move.sender.retract()).toBe(true)
  move.sender.close()
  await old.resume()
  for (const client of clients) client.send(GET().slice(0, 9))
  // In the same turn: the word lies in the kernel, and no event loop has brought it.
  expect(move.receiver.goLive()).toBe(0)
  await next.startAccepting()
  for (const client of clients) client.send(GET().slice(9))
  for (const client of clients) expect((await client.answer()).body).toBe('old')
  expect(clients.filter((client) => client.ended !== 'open')).toEqual([])
})

test('the same word closes the copies of a successor that waits', async () => {
  const { clients, move, next } = await parked(5)
  move.sender.retract()
  await until(() => next.connections().open === 0)
  expect(clients.filter((client) => client.ended !== 'open')).toEqual([])
})

test('an incumbent that died after the cut has not taken back: the successor reads (INV-14)', async () => {
  const { next, clients, move } = await parked(20)
  move.sender.close()
  move.channels[0].close()
  for (const client of clients) client.get()
  await turns()
  expect(move.receiver.knowsCut).toBe(true)
  expect(move.receiver.goLive()).toBe(20)
  await next.startAccepting()
  for (const client of clients) expect((await client.answer()).body).toBe('new')
})

test('a successor says that it reads before it reads, and is heard after its end (INV-15)', async () => {
  const { move } = await parked(3)
  expect(move.sender.successorReads()).toBe(false)
  expect(move.receiver.goLive()).toBe(3)
  move.channels[1].close()
  expect(move.sender.successorReads()).toBe(true)
})

test('a cut that was not heard to its end is none, and what was staged for it is let go of', async () => {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const client = await rig.connect()
  client.get()
  await client.answer()
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  const cutting = move.receiver.awaitCut(WAIT)
  const [a] = move.channels
  await a.sendWithFds(Buffer.from('{"v":1,"listener":"http","cut":[1],"used":[1]}\n'), [], WAIT)
  await a.readLine(100, WAIT)
  a.close()
  await expect(cutting).rejects.toThrow()
  expect(move.receiver.knowsCut).toBe(false)
  expect(move.receiver.goLive()).toBe(0)
  client.get()
  expect((await client.answer()).body).toBe('old')
})

test('a connection that the incumbent closes behind the cut is closed for its client too', async () => {
  const { clients, move, old } = await parked(3)
  const [first] = clients
  await old.release()
  await until(() => move.outgoing.takeGone().length === 0)
  expect(await first?.end()).toBe('fin')
  expect(move.receiver.goLive()).toBe(0)
})

test('a connection that the incumbent closes while it is staged is closed for its client too', async () => {
  const rig = listenerRig()
  const server = http.createServer({ keepAliveTimeout: 1 }, (_request, response) => response.end('old'))
  const old = await incumbent(rig, server)
  const client = await rig.connect()
  client.get()
  await client.answer()
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  const cutting = move.receiver.awaitCut(WAIT)
  expect(next.connections().open).toBe(1)
  // The keep-alive timer destroys the incumbent's socket; the staged copy alone would keep the client waiting.
  expect(await client.end()).toBe('fin')
  await old.drain({ deadline: farDeadline(), keepConnections: true })
  const [cuts] = await Promise.all([move.sender.cut(), cutting])
  expect(cuts.get('http')).toEqual({ parked: [], staying: [] })
  expect(move.receiver.goLive()).toBe(0)
})

test('connections that come after the copy are brought along at the cut', async () => {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const early = await rig.connect()
  early.get()
  await early.answer()
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  const late = await rig.connect()
  late.get()
  await late.answer()
  await old.drain({ deadline: farDeadline(), keepConnections: true })
  expect((await move.cut()).parked).toHaveLength(2)
  move.receiver.goLive()
  await next.startAccepting()
  late.get()
  expect((await late.answer()).body).toBe('new')
})

test('without room for all, the rest stays with its reason and lives on', async () => {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const clients = await rig.connectMany(5)
  for (const client of clients) client.get()
  for (const client of clients) await client.answer()
  const next = rig.attach(named('new'))
  const move = exchange(old, next, 2)
  await move.copy()
  await old.drain({ deadline: farDeadline(), keepConnections: true })
  const cut = await move.cut()
  expect(cut.parked).toHaveLength(2)
  expect(cut.staying.map(({ reason }) => reason)).toEqual(['notOffered', 'notOffered', 'notOffered'])
  expect(roomForFds()).toBeLessThan(openFilesLimit().soft)
})

test('a successor that dies in mid-exchange costs the incumbent nothing', async () => {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const client = await rig.connect()
  client.get()
  await client.answer()
  const next = rig.attach(named('new'))
  const move = exchange(old, next)
  await move.copy()
  move.channels[1].close()
  move.receiver.abandon()
  await old.drain({ deadline: farDeadline(), keepConnections: true })
  await expect(move.sender.cut()).rejects.toThrow()
  expect(move.sender.failure).toBeDefined()
  client.get()
  await old.resume()
  expect((await client.answer()).body).toBe('old')
})

test.each([
  ['no message', 'hello\n'],
  ['an unknown listener', '{"v":1,"listener":"ftp","gone":[1]}\n'],
  ['no list of connections', '{"v":1,"listener":"http","gone":"all"}\n'],
  ['more connections than descriptors', '{"v":1,"listener":"http","connections":[1,2]}\n'],
  ['a cut of what was never offered', '{"v":1,"listener":"http","cut":[7],"used":[]}\n'],
])('the successor refuses %s', async (_what, line) => {
  const rig = listenerRig()
  const next = rig.attach(named('new'))
  const [a, b] = streamPair().map((fd) => new FdSocket(fd)) as [FdSocket, FdSocket]
  const receiver = new ConnectionReceiver(b, new Map([['http', next.incoming()]]), 10)
  const [stray, other] = streamPair()
  const before = openFds().size
  await a.sendWithFds(Buffer.from(line), line.includes('[1,2]') ? [stray] : [], WAIT)
  await expect(receiver.pull(WAIT)).rejects.toMatchObject({ code: 'ERR_HANDOFF_ATTACH_PEER_MOVE' })
  expect(openFds().size).toBe(before)
  for (const channel of [a, b]) channel.close()
  for (const fd of [stray, other]) new net.Socket({ fd }).destroy()
})

test('only HTTP servers adopt: raw connections are not offered, and a raw server refuses them', async () => {
  const rig = listenerRig()
  const old = rig.attach(net.createServer((socket) => socket.pipe(socket)))
  await old.startAccepting()
  const client = await rig.connect()
  await until(() => old.connections().open === 1)
  expect(old.outgoing().offers(10, false)).toEqual([])
  const [fd, other] = streamPair()
  const before = openFds().size
  expect(() => old.incoming().stage(1, fd)).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_ATTACH_ADOPT' }))
  expect(openFds().size).toBe(before - 1)
  new net.Socket({ fd: other }).destroy()
  client.close()
})

test('an adopted connection keeps keep-alive time, and a slow first answer outlasts it', async () => {
  const rig = listenerRig()
  const old = await incumbent(rig, named('old'))
  const [slow, idle] = [await rig.connect(), await rig.connect()]
  for (const client of [slow, idle]) {
    client.get()
    await client.answer()
  }
  const gate = new Gate()
  const next = rig.attach(http.createServer({ keepAliveTimeout: 1 }, gate.handler))
  const move = exchange(old, next)
  await move.copy()
  await old.drain({ deadline: farDeadline(), keepConnections: true })
  const cut = await move.cut()
  slow.get('/held')
  move.receiver.goLive()
  move.outgoing.detach(cut.parked.map(({ id }) => id))
  await gate.holding(1)
  await next.startAccepting()
  const later = await rig.connect()
  later.get()
  await later.answer()
  // When the keep-alive time of a younger one is over, that of the two adopted ones is too; but one has a request.
  expect(await Promise.all([idle.end(), later.end()])).toEqual(['fin', 'fin'])
  gate.answer('slow but whole')
  expect((await slow.answer()).body).toBe('slow but whole')
})

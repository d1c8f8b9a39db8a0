/** Connections that were busy at the cut follow when they rest: to a successor that takes them, and only to such a one. */
import http from 'node:http'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { ConnectionReceiver } from '../../src/daemon/attach/connection-receiver.js'
import type { DialAdopter } from '../../src/daemon/forward-dial.js'
import { LateMoves } from '../../src/daemon/late-moves.js'
import type { ListenerSet } from '../../src/daemon/listener-set.js'
import { FdSocket } from '../../src/os/fd-socket.js'
import { closeFd, streamPair } from '../../src/os/fds.js'
import { farDeadline, Gate, listenerRig, turns, until } from './attach/rig.js'

const WAIT = { timeoutMs: 20_000 }
const silent = pino({ level: 'silent' })

/** An old program that lingers with one client in mid-answer, and a new one that serves. */
async function lingering(dialAdopter: (next: Awaited<ReturnType<typeof stage>>) => DialAdopter) {
  const scene = await stage()
  const { old, next } = scene
  const ending = new AbortController()
  onTestFinished(() => ending.abort())
  await old.forward((request, response) => void next.server.emit('request', request, response))
  const listeners = {
    outgoing: () => new Map([['http', old.outgoing()]]),
    lateRests: (tell: () => void) => [old.lateRest(tell)],
  } as unknown as ListenerSet
  new LateMoves(listeners, dialAdopter(scene), silent).start(ending.signal)
  return scene
}

async function stage() {
  const rig = listenerRig()
  const gate = new Gate()
  const old = rig.attach(http.createServer(gate.handler))
  await old.startAccepting()
  const client = await rig.connect()
  client.get('/held')
  await gate.holding(1)
  await old.drain({ deadline: performance.now(), keepConnections: true })
  const answered: string[] = []
  const next = rig.attach(
    http.createServer((request, response) => {
      answered.push(request.url ?? '')
      response.end(request.socket.remotePort === undefined ? 'through the old one' : 'new')
    }),
  )
  await next.startAccepting()
  return { rig, gate, old, next, client, answered }
}

function channels(): [FdSocket, FdSocket] {
  const pair = streamPair().map((fd) => new FdSocket(fd)) as [FdSocket, FdSocket]
  onTestFinished(() => pair.forEach((end) => void end.close()))
  return pair
}

test('when its answer is complete the connection moves, and its client sees neither a close nor a mark', async () => {
  const { gate, client, old, next } = await lingering(({ next }) => async () => {
    const [ours, theirs] = channels()
    const receiver = new ConnectionReceiver(theirs, new Map([['http', next.incoming()]]), 10)
    void receiver.awaitCut(WAIT).then(() => receiver.goLive())
    return { channel: ours, room: 10 }
  })
  gate.answer('finished where it began')
  const answer = await client.answer()
  expect([answer.body, answer.headers.connection]).toEqual(['finished where it began', 'keep-alive'])
  await until(() => old.connections().open === 0)
  client.get('/next')
  expect((await client.answer()).body).toBe('new')
  expect([client.ended, next.connections().open]).toEqual(['open', 1])
})

test.each([
  ['takes no connections', async () => Promise.reject(new Error('nothing is given for want="adopt"'))],
  [
    'has no room',
    async () => {
      const [ours, theirs] = channels()
      const receiver = new ConnectionReceiver(theirs, new Map(), 0)
      receiver.awaitCut(WAIT).catch(() => theirs.close())
      return { channel: ours, room: 0 }
    },
  ],
  [
    'dies before the last word',
    async () => {
      const [ours, theirs] = channels()
      theirs.close()
      return { channel: ours, room: 10 }
    },
  ],
] satisfies [string, DialAdopter][])(
  'a successor that %s costs no connection: it is answered through the old program',
  async (_why, dial) => {
    const { gate, client, old, answered } = await lingering(() => dial)
    gate.answer()
    await client.answer()
    await turns(20)
    client.get('/next')
    expect((await client.answer()).status).toBe(200)
    expect([client.ended, old.connections().open, answered]).toEqual(['open', 1, ['/next']])
  },
)

test('who heard the last word may read: when it falls silent then, the old program reads no more (INV-14)', async () => {
  const { gate, client, old, answered } = await lingering(() => async () => {
    const [ours, theirs] = channels()
    void (async () => {
      for (;;) {
        const line = await theirs.readLine(100_000)
        if (line === null) return
        const said = JSON.parse(Buffer.from(line.bytes).toString('utf8'))
        if ('end' in said) return theirs.close()
        const answer = 'connections' in said ? { received: 1, staged: said.connections, room: 9 } : { ok: true }
        await theirs.sendWithFds(Buffer.from(`${JSON.stringify(answer)}\n`), [])
      }
    })()
    return { channel: ours, room: 10 }
  })
  gate.answer()
  await client.answer()
  client.get('/next')
  await until(() => old.connections().open === 0)
  expect(answered).toEqual([])
})

test('timers of a server that drains while it adopts run again when both are over', async () => {
  const rig = listenerRig()
  const server = http.createServer(() => {})
  const before = [server.headersTimeout, server.requestTimeout]
  const handle = rig.attach(server)
  await handle.startAccepting()
  const client = await rig.connect()
  await until(() => handle.connections().open === 1)
  const incoming = handle.incoming()
  const [fd, other] = streamPair() as [number, number]
  onTestFinished(() => closeFd(other))
  expect(incoming.tryStage(1, fd)).toBe(true)
  await handle.drain({ deadline: farDeadline(), keepConnections: true })
  incoming.abandon()
  expect(server.headersTimeout).toBe(0)
  await handle.resume()
  expect([server.headersTimeout, server.requestTimeout]).toEqual(before)
  client.close()
})

import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import type { Answer } from '../../examples/demo/http-client.js'
import { freshClient, KeptConnection, keepAliveClient, type Load, writer } from '../../examples/demo/load.js'
import { StallMeter } from '../../examples/demo/stall.js'
import { Counters, MUST_BE_ZERO } from '../../examples/demo/tally.js'
import { WriteLedger } from '../../examples/demo/write-ledger.js'

let server: Server | undefined
const stopping: AbortController[] = []

afterEach(async () => {
  for (const controller of stopping.splice(0)) controller.abort()
  server?.closeAllConnections()
  if (server?.listening) {
    server.close()
    await once(server, 'close')
  }
})

async function loadOn(handler: RequestListener): Promise<Load & { halt(): void }> {
  server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const counters = new Counters()
  const controller = new AbortController()
  stopping.push(controller)
  return {
    target,
    counters,
    stall: new StallMeter(() => performance.now()),
    ledger: new WriteLedger(counters),
    stop: controller.signal,
    halt: () => controller.abort(),
  }
}

const answerWith =
  (...revisions: number[]): RequestListener =>
  (_, response) =>
    void response.end(JSON.stringify({ revision: revisions.shift() ?? 1_000 }))

test('a fresh client, a keep-alive client and a writer count what was answered', async () => {
  let revision = 0
  const load = await loadOn((request, response) => {
    response.end(JSON.stringify({ revision: request.method === 'PUT' ? ++revision : revision }))
  })
  const clients = [freshClient(load, 0), keepAliveClient(load, 0), writer(load, 0, 'w')]
  await vi.waitUntil(() => load.counters.read().writesAcknowledged >= 20 && load.counters.read().requests >= 60)
  load.halt()
  await Promise.all(clients)
  const tally = load.counters.read()
  expect(tally.writesAcknowledged).toBe(revision)
  for (const counter of MUST_BE_ZERO) expect(tally[counter], counter).toBe(0)
  expect([tally.idleClosed, tally.reconnects, tally.reasons]).toEqual([0, 0, {}])
})

test('an answer other than 200 is a failed request, with its reason', async () => {
  const load = await loadOn((_, response) => void response.writeHead(503, { 'content-length': 7 }).end('not now'))
  const client = keepAliveClient(load, 0)
  await vi.waitUntil(() => load.counters.read().failed > 0)
  load.halt()
  await client
  expect(load.counters.read().requests).toBe(0)
  expect(Object.keys(load.counters.read().reasons)).toEqual(['failed: status 503: not now'])
})

test('a reader notices a revision that went back', async () => {
  const load = await loadOn(answerWith(5, 6, 4))
  const client = keepAliveClient(load, 0)
  await vi.waitUntil(() => load.counters.read().requests >= 4)
  load.halt()
  await client
  expect(load.counters.read().revisionsDisordered).toBe(1)
})

test('a request on an idle connection that is just closed is counted and sent again', async () => {
  let requests = 0
  const load = await loadOn((request, response) => {
    requests += 1
    if (requests === 2) request.socket.resetAndDestroy()
    else response.end('{"revision":1}')
  })
  const connection = new KeptConnection(load)
  await connection.send({ method: 'GET', path: '/' })
  expect((await connection.send({ method: 'GET', path: '/' })).status).toBe(200)
  connection.close()
  expect(requests).toBe(3)
  expect(load.counters.read()).toMatchObject({ idleClosed: 1, reconnects: 1, failed: 0 })
})

test('it is sent again only once: the second failure counts', async () => {
  let requests = 0
  const load = await loadOn((request, response) => {
    requests += 1
    if (requests > 1) request.socket.resetAndDestroy()
    else response.end('{"revision":1}')
  })
  const connection = new KeptConnection(load)
  await connection.send({ method: 'GET', path: '/' })
  await expect(connection.send({ method: 'GET', path: '/' })).rejects.toMatchObject({ kind: 'failed' })
  connection.close()
  expect(requests).toBe(3)
})

test('a connection that the server closed in peace is opened anew, and that is no idle close', async () => {
  const load = await loadOn((_, response) => void response.setHeader('connection', 'close').end('{}'))
  const connection = new KeptConnection(load)
  await connection.send({ method: 'GET', path: '/' })
  await connection.send({ method: 'GET', path: '/' })
  connection.close()
  expect(load.counters.read()).toMatchObject({ idleClosed: 0, reconnects: 1 })
})

test('a refused connection is counted as refused', async () => {
  const load = await loadOn(() => {})
  server?.close()
  const client = freshClient(load, 0)
  await vi.waitUntil(() => load.counters.read().refused > 0)
  load.halt()
  await client
  expect(load.counters.read()).toMatchObject({ failed: 0, reset: 0 })
})

test('an answer that breaks off is counted as reset', async () => {
  const load = await loadOn((request, response) => {
    response.writeHead(200, { 'content-length': 10 }).write('half', () => request.socket.resetAndDestroy())
  })
  const client = freshClient(load, 0)
  await vi.waitUntil(() => load.counters.read().reset > 0)
  load.halt()
  await client
  expect(load.counters.read().failed).toBe(0)
})

test('the stall is the longest pause between two answers, one that still lasts included', () => {
  let now = 0
  const stall = new StallMeter(() => now)
  for (const at of [10, 15, 45, 50]) {
    now = at
    stall.answered()
  }
  now = 60
  expect(stall.takeLongest()).toBe(30)
  now = 150
  expect(stall.takeLongest()).toBe(100)
  now = 151
  stall.answered()
  // The pause that began before the window counts in it too: it ended there.
  expect(stall.takeLongest()).toBe(101)
})

test('writes: a revision given twice, one that goes back and one that is missing are all noticed', () => {
  const counters = new Counters()
  const ledger = new WriteLedger(counters)
  ledger.acknowledged('a', 'k1', 'v', 1)
  ledger.acknowledged('b', 'k2', 'v', 2)
  expect(counters.read()).toMatchObject({ writesAcknowledged: 2, writesDuplicated: 0, revisionsDisordered: 0 })
  ledger.acknowledged('a', 'k3', 'v', 2)
  expect(counters.read()).toMatchObject({ writesDuplicated: 1, revisionsDisordered: 0 })
  ledger.acknowledged('b', 'k4', 'v', 1.5)
  expect(counters.read()).toMatchObject({ revisionsDisordered: 1 })
  ledger.acknowledged('c', 'k5', 'v', Number.NaN)
  expect(counters.read()).toMatchObject({ revisionsDisordered: 2 })
})

test('writes: what cannot be read back with its value and revision is lost', async () => {
  const counters = new Counters()
  const ledger = new WriteLedger(counters)
  const stored: Record<string, [number, string, string]> = {
    fine: [200, '1', 'v'],
    gone: [404, '', ''],
    older: [200, '2', 'v'],
    other: [200, '4', 'w'],
  }
  for (const [i, key] of Object.keys(stored).entries()) ledger.acknowledged('w', key, 'v', i + 1)
  stored.older = [200, '1', 'v']
  await ledger.verify(() => async (key): Promise<Answer> => {
    const [status, revision, body] = stored[key] ?? [500, '', '']
    return { status, headers: new Map([['revision', revision]]), body: Buffer.from(body) }
  })
  expect(counters.read().writesLost).toBe(3)
})

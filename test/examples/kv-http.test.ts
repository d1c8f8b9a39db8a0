import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BODY_MAX_BYTES, kvHandler, SLOW_MAX_MS } from '../../examples/kv-http.js'
import { KvStore } from '../../examples/kv-store.js'

let directory: string
let store: KvStore
let server: Server
let base: string
let healthy: boolean

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kv-http-'))
  store = await KvStore.open(directory)
  healthy = true
  await serve(kvHandler({ store, buildId: 'b7', reason: 'coldStart', healthy: () => healthy }))
})
afterEach(async () => {
  await stopServing()
  await store.close()
  await rm(directory, { recursive: true, force: true })
})

async function serve(handler: ReturnType<typeof kvHandler>): Promise<void> {
  server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function stopServing(): Promise<void> {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}

const put = (key: string, body: string | Uint8Array) => fetch(`${base}/kv/${key}`, { method: 'PUT', body })

/** Sends raw bytes and returns everything that comes back until the server closes. */
async function raw(...parts: string[]): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  for (const part of parts) socket.write(part)
  return text(socket)
}

describe('/kv', () => {
  test('PUT answers with the revision, GET with the value and its revision', async () => {
    const first = await put('a', 'one')
    expect([first.status, await first.json()]).toEqual([200, { revision: 1 }])
    expect(await (await put('a', 'two')).json()).toEqual({ revision: 2 })
    const got = await fetch(`${base}/kv/a`)
    expect([got.status, got.headers.get('revision'), await got.text()]).toEqual([200, '2', 'two'])
    const head = await fetch(`${base}/kv/a`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '3', ''])
  })

  test('keys are percent-decoded and may hold slashes; values are bytes', async () => {
    const value = Uint8Array.from({ length: 256 }, (_, i) => i)
    await put('a%2Fb/%E2%98%83', value)
    expect(new Uint8Array(await (await fetch(`${base}/kv/a/b/☃`)).arrayBuffer())).toEqual(value)
  })

  test('the 200 of a PUT waits for the write to be on disk (INV-03)', async () => {
    const order: string[] = []
    let reachDisk = (_revision: number) => {}
    const disk = new EventEmitter()
    const asked = once(disk, 'write')
    const slowDisk = {
      put: () => {
        disk.emit('write')
        return new Promise<number>((resolve) => {
          reachDisk = resolve
        })
      },
    } as unknown as KvStore
    await stopServing()
    await serve(kvHandler({ store: slowDisk, buildId: '', reason: '', healthy: () => true }))
    const answered = put('a', 'v').then(async (answer) => {
      order.push('answered')
      return answer.json()
    })
    await asked
    // Another request is answered meanwhile, so the server is not merely busy.
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
    order.push('on disk')
    reachDisk(9)
    expect(await answered).toEqual({ revision: 9 })
    expect(order).toEqual(['on disk', 'answered'])
  })

  test('a missing key is 404, an impossible one 400, another method 405', async () => {
    expect((await fetch(`${base}/kv/none`)).status).toBe(404)
    expect((await put('', 'v')).status).toBe(400)
    expect((await put('%ff', 'v')).status).toBe(400)
    const deleted = await fetch(`${base}/kv/a`, { method: 'DELETE' })
    expect([deleted.status, deleted.headers.get('allow')]).toEqual([405, 'GET, HEAD, PUT'])
  })

  test('a value of the limit is taken, one byte more is refused with 413', async () => {
    expect((await put('a', Buffer.alloc(BODY_MAX_BYTES, 1))).status).toBe(200)
    expect((await put('a', Buffer.alloc(BODY_MAX_BYTES + 1, 2))).status).toBe(413)
    expect((await store.get('a'))?.value.byteLength).toBe(BODY_MAX_BYTES)
    expect(store.revision).toBe(1)
  })

  test('a body that grows too large without announcing it is refused with 413, and the answer is not lost by a reset', async () => {
    const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`
    const answer = await raw(
      'PUT /kv/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
      ...[chunk, chunk, chunk, chunk],
      '0\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 413 .*connection: close/is)
    expect(answer.endsWith('}\n')).toBe(true)
    expect(store.revision).toBe(0)
  })

  test('an announced body that is too large is refused before it is sent', async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write(`PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY_MAX_BYTES + 1}\r\n\r\n`)
    const [head] = (await once(socket, 'data')) as [Buffer]
    expect(head.toString()).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  test('a body that breaks off is not written', async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write('PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
    const [request] = (await once(server, 'request')) as [IncomingMessage]
    // Not once(): it would listen for the request's 'error' too, and so turn the break-off into a rejection of its own.
    const closed = new Promise((resolve) => request.on('close', resolve))
    socket.destroy()
    await closed
    expect((await fetch(`${base}/kv/a`)).status).toBe(404)
    expect(store.revision).toBe(0)
  })

  test('a closed store answers 503, and nothing is acknowledged', async () => {
    await store.close()
    expect((await put('a', 'v')).status).toBe(503)
    expect((await fetch(`${base}/kv/a`)).status).toBe(503)
  })

  test('concurrent writers all get different revisions', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, async (_, i) => (await put(`k${i}`, 'v')).text()))
    const revisions = answers.map((answer): number => JSON.parse(answer).revision)
    expect(revisions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
  })
})

test('/ tells who serves', async () => {
  await put('a', 'v')
  expect(await (await fetch(`${base}/`)).json()).toEqual({
    pid: process.pid,
    buildId: 'b7',
    revision: 1,
    reason: 'coldStart',
  })
})

test('/healthz is 200 while healthy and 503 otherwise', async () => {
  expect((await fetch(`${base}/healthz`)).status).toBe(200)
  healthy = false
  expect((await fetch(`${base}/healthz`)).status).toBe(503)
})

test('/slow answers after its time and takes only a sane one', async () => {
  expect(await (await fetch(`${base}/slow?ms=5`)).json()).toEqual({ sleptMs: 5 })
  for (const query of ['', '?ms=', '?ms=-1', '?ms=soon', `?ms=${SLOW_MAX_MS + 1}`, '?ms=Infinity']) {
    expect((await fetch(`${base}/slow${query}`)).status, query).toBe(400)
  }
})

test('unknown paths are 404, other methods 405, and the connection stays usable', async () => {
  expect((await fetch(`${base}/nowhere`)).status).toBe(404)
  expect((await fetch(`${base}/`, { method: 'POST', body: 'x' })).status).toBe(405)
  const answers = await raw(
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx',
    'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  )
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 405', 'HTTP/1.1 200'])
})

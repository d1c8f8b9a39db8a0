import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { createAdaptorServer } from '@hono/node-server'
import fastify from 'fastify'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { farDeadline, listenerRig, until } from './rig.js'

/** The little of express that this test uses: the package brings no types. */
interface ExpressApp extends RequestListener {
  get(path: string, handler: (request: IncomingMessage, response: ServerResponse) => void): void
}
const express = createRequire(import.meta.url)('express') as () => ExpressApp

/** One answer that waits until it is released, however the framework spells it. */
class Latch {
  readonly #events = new EventEmitter()
  readonly entered = once(this.#events, 'entered')
  readonly #released = once(this.#events, 'released')
  release(): void {
    this.#events.emit('released')
  }
  async pass(): Promise<string> {
    this.#events.emit('entered')
    await this.#released
    return 'slow'
  }
}

const frameworks: Record<string, (latch: Latch) => Promise<Server>> = {
  async express(latch) {
    const app = express()
    app.get('/', (_request, response) => void response.end('{"ok":true}'))
    app.get('/slow', async (_request, response) => void response.end(await latch.pass()))
    return createServer(app)
  },
  async fastify(latch) {
    const app = fastify()
    app.get('/', async () => ({ ok: true }))
    app.get('/slow', async () => await latch.pass())
    await app.ready()
    return app.server
  },
  async hono(latch) {
    const app = new Hono()
    app.get('/', (context) => context.json({ ok: true }))
    app.get('/slow', async (context) => context.text(await latch.pass()))
    return createAdaptorServer({ fetch: app.fetch }) as Server
  },
}

describe.each(Object.entries(frameworks))('%s', (_name, make) => {
  test('keep-alive survives stop and resume, slow answers finish with Connection: close', async () => {
    const rig = listenerRig()
    const latch = new Latch()
    const handle = rig.attach(await make(latch))
    await handle.startAccepting()
    const [idle, slow] = [await rig.connect(), await rig.connect()]
    idle.get()
    expect(await idle.answer()).toMatchObject({ status: 200, body: '{"ok":true}' })
    slow.get('/slow')
    await latch.entered
    const draining = handle.drain({ deadline: farDeadline() })
    await until(() => handle.connections().parked === 1)
    expect(handle.connections()).toEqual({ open: 2, inFlight: 1, idle: 1, parked: 1 })
    idle.get()
    latch.release()
    expect(await slow.answer()).toMatchObject({ body: 'slow', headers: { connection: 'close' } })
    expect(await draining).toMatchObject({ inFlight: 0 })
    await handle.resume()
    expect(await idle.answer()).toMatchObject({ status: 200, headers: { connection: 'keep-alive' } })
    const fresh = await rig.connect()
    fresh.get()
    expect((await fresh.answer()).status).toBe(200)
  })
})

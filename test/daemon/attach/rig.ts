/** A bound listener with an attached server on it, and what it takes to leave nothing behind. */
import { EventEmitter, once } from 'node:events'
import { createServer, Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Server } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { type AttachedServer, type AttachOptions, attachServer } from '../../../src/daemon/attach/attach-server.js'
import { type BoundListener, bindListener } from '../../../src/os/listeners.js'
import { connectMany, connectRaw, type RawClient } from './raw-client.js'

export const BACKLOG = 1024

export interface Rig {
  readonly bound: BoundListener
  readonly port: number
  attach(server: Server, options?: AttachOptions): AttachedServer
  connect(options?: { secure?: boolean }): Promise<RawClient>
  connectMany(count: number): Promise<RawClient[]>
}

const NODES_OWN_KEEP_ALIVE_MS = createServer().keepAliveTimeout

/** With the keep-alive time of Node's own a machine that stands still for it closes what a test holds open. */
const isImpatient = (server: Server): server is HttpServer =>
  server instanceof HttpServer && server.keepAliveTimeout === NODES_OWN_KEEP_ALIVE_MS

export function listenerRig(): Rig {
  const bound = bindListener({ name: 'http', address: '127.0.0.1:0', backlog: BACKLOG })
  const port = (bound.address as { port: number }).port
  const clients: RawClient[] = []
  const handles: AttachedServer[] = []
  onTestFinished(async () => {
    for (const client of clients) client.close()
    for (const handle of handles) await closeAll(handle)
    bound.close()
  })
  return {
    bound,
    port,
    attach(server, options) {
      if (isImpatient(server)) server.keepAliveTimeout = 120_000
      const handle = attachServer({ name: 'http', fd: bound.fd, backlog: BACKLOG }, server, options)
      handles.push(handle)
      return handle
    },
    async connect(options) {
      const client = await connectRaw({ port, ...options })
      clients.push(client)
      return client
    },
    async connectMany(count) {
      const many = await connectMany(count, { port })
      clients.push(...many)
      return many
    },
  }
}

async function closeAll(handle: AttachedServer): Promise<void> {
  await handle.stopAccepting()
  if ('closeAllConnections' in handle.server) (handle.server as HttpServer).closeAllConnections()
  else await until(() => handle.connections().open === 0)
}

/** Requests that wait until the test answers them; `/` is answered at once. */
export class Gate extends EventEmitter {
  readonly held: { request: IncomingMessage; response: ServerResponse }[] = []

  readonly handler = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === '/held') {
      this.held.push({ request, response })
      this.emit('held')
      return
    }
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString('latin1')
    })
    request.on('end', () => {
      const text = `${request.method} ${request.url} ${body.length}`
      response.end(text)
    })
  }

  async holding(count: number): Promise<void> {
    while (this.held.length < count) await once(this, 'held')
  }

  answer(body = 'done'): void {
    this.held.shift()?.response.end(body)
  }
}

export const farDeadline = (): number => performance.now() + 30_000

/** Turns of the loop until a fact holds; the test's own timeout bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await nextTurn()
}

/** Enough turns for a byte that is to be read to have been read. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn()
}

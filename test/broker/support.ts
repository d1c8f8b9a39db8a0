/** One broker, one backend with both its endpoints, and clients: in this process, in a directory of their own. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Backend,
  type BackendOptions,
  type BackendReport,
  type Broker,
  type BrokerOptions,
  type BrokerReport,
  type ConnectOptions,
  connectClient,
  serveBackend,
  serveBroker,
} from '../../src/broker/index.js'
import { later } from './cleanup.js'
import { type RawOffer, rawBackend } from './raw.js'

export function privateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hb-'))
  chmodSync(directory, 0o700)
  later(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface Paths {
  readonly broker: string
  readonly handoff: string
  readonly pipe: string
}
export function pathsIn(directory: string): Paths {
  return { broker: join(directory, 'b'), handoff: join(directory, 'h'), pipe: join(directory, 'p') }
}

/** The service: says who it is and echoes. */
export function echo(socket: Socket, name: string): void {
  socket.on('error', () => {})
  socket.on('data', (chunk) => socket.write(`${name}:${chunk}`))
}

export async function listenPipe(path: string, serve: (socket: Socket) => void): Promise<Server> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return server
}

export interface Setup {
  readonly paths: Paths
  readonly broker: Broker
  readonly backend: Backend | null
  readonly reports: BrokerReport[]
  readonly offers: BackendReport[]
  readonly adopted: Socket[]
  connect(options?: Partial<ConnectOptions>): ReturnType<typeof connectClient>
  /** Resolves with the next report of a kind. */
  report<K extends BrokerReport['kind']>(kind: K): Promise<Extract<BrokerReport, { kind: K }>>
  offer<K extends BackendReport['kind']>(kind: K): Promise<Extract<BackendReport, { kind: K }>>
}

export interface SetupOptions {
  readonly broker?: Partial<BrokerOptions>
  /** False: nobody listens on the handoff endpoint. */
  readonly backend?: Partial<BackendOptions> | false
  /** A backend by hand instead: gets each offer once it has been read. */
  readonly raw?: (offer: RawOffer) => void
  /** How an adopted connection is served. Default: echo. */
  readonly serve?: (socket: Socket) => void
}

export async function setup(options: SetupOptions = {}): Promise<Setup> {
  const paths = pathsIn(privateDirectory())
  const reports = watched<BrokerReport>()
  const offers = watched<BackendReport>()
  const adopted: Socket[] = []
  await listenPipe(paths.pipe, (socket) => echo(socket, 'plain'))
  if (options.raw !== undefined) rawBackend(paths.handoff, options.raw)
  const backend =
    options.backend === false || options.raw !== undefined
      ? null
      : await serveBackend({
          endpoint: paths.handoff,
          onConnection: (socket) => {
            adopted.push(socket)
            socket.on('error', () => {})
            const serve = options.serve ?? ((passed) => echo(passed, 'adopted'))
            serve(socket)
          },
          observe: offers.push,
          ...options.backend,
        })
  const broker = await serveBroker({
    controlSocket: paths.broker,
    services: { kv: { version: '1.2.3', backendPipe: paths.pipe, handoffEndpoint: paths.handoff } },
    observe: reports.push,
    ...options.broker,
  })
  later(async () => {
    for (const socket of adopted) socket.destroy()
    await broker.close()
    await backend?.close()
  })
  return {
    paths,
    broker,
    backend,
    reports: reports.list,
    offers: offers.list,
    adopted,
    report: reports.next as Setup['report'],
    offer: offers.next as Setup['offer'],
    async connect(extra = {}) {
      const connected = await connectClient({ broker: paths.broker, service: 'kv', wantedVersion: '1.2.3', ...extra })
      later(() => connected.socket.destroy())
      connected.socket.on('error', () => {})
      return connected
    },
  }
}

function watched<R extends { readonly kind: string }>() {
  const list: R[] = []
  const waiting: { kind: string; resolve: (report: R) => void }[] = []
  return {
    list,
    push(report: R) {
      list.push(report)
      const at = waiting.findIndex(({ kind }) => kind === report.kind)
      if (at >= 0) waiting.splice(at, 1)[0]?.resolve(report)
    },
    next: (kind: string) => {
      const seen = list.find((report) => report.kind === kind)
      return seen === undefined ? new Promise<R>((resolve) => waiting.push({ kind, resolve })) : Promise.resolve(seen)
    },
  }
}

/** Everything readable until `text` has come; rejects at the end of the stream. */
export function readUntil(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = ''
    const done = (act: () => void): void => {
      socket.off('data', onData)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      act()
    }
    const onData = (chunk: Buffer): void => {
      seen += chunk
      if (seen.includes(text)) done(() => resolve(seen))
    }
    const onEnd = (): void => done(() => reject(new Error(`the stream ended after '${seen}'`)))
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('close', onEnd)
    socket.resume()
  })
}

export async function ask(socket: Socket, question: string): Promise<string> {
  const answer = readUntil(socket, question)
  socket.write(question)
  return await answer
}

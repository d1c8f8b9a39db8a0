/** Serves a registry over HTTP: on the loopback interface or a Unix socket, nowhere else. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { observeError } from '../errors/observe.js'
import { type StagedUnixServer, stageUnixServer } from '../os/unix-socket.js'
import { checkMetricsAddress } from './metrics-address.js'

export interface MetricsServer {
  /** `127.0.0.1:9464` or `unix:/path`. */
  readonly address: string
  close(): Promise<void>
}

/** @throws HandoffError ERR_HANDOFF_USAGE_METRICS_ADDRESS, ERR_HANDOFF_USAGE_ADDRESS, ERR_HANDOFF_INSPECT_LISTEN */
export async function serveMetrics(registry: Registry, text: string): Promise<MetricsServer> {
  const address = checkMetricsAddress(text)
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || !/^\/(metrics)?(\?|$)/.test(request.url ?? '/')) {
      response.writeHead(404).end()
      return
    }
    registry.metrics().then(
      (body) => response.writeHead(200, { 'content-type': registry.contentType }).end(body),
      () => response.writeHead(500).end(),
    )
  })
  // Whoever scrapes must not keep a supervisor alive.
  server.unref()
  const staged = address.kind === 'unix' ? stageUnixServer(address.path) : null
  await listen(server, staged === null ? { host: '127.0.0.1', ...address } : { fd: staged.fd }, text)
  staged?.publish()
  return { address: staged === null ? addressOf(server) : text, close: () => close(server, staged) }
}

async function listen(server: Server, where: object, text: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(where, resolve))
  } catch (error) {
    throw observeError('ERR_HANDOFF_INSPECT_LISTEN', [text, (error as NodeJS.ErrnoException).code ?? '?'], error)
  }
}

function addressOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
}

async function close(server: Server, staged: StagedUnixServer | null): Promise<void> {
  staged?.unpublish()
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}

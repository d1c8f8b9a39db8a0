/** The server-wide timers of HTTP, held while nobody reads. */
import type { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'

/**
 * `headersTimeout` and `requestTimeout` run from the moment a connection is accepted and would answer an unread one with
 * an unsolicited 408. Half-arrived requests are bounded by the drain's deadline meanwhile. @returns the undo
 */
export function holdServerTimeouts(server: Server): () => void {
  if (!('headersTimeout' in server)) return () => {}
  const http = server as HttpServer
  const { headersTimeout, requestTimeout } = http
  http.headersTimeout = 0
  http.requestTimeout = 0
  return () => {
    http.headersTimeout = headersTimeout
    http.requestTimeout = requestTimeout
  }
}

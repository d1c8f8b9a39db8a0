/** The server-wide timers of HTTP, held while nobody reads. */
import type { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'

/** Who holds a server's timers, and what they were before the first of them. */
const held = new WeakMap<HttpServer, { holders: number; headersTimeout: number; requestTimeout: number }>()

/**
 * `headersTimeout` and `requestTimeout` run from the moment a connection is accepted and would answer an unread one with
 * an unsolicited 408. Half-arrived requests are bounded by the drain's deadline meanwhile. A drain and an adoption may hold
 * them at the same time: they run again when the last one lets go. @returns the undo, which counts once
 */
export function holdServerTimeouts(server: Server): () => void {
  if (!('headersTimeout' in server)) return () => {}
  const http = server as HttpServer
  const known = held.get(http)
  const { headersTimeout, requestTimeout } = known ?? http
  held.set(http, { holders: (known?.holders ?? 0) + 1, headersTimeout, requestTimeout })
  http.headersTimeout = 0
  http.requestTimeout = 0
  let isHeld = true
  return () => {
    const now = held.get(http)
    if (!isHeld || now === undefined) return
    isHeld = false
    now.holders -= 1
    if (now.holders > 0) return
    held.delete(http)
    http.headersTimeout = headersTimeout
    http.requestTimeout = requestTimeout
  }
}

/** `Connection: close` on the answers given while draining, and the way back. */
import type { ServerResponse } from 'node:http'

export interface ClosingMarks {
  /** Marks the newest answer of a connection and clears the older ones, which would cut off those behind them. */
  markNewest(unanswered: readonly ServerResponse[]): void
  /** Clears every mark whose head has not been sent. */
  clear(): void
}

/** Node writes the header itself when the response may not keep the connection, also under an explicit `writeHead`. */
export function createClosingMarks(): ClosingMarks {
  const marked = new Set<ServerResponse>()
  const unmark = (response: ServerResponse): void => {
    if (marked.delete(response) && !response.headersSent) response.shouldKeepAlive = true
  }
  return {
    markNewest(unanswered) {
      for (const older of unanswered.slice(0, -1)) unmark(older)
      const newest = unanswered.at(-1)
      // A response that does not keep the connection anyway needs no mark and must not be "restored" later.
      if (newest === undefined || newest.headersSent || !newest.shouldKeepAlive) return
      newest.shouldKeepAlive = false
      marked.add(newest)
      newest.once('close', () => marked.delete(newest))
    },
    clear() {
      for (const response of marked) unmark(response)
    },
  }
}

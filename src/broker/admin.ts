/** The admin verbs that say something about handoffs: how it stands, and the counters (W15). */
import { type AdminReply, AdminReplyKind, type AdminRequest, AdminVerb } from '../wire/broker/messages.js'

export interface AdminFacts {
  /** Counters by name and label. */
  counters(): Readonly<Record<string, number>>
  openMetrics(): string
  readonly connections: () => number
  readonly accepting: () => boolean
}

const text = (body: string, exitCode = 0): AdminReply => ({
  kind: AdminReplyKind.text,
  body,
  exitCode,
  contentType: 'text/plain; charset=utf-8',
})

export function adminReply(request: AdminRequest, facts: AdminFacts): AdminReply {
  switch (request.verb) {
    case AdminVerb.status: {
      const status = { accepting: facts.accepting(), connections: facts.connections(), counters: facts.counters() }
      if (request.json) {
        return { kind: AdminReplyKind.json, body: JSON.stringify(status), exitCode: 0, contentType: 'application/json' }
      }
      const lines = Object.entries(status.counters).map(([name, count]) => `${name} ${count}`)
      return text([`accepting ${status.accepting}`, `connections ${status.connections}`, ...lines].join('\n'))
    }
    case AdminVerb.healthz:
      return text('ok')
    case AdminVerb.readyz:
      return facts.accepting() ? text('ready') : text('not accepting', 1)
    case AdminVerb.metrics:
      return {
        kind: AdminReplyKind.openMetrics,
        body: facts.openMetrics(),
        exitCode: 0,
        contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
      }
    default:
      return text('this broker does not answer that verb', 1)
  }
}

/**
 * The admin verbs, on the socket that clients use: how the broker stands, what it was told, and the counters (W15).
 *
 * Bodies are this broker's own words: the protocol fixes verbs, kinds and exit codes, not texts. Nothing here writes files
 * on a peer's word, so `output_path` is not followed and the dump travels in the reply.
 */
import type { BrokerPolicy } from '../../machines/broker/policy.js'
import { reasonOf } from '../os/errno.js'
import { native } from '../os/native.js'
import { dialOnce } from '../os/unix-socket.js'
import { type AdminReply, AdminReplyKind, type AdminRequest, AdminVerb } from '../wire/broker/messages.js'
import type { LaneView } from './breakers.js'
import type { BrokerService, FindService } from './services.js'

export interface AdminFacts {
  controlSocket(): string
  /** Counters by name and label. */
  counters(): Readonly<Record<string, number>>
  openMetrics(): string
  connections(): number
  /** Tokens given and not yet consumed. */
  tokens(): number
  accepting(): boolean
  /** Null when services come and go and cannot be listed. */
  services(): readonly string[] | null
  /** May throw where a service's definition cannot be read. */
  readonly find: FindService
  lane(endpoint: string): LaneView
  policy(): BrokerPolicy
  /** False when this broker is not to be stopped that way. */
  shutdown(drainDeadlineMs: number): boolean
}

type Facts = Readonly<Record<string, unknown>>

const text = (body: string, exitCode = 0): AdminReply => ({
  kind: AdminReplyKind.text,
  body,
  exitCode,
  contentType: 'text/plain; charset=utf-8',
})

/** The same facts, for programs or for people. */
function told(request: AdminRequest, facts: Facts, exitCode = 0): AdminReply {
  if (!request.json) return text(lines(facts).join('\n'), exitCode)
  return { kind: AdminReplyKind.json, body: JSON.stringify(facts), exitCode, contentType: 'application/json' }
}

function lines(facts: Facts, prefix = ''): string[] {
  return Object.entries(facts).flatMap(([name, value]) => {
    if (Array.isArray(value)) return value.length === 0 ? [] : [`${prefix}${name} ${value.join(', ')}`]
    if (typeof value === 'object' && value !== null) return lines(value as Facts, `${prefix}${name}.`)
    return [`${prefix}${name} ${value}`]
  })
}

export function adminReply(request: AdminRequest, facts: AdminFacts): AdminReply {
  switch (request.verb) {
    case AdminVerb.status:
      return told(request, {
        accepting: facts.accepting(),
        connections: facts.connections(),
        counters: facts.counters(),
      })
    case AdminVerb.dump:
      return told(request, { ...status(facts), services: servicesOf(request, facts), policy: facts.policy() })
    case AdminVerb.listInstances:
      return told(request, { instances: [`${facts.controlSocket()} pid ${process.pid}`] })
    case AdminVerb.healthz:
      return text('ok')
    case AdminVerb.readyz:
      return facts.accepting() ? text('ready') : text('not accepting', 1)
    case AdminVerb.backendHealth: {
      const services = servicesOf(request, facts)
      return told(request, services, Object.values(services).every(({ healthy }) => healthy) ? 0 : 1)
    }
    case AdminVerb.config:
      return told(request, {
        socket: facts.controlSocket(),
        services: facts.services() ?? 'by lookup',
        policy: facts.policy(),
      })
    case AdminVerb.diagnose: {
      const problems = problemsOf(request, facts)
      return told(request, { ...status(facts), problems }, problems.length === 0 ? 0 : 1)
    }
    case AdminVerb.metrics:
      return {
        kind: AdminReplyKind.openMetrics,
        body: facts.openMetrics(),
        exitCode: 0,
        contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
      }
    case AdminVerb.shutdown:
      return facts.shutdown(Number(request.drainDeadlineMs))
        ? text('shutting down')
        : text('this broker is not stopped by its clients', 1)
    default:
      return text('this broker does not know that verb', 1)
  }
}

const status = (facts: AdminFacts) => ({
  socket: facts.controlSocket(),
  pid: process.pid,
  accepting: facts.accepting(),
  connections: facts.connections(),
  tokens: facts.tokens(),
  counters: facts.counters(),
})

interface Health extends Facts {
  readonly healthy: boolean
}

function servicesOf({ serviceName }: AdminRequest, facts: AdminFacts): Readonly<Record<string, Health>> {
  const names = serviceName === '' ? (facts.services() ?? []) : [serviceName]
  return Object.fromEntries(names.map((name) => [name, healthOf(name, facts)]))
}

function healthOf(name: string, facts: AdminFacts): Health {
  let service: BrokerService | null
  try {
    service = facts.find(name)
  } catch (error) {
    return { healthy: false, problem: reasonOf(error) }
  }
  if (service === null) return { healthy: false, problem: 'no such service' }
  const { version, backendPipe, handoffEndpoint } = service
  const answers = dials(backendPipe)
  const lane = handoffEndpoint === undefined ? null : facts.lane(handoffEndpoint)
  return {
    healthy: answers === 'yes' && lane?.open !== true,
    version,
    backend: backendPipe,
    answers,
    ...(lane === null ? {} : { handoff: handoffEndpoint, handoffsInFlight: lane.inFlight, breakerOpen: lane.open }),
  }
}

/** connect(2) and close: what a client would meet. A handoff endpoint is not dialled, its breaker knows better. */
function dials(path: string): string {
  try {
    const outcome = dialOnce(path)
    if (!outcome.ok) return outcome.why
    native.close(outcome.fd)
    return 'yes'
  } catch (error) {
    // No descriptor to ask with.
    return reasonOf(error)
  }
}

function problemsOf(request: AdminRequest, facts: AdminFacts): string[] {
  const problems = facts.accepting() ? [] : ['no clients are accepted']
  for (const [name, health] of Object.entries(servicesOf(request, facts))) {
    if (health.healthy) continue
    if (health.problem !== undefined) problems.push(`${name}: ${health.problem}`)
    else if (health.answers !== 'yes') problems.push(`${name}: ${health.backend} is ${health.answers}`)
    else problems.push(`${name}: handoffs failed, clients reconnect until the breaker closes`)
  }
  return problems
}

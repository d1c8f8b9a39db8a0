/**
 * Every limit of the broker protocol: unit, default, bounds, and why it is what it is. Machines take their delays from a
 * validated {@link BrokerPolicy}; nothing here waits, allocates or counts without a bound (INV-25).
 */
import type { Limit as HandoffLimit } from '../handoff/policy.js'

export interface Limit extends Omit<HandoffLimit, 'unit'> {
  readonly unit: HandoffLimit['unit'] | 'bytes'
}

const MINUTE = 60_000

export const BROKER_LIMITS = {
  // ---- broker, one client connection ----
  helloTimeoutMs: {
    unit: 'ms',
    default: 30_000,
    min: 10,
    max: 10 * MINUTE,
    why: 'from accept to a whole Hello, absolute: a silent client costs one descriptor for this long, nobody else waits (W2)',
  },
  replyTimeoutMs: {
    unit: 'ms',
    default: 5_000,
    min: 10,
    max: MINUTE,
    why: 'a reply of a few hundred bytes fits any socket buffer; only a client that reads nothing gets here',
  },
  handoffBudgetMs: {
    unit: 'ms',
    default: 1_500,
    min: 10,
    max: MINUTE,
    why: 'whole handoff from reply to EVENT, absolute: below the 2 s after which clients stop waiting (W4)',
  },
  dialTimeoutMs: {
    unit: 'ms',
    default: 500,
    min: 5,
    max: MINUTE,
    why: 'connect() to an endpoint with a full backlog hangs; part of the handoff budget (W2)',
  },
  ackTimeoutMs: {
    unit: 'ms',
    default: 1_000,
    min: 5,
    max: MINUTE,
    why: 'silence of a backend that holds the connection; part of the handoff budget (W4)',
  },
  // ---- broker, all connections together ----
  maxConnections: {
    unit: 'count',
    default: 4_096,
    min: 1,
    max: 1_000_000,
    why: 'client connections at once, each one descriptor; past it Hellos are refused with FD_PRESSURE',
  },
  maxHandoffs: {
    unit: 'count',
    default: 512,
    min: 1,
    max: 100_000,
    why: 'handoffs in flight per backend, each one descriptor more; past it clients reconnect at once',
  },
  tokenTtlMs: {
    unit: 'ms',
    default: 30_000,
    min: 1,
    max: 10 * MINUTE,
    why: 'life of a one-time token (protocol default)',
  },
  maxTokens: {
    unit: 'count',
    default: 1_024,
    min: 1,
    max: 1_000_000,
    why: 'pending tokens at once; a full store gives none and the client reconnects (protocol default)',
  },
  tokenCandidates: {
    unit: 'count',
    default: 16,
    min: 1,
    max: 64,
    why: 'tries for a token that is not pending yet (protocol default)',
  },
  helloRateLimit: {
    unit: 'count',
    default: 256,
    min: 1,
    max: 1_000_000,
    why: 'Hellos per client process and window (protocol default)',
  },
  helloRateWindowMs: {
    unit: 'ms',
    default: 1_000,
    min: 1,
    max: 10 * MINUTE,
    why: 'fixed window of the Hello limit (protocol default)',
  },
  maxRatedPids: {
    unit: 'count',
    default: 4_096,
    min: 1,
    max: 1_000_000,
    why: 'client processes counted at once; the oldest window is forgotten first',
  },
  breakerFailures: {
    unit: 'count',
    default: 8,
    min: 1,
    max: 1_000,
    why: 'failed handoffs per window after which a backend is left alone (protocol default, W7)',
  },
  breakerWindowMs: {
    unit: 'ms',
    default: 30_000,
    min: 1,
    max: 60 * MINUTE,
    why: 'fixed window of the breaker, from its first failure (protocol default, W7)',
  },
  largeHelloBytes: {
    unit: 'bytes',
    default: 64 * 1024 * 1024,
    min: 0,
    max: 4 * 1024 * 1024 * 1024,
    why: 'bodies above 64 KiB being read at once, all clients together: they are refused in the end, but with their request id',
  },
  acceptPauseMs: {
    unit: 'ms',
    default: 50,
    min: 1,
    max: 10_000,
    why: 'pause after an accept that failed for want of descriptors: an error loop would starve the rest',
  },
  drainTimeoutMs: {
    unit: 'ms',
    default: 5_000,
    min: 0,
    max: 10 * MINUTE,
    why: 'exchanges in flight when the broker stops or is replaced; longer than reply and handoff together',
  },
  // ---- backend ----
  offerTimeoutMs: {
    unit: 'ms',
    default: 5_000,
    min: 10,
    max: MINUTE,
    why: 'descriptor and whole offer, absolute (protocol default)',
  },
  goTimeoutMs: {
    unit: 'ms',
    default: 10_000,
    min: 10,
    max: MINUTE,
    why: 'from ACK to the broker’s verdict: above the 5 s the slowest broker of version 1 takes',
  },
  maxOffers: {
    unit: 'count',
    default: 1_024,
    min: 1,
    max: 100_000,
    why: 'handoff connections a backend attends to at once; further ones wait in the backlog',
  },
  // ---- client ----
  clientDialTimeoutMs: {
    unit: 'ms',
    default: 5_000,
    min: 10,
    max: 10 * MINUTE,
    why: 'dialling the broker, a remembered endpoint or the backend',
  },
  clientHelloTimeoutMs: {
    unit: 'ms',
    default: 30_000,
    min: 10,
    max: 10 * MINUTE,
    why: 'Hello and its whole reply, absolute',
  },
  readyTimeoutMs: {
    unit: 'ms',
    default: 2_000,
    min: 10,
    max: MINUTE,
    why: 'a client waits this long for EVENT before it reconnects (protocol default)',
  },
} as const satisfies Record<string, Limit>

export type BrokerLimitName = keyof typeof BROKER_LIMITS

/** All limits with their values; plain numbers, so that it can live in a machine's context. */
export type BrokerPolicy = { readonly [name in BrokerLimitName]: number }

export const DEFAULT_BROKER_POLICY: BrokerPolicy = Object.fromEntries(
  Object.entries(BROKER_LIMITS).map(([name, limit]) => [name, limit.default]),
) as BrokerPolicy

export interface BrokerPolicyProblem {
  readonly name: string
  readonly problem: string
}

/** Fills in defaults, checks bounds and the one order that matters. Never throws: the caller knows the source. */
export function checkBrokerPolicy(values: Partial<Record<string, number>>): {
  policy: BrokerPolicy
  problems: BrokerPolicyProblem[]
} {
  const problems: BrokerPolicyProblem[] = []
  const policy: { [name in BrokerLimitName]: number } = { ...DEFAULT_BROKER_POLICY }
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const limit: Limit | undefined = Object.hasOwn(BROKER_LIMITS, name)
      ? BROKER_LIMITS[name as BrokerLimitName]
      : undefined
    if (limit === undefined) problems.push({ name, problem: 'no such limit' })
    else if (!Number.isInteger(value) || value < limit.min || value > limit.max) {
      problems.push({ name, problem: `must be a whole number from ${limit.min} to ${limit.max} ${limit.unit}` })
    } else policy[name as BrokerLimitName] = value
  }
  // The backend must not give a connection up while the broker may still tell the client to use it (T1).
  if (policy.goTimeoutMs <= policy.handoffBudgetMs) {
    problems.push({ name: 'goTimeoutMs', problem: 'must be longer than handoffBudgetMs' })
  }
  return { policy, problems }
}

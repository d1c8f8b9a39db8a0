/**
 * Every limit of the handoff protocol: unit, default, bounds, and why it is what it is.
 *
 * Machines read their delays from a validated {@link Policy}; the config file, the tests and the bound of INV-08 read
 * this table too, so a number exists once.
 */

export interface Limit {
  readonly unit: 'ms' | 'count'
  readonly default: number
  readonly min: number
  readonly max: number
  readonly why: string
}

const HOUR = 3_600_000

export const LIMITS = {
  deadlineMs: {
    unit: 'ms',
    default: 300_000,
    min: 100,
    max: 24 * HOUR,
    why: 'budget of a whole swap, from the request to the verdict; caps every phase (wire spec: library default)',
  },
  drainGraceMs: {
    unit: 'ms',
    default: 60_000,
    min: 0,
    max: 24 * HOUR,
    why: 'longest the incumbent may finish requests before it seals; never beyond the deadline',
  },
  deadlineSlackMs: {
    unit: 'ms',
    default: 1_000,
    min: 0,
    max: 60_000,
    why: 'what one side adds to the other side’s own deadline before it acts itself (wire spec)',
  },
  livenessMs: {
    unit: 'ms',
    default: 10_000,
    min: 100,
    max: HOUR,
    why: 'silence of a peer that owes a frame; any frame restarts it (wire spec)',
  },
  heartbeatPeriodMs: {
    unit: 'ms',
    default: 2_000,
    min: 20,
    max: 60_000,
    why: 'a sign of life while a hook runs; five fit into the liveness limit (wire spec)',
  },
  sessionIdleMs: {
    unit: 'ms',
    default: 15_000,
    min: 100,
    max: HOUR,
    why: 'a control session with nothing in flight is closed, so that one idle peer pins nobody (wire spec)',
  },
  greetingMs: {
    unit: 'ms',
    default: 5_000,
    min: 100,
    max: HOUR,
    why: 'first Hello of a living incumbent, HelloAck of a supervisor: nothing slow lies before them (wire spec)',
  },
  successorBootMs: {
    unit: 'ms',
    default: 60_000,
    min: 100,
    max: 24 * HOUR,
    why: 'spawn, prepare and Hello of a successor while the incumbent still serves; capped by the deadline',
  },
  prepareAloneMs: {
    unit: 'ms',
    default: 4_000,
    min: 100,
    max: 5_000,
    why: 'prepare under a supervisor that names no deadline: such a one waits 5 s for Hello (wire spec)',
  },
  successorDeadlineMs: {
    unit: 'ms',
    default: 60_000,
    min: 100,
    max: 24 * HOUR,
    why: 'a successor’s own deadline when the supervisor names none; must exceed the supervisor’s (assumption T1)',
  },
  hookCancelGraceMs: {
    unit: 'ms',
    default: 5_000,
    min: 10,
    max: HOUR,
    why: 'how long a cancelled hook may take to settle before the process acts without it',
  },
  copyMs: {
    unit: 'ms',
    default: 15_000,
    min: 10,
    max: HOUR,
    why: 'copying live connections while the incumbent serves; 10,000 take 1 to 4 s on two busy cores (test/bench/connections); past it they stay where they are',
  },
  copyAloneMs: {
    unit: 'ms',
    default: 500,
    min: 10,
    max: 5_000,
    why: 'the same under a supervisor that names no deadline: it waits 5 s for Hello, prepare included (wire spec)',
  },
  cutMs: {
    unit: 'ms',
    default: 2_000,
    min: 10,
    max: 60_000,
    why: 'telling the successor which connections rest: inside the gap; past it none has moved. 10,000 take less than 1 s on two busy cores (test/bench/connections)',
  },
  lingerMs: {
    unit: 'ms',
    default: 10_000,
    min: 0,
    max: 24 * HOUR,
    why: 'how long a committed incumbent stays for connections that could not move; no longer than retireGraceMs allows',
  },
  openBudgetMs: {
    unit: 'ms',
    default: 300_000,
    min: 100,
    max: 24 * HOUR,
    why: 'opening or reopening state; past it the process exits, so that somebody else may try (INV-08)',
  },
  lockPollMs: {
    unit: 'ms',
    default: 25,
    min: 1,
    max: 10_000,
    why: 'pause between two tries for the data-dir lock (wire spec)',
  },
  lockWaitMs: {
    unit: 'ms',
    default: 2_000,
    min: 0,
    max: HOUR,
    why: 'a cold start waits this long for a dying predecessor’s lock: ~85 ms per GB of its memory (measured)',
  },
  exitNoticeMs: {
    unit: 'ms',
    default: 2_000,
    min: 10,
    max: 60_000,
    why: 'from the end of a peer’s socket to the news of its exit: ~85 ms per GB of its memory (measured)',
  },
  confirmMs: {
    unit: 'ms',
    default: 10_000,
    min: 100,
    max: HOUR,
    why: 'Hello on the control path by the process that was told to serve',
  },
  confirmPollMs: {
    unit: 'ms',
    default: 20,
    min: 1,
    max: 10_000,
    why: 'pause between two looks at the control path',
  },
  probationMs: {
    unit: 'ms',
    default: 0,
    min: 0,
    max: 24 * HOUR,
    why: 'how long the sealed incumbent stays warm behind a serving successor; 0 commits at once',
  },
  successorKillGraceMs: {
    unit: 'ms',
    default: 1_000,
    min: 0,
    max: HOUR,
    why: 'between Abort with SIGTERM and SIGKILL of a successor: it blocks the way back to service, so it is short',
  },
  retireGraceMs: {
    unit: 'ms',
    default: 10_000,
    min: 0,
    max: 24 * HOUR,
    why: 'between Commit and SIGTERM of an incumbent that does not exit by itself',
  },
  stopGraceMs: {
    unit: 'ms',
    default: 30_000,
    min: 0,
    max: 24 * HOUR,
    why: 'between SIGTERM and SIGKILL in an orderly stop',
  },
  resumeBudgetMs: {
    unit: 'ms',
    default: 300_000,
    min: 100,
    max: 24 * HOUR,
    why: 'an aborted incumbent must serve again within this; a hung one is killed and started fresh (INV-08)',
  },
  settlePollMs: {
    unit: 'ms',
    default: 100,
    min: 1,
    max: 10_000,
    why: 'pause between two looks of a restarted supervisor while a swap settles without it',
  },
  settleMs: {
    unit: 'ms',
    default: 90_000,
    min: 100,
    max: 24 * HOUR,
    why: 'a journaled process that stays silent this long after a supervisor restart is fenced (killed); longer than a successor’s own deadline',
  },
  respawnBackoffMs: {
    unit: 'ms',
    default: 100,
    min: 1,
    max: HOUR,
    why: 'first pause before a dead primitive is started again; doubles with each failure',
  },
  respawnBackoffMaxMs: {
    unit: 'ms',
    default: 30_000,
    min: 1,
    max: 24 * HOUR,
    why: 'longest pause between two starts',
  },
  crashLoopLimit: {
    unit: 'count',
    default: 8,
    min: 1,
    max: 30,
    why: 'failed starts in a row after which the supervisor says "crash loop" and starts only at the longest pause',
  },
  stableMs: {
    unit: 'ms',
    default: 10_000,
    min: 1,
    max: 24 * HOUR,
    why: 'a primitive that served this long clears the count of failed starts',
  },
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof LIMITS

/** All limits with their values; plain numbers, so that it can live in a machine's context. */
export type Policy = { readonly [name in LimitName]: number }

export interface PolicyProblem {
  readonly name: string
  readonly problem: string
}

export const DEFAULT_POLICY: Policy = Object.fromEntries(
  Object.entries(LIMITS).map(([name, limit]) => [name, limit.default]),
) as Policy

/** Fills in defaults and checks bounds. Never throws: the caller knows where the numbers came from. */
export function checkPolicy(values: Partial<Record<string, number>>): { policy: Policy; problems: PolicyProblem[] } {
  const problems: PolicyProblem[] = []
  const policy: Record<string, number> = { ...DEFAULT_POLICY }
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const limit: Limit | undefined = Object.hasOwn(LIMITS, name) ? LIMITS[name as LimitName] : undefined
    if (limit === undefined) {
      problems.push({ name, problem: 'no such limit' })
    } else if (!Number.isInteger(value) || value < limit.min || value > limit.max) {
      problems.push({ name, problem: `must be a whole number from ${limit.min} to ${limit.max} ${limit.unit}` })
    } else {
      policy[name] = value
    }
  }
  return { policy: policy as Policy, problems }
}

/** Pause before start number `failures + 1`, ms: doubles each time, capped (decision: exponential backoff). */
export function respawnPauseMs(policy: Policy, failures: number): number {
  if (failures >= policy.crashLoopLimit) return policy.respawnBackoffMaxMs
  return Math.min(policy.respawnBackoffMs * 2 ** Math.max(0, failures - 1), policy.respawnBackoffMaxMs)
}

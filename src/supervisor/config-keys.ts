/**
 * Every key handoff.toml knows. The first block is the reference's, name for name and default for default; what follows
 * is ours. Limits take their bounds from the policy table, so a number exists once.
 */
import { LIMITS, type Limit, type LimitName } from '../../machines/handoff/policy.js'

export interface ConfigKey {
  readonly key: string
  /** What a person has to put there, as the end of the sentence "give …". */
  readonly wanted: string
  readonly required?: boolean
}

export const PLAIN_KEYS = [
  { key: 'control_socket', wanted: 'the path of the primitive’s control socket', required: true },
  { key: 'trigger_socket', wanted: 'the path of the socket that swaps are asked for on', required: true },
  { key: 'binary', wanted: 'an executable, a script with a shebang line, or a name on PATH', required: true },
  { key: 'args', wanted: 'an array of strings' },
  { key: 'env', wanted: 'an array of pairs, like [["NAME", "value"]]' },
  { key: 'listeners', wanted: 'an array of tables, like [{ name = "http", addr = "127.0.0.1:8080" }]' },
  { key: 'journal', wanted: 'the path of the journal file' },
  { key: 'history', wanted: 'the path of the log of swaps' },
  { key: 'metrics', wanted: 'a loopback address or a Unix socket, like "127.0.0.1:9464" or "unix:/path"' },
  { key: 'allowed_uids', wanted: 'an array of user ids, like [1000]' },
  { key: 'allowed_binaries', wanted: 'an array of paths or names on PATH' },
  { key: 'cwd', wanted: 'the directory the primitives start in' },
] as const satisfies readonly ConfigKey[]

export const LISTENER_KEYS = [
  { key: 'name', wanted: 'a unique name of letters, digits, dot, dash and underscore', required: true },
  { key: 'addr', wanted: '"127.0.0.1:8080", "[::1]:8080", ":8080" or "unix:/path"', required: true },
  { key: 'backlog', wanted: 'a whole number of connections from 1 to 65535' },
] as const satisfies readonly ConfigKey[]

export const MAX_BACKLOG = 65_535

export interface LimitKey {
  readonly key: string
  readonly limit: LimitName
  /** Milliseconds (or pieces) in one unit of the key. */
  readonly scale: number
  /** Where the reference's supervisor differs from the library's default; in the key's own unit. */
  readonly default?: number
}

const seconds = (key: `${string}_secs`, limit: LimitName, preset?: number): LimitKey => ({
  key,
  limit,
  scale: 1000,
  ...(preset === undefined ? {} : { default: preset }),
})
const plain = (key: string, limit: LimitName): LimitKey => ({ key, limit, scale: 1 })

/** Seconds may be fractions. What each is for stands in `LIMITS`. */
export const LIMIT_KEYS: readonly LimitKey[] = [
  seconds('drain_grace_secs', 'drainGraceMs', 25),
  seconds('deadline_secs', 'deadlineMs', 60),
  seconds('probation_secs', 'probationMs'),
  seconds('linger_secs', 'retireGraceMs'),
  seconds('kill_grace_secs', 'successorKillGraceMs'),
  seconds('stop_grace_secs', 'stopGraceMs'),
  seconds('liveness_secs', 'livenessMs'),
  seconds('greeting_secs', 'greetingMs'),
  seconds('boot_secs', 'successorBootMs'),
  seconds('confirm_secs', 'confirmMs'),
  seconds('open_secs', 'openBudgetMs'),
  seconds('resume_secs', 'resumeBudgetMs'),
  seconds('settle_secs', 'settleMs'),
  seconds('stable_secs', 'stableMs'),
  plain('respawn_backoff_ms', 'respawnBackoffMs'),
  seconds('respawn_backoff_max_secs', 'respawnBackoffMaxMs'),
  plain('crash_loop_limit', 'crashLoopLimit'),
]

export const ALL_KEYS: readonly string[] = [...PLAIN_KEYS.map((k) => k.key), ...LIMIT_KEYS.map((k) => k.key)]

/** The default of a limit in the key's own unit. */
export const defaultOf = (entry: LimitKey): number => entry.default ?? LIMITS[entry.limit].default / entry.scale

/** "a number of seconds from 0.1 to 86400". */
export function wantedLimit(entry: LimitKey): string {
  const limit: Limit = LIMITS[entry.limit]
  const noun =
    limit.unit === 'count' ? 'a whole number' : entry.scale === 1 ? 'whole milliseconds' : 'a number of seconds'
  return `${noun} from ${limit.min / entry.scale} to ${limit.max / entry.scale} (${limit.why})`
}

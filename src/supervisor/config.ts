/**
 * handoff.toml: what the supervisor runs, in the reference's keys plus ours (`config-keys.ts` lists them all).
 *
 * Relative paths are taken from the directory of the config file, not from wherever somebody happened to stand; a
 * `binary` without '/' is a name on PATH. The first thing wrong is reported, with file, line and key.
 */
import { readFileSync } from 'node:fs'
import { checkPolicy, type Policy } from '../../machines/handoff/policy.js'
import { configError } from '../errors/config.js'
import type { HandoffError } from '../errors/handoff-error.js'
import { checkMetricsAddress } from '../observe/metrics-address.js'
import { checkListenerNames, DEFAULT_BACKLOG, parseAddress } from '../os/listeners.js'
import {
  ALL_KEYS,
  defaultOf,
  LIMIT_KEYS,
  LISTENER_KEYS,
  type LimitKey,
  MAX_BACKLOG,
  PLAIN_KEYS,
} from './config-keys.js'
import { ConfigSource, describe, isTable } from './config-source.js'
import type { ListenerSpec, SupervisorOptions } from './types.js'

/** The control socket's sibling where descriptors are given away (wire spec, "Rendezvous socket"). */
const RENDEZVOUS_SUFFIX = '.fds'

export interface SupervisorConfig extends Omit<SupervisorOptions, 'log'> {
  /** The file it came from, absolute. */
  readonly file: string
  readonly triggerSocket: string
  /** Where metrics are served; absent: nowhere. */
  readonly metrics?: string
}

/**
 * Reads and checks a config file. Does not look at the binary: an operator's tool may not even see it.
 * @throws HandoffError `ERR_HANDOFF_USAGE_CONFIG_…`
 */
export function loadConfig(path: string): SupervisorConfig {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw configError(
      'ERR_HANDOFF_USAGE_CONFIG_UNREADABLE',
      [path, (error as NodeJS.ErrnoException).code ?? '?'],
      error,
    )
  }
  return parseConfig(text, path)
}

/** Pure: no file is touched. `path` names the file in errors and is what relative paths are resolved against. */
export function parseConfig(text: string, path: string): SupervisorConfig {
  const source = new ConfigSource(path, text)
  source.refuseUnknown('', ALL_KEYS)
  source.requireAll('', PLAIN_KEYS)
  const journal = source.path('journal')
  const history = source.path('history')
  const metrics = metricsAddress(source)
  const cwd = source.path('cwd')
  return {
    file: source.file,
    controlSocket: source.socket('control_socket', source.at('control_socket'), RENDEZVOUS_SUFFIX.length),
    triggerSocket: source.socket('trigger_socket'),
    binary: source.binary('binary', source.at('binary')),
    args: source.list('args', (value, at) => source.string(at, value, 'args')),
    env: source.list('env', (value, at) => envPair(source, value, at)),
    listeners: listeners(source),
    ...(journal === undefined ? {} : { journal }),
    ...(history === undefined ? {} : { history }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(cwd === undefined ? {} : { cwd }),
    policy: policy(source),
    allowedUids: source.list('allowed_uids', (value, at) => uid(source, value, at)),
    allowedBinaries: source.list('allowed_binaries', (value, at) => source.binary(at, value, 'allowed_binaries')),
  }
}

function listeners(source: ConfigSource): ListenerSpec[] {
  const seen = new Map<string, string>()
  const unique = (at: string, value: string) => {
    const earlier = seen.get(value)
    if (earlier !== undefined) source.refuse(at, `${quote(value)} is already taken on line ${source.line(earlier)}`)
    seen.set(value, at)
  }
  return source.list('listeners', (value, at) => {
    if (!isTable(value)) return source.refuse(at, `${describe(value)} is not a table`, 'listeners')
    source.refuseUnknown(
      at,
      LISTENER_KEYS.map((entry) => entry.key),
    )
    source.requireAll(at, LISTENER_KEYS)
    const name = source.string(`${at}.name`, value.name)
    try {
      checkListenerNames([name]) // gap-29: ':' would cut LISTEN_FDNAMES
    } catch (error) {
      source.refuse(`${at}.name`, (error as HandoffError).happened)
    }
    unique(`${at}.name`, name)
    const addr = listenerAddr(source, `${at}.addr`, value.addr)
    if (!addr.endsWith(':0')) unique(`${at}.addr`, addr)
    const backlog = value.backlog ?? DEFAULT_BACKLOG
    if (!isWhole(backlog, 1, MAX_BACKLOG)) return source.refuse(`${at}.backlog`, describe(backlog))
    return { name, addr, backlog }
  })
}

function listenerAddr(source: ConfigSource, at: string, value: unknown): string {
  const text = source.string(at, value)
  if (text.startsWith('unix:') || text.startsWith('/')) return `unix:${source.socket(at, text.replace(/^unix:/, ''))}`
  try {
    parseAddress(text)
  } catch (error) {
    source.refuse(at, (error as HandoffError).happened)
  }
  return text
}

function metricsAddress(source: ConfigSource): string | undefined {
  const value = source.at('metrics')
  if (value === undefined) return undefined
  const text = source.string('metrics', value)
  if (text.startsWith('unix:')) return `unix:${source.socket('metrics', text.slice('unix:'.length))}`
  try {
    checkMetricsAddress(text)
  } catch (error) {
    source.refuse('metrics', (error as HandoffError).happened)
  }
  return text
}

function envPair(source: ConfigSource, value: unknown, at: string): [string, string] {
  if (!Array.isArray(value) || value.length !== 2) return source.refuse(at, `${describe(value)} is not a pair`, 'env')
  const [name, text] = value.map((part) => source.string(at, part, 'env'))
  if (name === undefined || text === undefined || name === '' || name.includes('=')) {
    return source.refuse(at, `${quote(String(name))} is no variable name`, 'env')
  }
  return [name, text]
}

function uid(source: ConfigSource, value: unknown, at: string): number {
  if (!isWhole(value, 0, 0xffff_fffe)) return source.refuse(at, `${describe(value)} is no user id`, 'allowed_uids')
  return value
}

function policy(source: ConfigSource): Partial<Policy> {
  const values: Partial<Record<keyof Policy, number>> = {}
  for (const entry of LIMIT_KEYS) values[entry.limit] = limit(source, entry)
  if ((values.respawnBackoffMaxMs ?? 0) < (values.respawnBackoffMs ?? 0)) {
    source.refuse('respawn_backoff_max_secs', 'it is shorter than respawn_backoff_ms')
  }
  return values
}

function limit(source: ConfigSource, entry: LimitKey): number {
  const value = source.at(entry.key) ?? defaultOf(entry)
  if (typeof value !== 'number') return source.refuse(entry.key, `${describe(value)} is not a number`)
  const scaled = Math.round(value * entry.scale)
  const whole = entry.scale === 1 ? Number.isInteger(value) : true
  const { problems } = checkPolicy({ [entry.limit]: scaled })
  if (!whole || problems.length > 0) source.refuse(entry.key, `${value} is out of bounds`)
  return scaled
}

const isWhole = (value: unknown, min: number, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max

const quote = (text: string): string => JSON.stringify(text)

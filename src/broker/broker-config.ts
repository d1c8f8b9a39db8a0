/** broker.toml: what is read is complete and checked, or refused with the key and the cure. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { BROKER_LIMITS, type BrokerLimitName, type BrokerPolicy } from '../../machines/broker/policy.js'
import { configError } from '../errors/config.js'
import { nearest } from '../errors/nearest.js'
import { reasonOf } from '../os/errno.js'
import { validPolicy } from './options.js'
import type { BrokerService } from './services.js'

export interface BrokerConfig {
  readonly file: string
  /** Where clients say Hello. */
  readonly socket: string
  /** Where a supervisor talks to this daemon when it replaces its program. */
  readonly controlSocket: string
  /** Holds the lock that says which process is the broker. */
  readonly dataDir: string
  readonly services: { readonly [name: string]: BrokerService }
  /** Directory of `.servicedef` files that decide which versions may be asked for. */
  readonly definitions?: string
  readonly policy: Partial<BrokerPolicy>
  readonly allowedUids: readonly number[]
}

type Table = Readonly<Record<string, unknown>>

const ROOT_KEYS = [
  'socket',
  'control_socket',
  'data_dir',
  'allowed_uids',
  'service_definitions',
  'services',
  'policy',
] as const
const SERVICE_KEYS = ['version', 'backend', 'handoff', 'min_version', 'allowed_versions'] as const

/** @throws ERR_HANDOFF_USAGE_CONFIG_* naming file and key, ERR_HANDOFF_BROKER_USAGE_OPTION for a limit out of bounds */
export function loadBrokerConfig(file: string): BrokerConfig {
  return readBrokerConfig(readText(file), file)
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw configError('ERR_HANDOFF_USAGE_CONFIG_UNREADABLE', [file, reasonOf(error)], error)
  }
}

export function readBrokerConfig(text: string, file: string): BrokerConfig {
  const root = parseToml(text, file)
  refuseUnknown(root, ROOT_KEYS, file)
  const at = new Reader(root, file, dirname(resolve(file)))
  const services = table(root.services ?? {}, 'services', file)
  return {
    file,
    socket: at.path('socket', 'where clients say Hello'),
    controlSocket: at.path('control_socket', 'where a supervisor talks to the broker'),
    dataDir: at.path('data_dir', 'a directory for the lock'),
    services: Object.fromEntries(Object.keys(services).map((name) => [name, readService(services, name, at)])),
    ...(root.service_definitions === undefined ? {} : { definitions: at.path('service_definitions', '') }),
    policy: readPolicy(table(root.policy ?? {}, 'policy', file), file),
    allowedUids: at.uids(),
  }
}

function parseToml(text: string, file: string): Table {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [why = ''] = error.message.split('\n')
    throw configError('ERR_HANDOFF_USAGE_CONFIG_SYNTAX', [`${file}:${error.line}`, why], error)
  }
}

function readService(services: Table, name: string, at: Reader): BrokerService {
  const entry = table(services[name], `services.${name}`, at.file)
  refuseUnknown(entry, SERVICE_KEYS, at.file, `services.${name}.`)
  const own = new Reader(entry, at.file, at.base, `services.${name}.`)
  const handoff = entry.handoff === undefined ? {} : { handoffEndpoint: own.path('handoff', '') }
  const floor = entry.min_version === undefined ? {} : { minVersion: own.text('min_version', '') }
  const allowed = entry.allowed_versions === undefined ? {} : { allowedVersions: own.texts('allowed_versions') }
  return {
    version: own.text('version', 'version of the running backend'),
    backendPipe: own.path('backend', 'the socket clients dial themselves'),
    ...handoff,
    ...floor,
    ...allowed,
  }
}

/** `handoff_budget_ms = 1500` is the limit `handoffBudgetMs`. */
function readPolicy(values: Table, file: string): Partial<BrokerPolicy> {
  const names = Object.keys(BROKER_LIMITS) as BrokerLimitName[]
  const keyOf = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  refuseUnknown(values, names.map(keyOf), file, 'policy.')
  const policy: { [name in BrokerLimitName]?: number } = {}
  for (const name of names) {
    const value = values[keyOf(name)]
    if (value === undefined) continue
    if (typeof value !== 'number') throw badValue(file, `policy.${keyOf(name)}`, 'it is no number', 'a whole number')
    policy[name] = value
  }
  validPolicy(policy)
  return policy
}

class Reader {
  constructor(
    readonly values: Table,
    readonly file: string,
    readonly base: string,
    readonly prefix = '',
  ) {}

  text(key: string, meaning: string): string {
    const value = this.values[key]
    if (value === undefined) {
      throw configError('ERR_HANDOFF_USAGE_CONFIG_MISSING_KEY', [this.file, `${this.prefix}${key}`, meaning])
    }
    if (typeof value === 'string' && value !== '') return value
    throw badValue(this.file, `${this.prefix}${key}`, 'it is no text', 'a text in quotes')
  }

  /** Relative ones count from the file's directory: a successor may run somewhere else. */
  path(key: string, meaning: string): string {
    return resolve(this.base, this.text(key, meaning))
  }

  texts(key: string): readonly string[] {
    const value = this.values[key]
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
    throw badValue(this.file, `${this.prefix}${key}`, 'it is no list of texts', 'texts in brackets')
  }

  uids(): readonly number[] {
    const value = this.values.allowed_uids ?? []
    if (Array.isArray(value) && value.every((item) => Number.isInteger(item) && item >= 0)) return value
    throw badValue(this.file, 'allowed_uids', 'it is no list of user ids', 'numbers in brackets')
  }
}

const badValue = (file: string, key: string, problem: string, wanted: string) =>
  configError('ERR_HANDOFF_USAGE_CONFIG_VALUE', [file, key, problem, wanted])

function table(value: unknown, key: string, file: string): Table {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Table
  throw badValue(file, key, 'it is no table', `a table: [${key}]`)
}

function refuseUnknown(values: Table, known: readonly string[], file: string, prefix = ''): void {
  for (const key of Object.keys(values)) {
    if (known.includes(key)) continue
    const close = nearest(key, known)
    const hint = close === null ? `use one of ${known.join(', ')}` : `did you mean '${close}'?`
    throw configError('ERR_HANDOFF_USAGE_CONFIG_UNKNOWN_KEY', [file, `${prefix}${key}`, hint])
  }
}

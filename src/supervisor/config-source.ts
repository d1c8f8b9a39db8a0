/** A parsed handoff.toml together with what an error needs: the file's name and each key's line. */
import { dirname, isAbsolute, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { configError } from '../errors/config.js'
import { nearest } from '../errors/nearest.js'
import { SOCKET_PATH_LIMIT } from '../os/unix-socket.js'
import { type ConfigKey, LIMIT_KEYS, LISTENER_KEYS, PLAIN_KEYS, wantedLimit } from './config-keys.js'
import { type TomlLines, tomlLines } from './toml-lines.js'

export type Table = Readonly<Record<string, unknown>>

/** Keys are addressed by dotted paths, `listeners.1.addr`; array elements by their index. */
export class ConfigSource {
  readonly file: string
  readonly #root: Table
  readonly #lines: TomlLines

  constructor(
    readonly name: string,
    text: string,
  ) {
    this.file = resolve(name)
    this.#root = parseToml(text, name)
    this.#lines = tomlLines(text)
  }

  at(path: string): unknown {
    return path.split('.').reduce<unknown>((value, part) => {
      if (Array.isArray(value)) return value[Number(part)]
      return isTable(value) && Object.hasOwn(value, part) ? value[part] : undefined
    }, this.#root)
  }

  line(at: string): number | undefined {
    return this.#lines.get(at)
  }

  refuseUnknown(at: string, known: readonly string[]): void {
    const table = at === '' ? this.#root : (this.at(at) as Table)
    for (const key of Object.keys(table)) {
      if (known.includes(key)) continue
      const close = nearest(key, known)
      const hint = close === null ? `use one of ${known.join(', ')}` : `write '${close}', or remove it`
      throw configError('ERR_HANDOFF_USAGE_CONFIG_UNKNOWN_KEY', [this.#where(under(at, key)), key, hint])
    }
  }

  requireAll(at: string, keys: readonly ConfigKey[]): void {
    for (const { key, wanted, required } of keys) {
      if (required !== true || this.at(under(at, key)) !== undefined) continue
      throw configError('ERR_HANDOFF_USAGE_CONFIG_MISSING_KEY', [this.#where(at), key, wanted])
    }
  }

  string(at: string, value: unknown, key?: string): string {
    if (typeof value !== 'string') return this.refuse(at, `${describe(value)} is not a string`, key)
    if (value.includes('\0')) return this.refuse(at, 'it holds a NUL character', key)
    return value
  }

  list<T>(key: string, item: (value: unknown, at: string) => T): T[] {
    const value = this.at(key) ?? []
    if (!Array.isArray(value)) return this.refuse(key, `${describe(value)} is not an array`)
    return value.map((element, index) => item(element, `${key}.${index}`))
  }

  path(key: string): string | undefined {
    const value = this.at(key)
    return value === undefined ? undefined : this.#absolute(this.#filled(key, value))
  }

  /** @param room bytes a sibling of the path needs for its longer name. */
  socket(at: string, value = this.at(at), room = 0): string {
    const path = this.#absolute(this.#filled(at, value))
    const bytes = Buffer.byteLength(path)
    const longest = SOCKET_PATH_LIMIT - room
    return bytes <= longest ? path : this.refuse(at, `the path has ${bytes} bytes, the kernel takes ${longest} here`)
  }

  binary(at: string, value: unknown, key?: string): string {
    const text = this.#filled(at, value, key)
    return text.includes('/') ? this.#absolute(text) : text
  }

  /** @throws always: the value at this path cannot be used. */
  refuse(at: string, problem: string, key = at.replace(/^listeners\.\d+\./, '')): never {
    throw configError('ERR_HANDOFF_USAGE_CONFIG_VALUE', [this.#where(at), key, problem, wantedFor(at, key)])
  }

  #filled(at: string, value: unknown, key?: string): string {
    const text = this.string(at, value, key)
    return text === '' ? this.refuse(at, 'it is empty', key) : text
  }

  #absolute(path: string): string {
    return isAbsolute(path) ? path : resolve(dirname(this.file), path)
  }

  #where(at: string): string {
    const line = this.#lines.get(at)
    return line === undefined ? this.name : `${this.name}:${line}`
  }
}

function parseToml(text: string, name: string): Table {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const why = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? ''
    throw configError('ERR_HANDOFF_USAGE_CONFIG_SYNTAX', [`${name}:${error.line}:${error.column}`, why], error)
  }
}

function wantedFor(at: string, key: string): string {
  const entry = LIMIT_KEYS.find((candidate) => candidate.key === key)
  if (entry !== undefined) return wantedLimit(entry)
  const inListener = /^listeners\.\d+\./.test(at)
  const known: readonly ConfigKey[] = inListener ? LISTENER_KEYS : PLAIN_KEYS
  return known.find((candidate) => candidate.key === key)?.wanted ?? 'another value'
}

export const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

const under = (at: string, key: string): string => (at === '' ? key : `${at}.${key}`)

/** A value as an error names it. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (value instanceof Date) return 'a date'
  return typeof value === 'object' && value !== null ? 'a table' : JSON.stringify(value)
}

/**
 * Changes to a machine's config, as copies: only what lies on the way to the change is new, functions stay themselves.
 */

export type ConfigPath = readonly (string | number)[]

/** Returned by a change to say: take the entry away altogether. */
export const REMOVED: unique symbol = Symbol('removed')

export function edited(config: unknown, path: ConfigPath, change: (value: unknown) => unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) {
    return change(config)
  }
  const child = (config as Readonly<Record<string | number, unknown>>)[key]
  const value = edited(child, rest, change)
  if (Array.isArray(config)) {
    return value === REMOVED ? config.filter((_, at) => at !== key) : config.with(key as number, value)
  }
  const copy = { ...(config as Record<string, unknown>) }
  if (value === REMOVED) {
    delete copy[key]
  } else {
    copy[key] = value
  }
  return copy
}

/** XState takes one thing or a list of things almost everywhere. */
export const toList = (value: unknown): readonly unknown[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly unknown[]) : [value]

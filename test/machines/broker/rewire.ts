/** A machine with one decision changed, to see what the decision is good for. */
import { type AnyStateMachine, createMachine } from 'xstate'

type Json = Record<string, unknown>

/** Copies plain objects and arrays; functions are shared. */
function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copy(inner)]))
}

/** `edit` gets the states of a copy of the config. */
export function rewired<M extends AnyStateMachine>(machine: M, edit: (states: Record<string, Json>) => void): M {
  const config = copy(machine.config) as { states: Record<string, Json> }
  edit(config.states)
  return createMachine(config as never, machine.implementations as never) as unknown as M
}

/** The object at a path, which must exist: a decision that was renamed must not be switched off in vain. */
export function at(states: Record<string, Json>, ...path: string[]): Json {
  let found: unknown = states
  for (const key of path) {
    found = (found as Json | undefined)?.[key]
    if (found === null || typeof found !== 'object') throw new Error(`no ${path.join('.')} in this machine`)
  }
  return found as Json
}

/** Takes a key away from the object at a path. */
export function without(states: Record<string, Json>, ...path: string[]): void {
  const key = path.pop() as string
  const parent = at(states, ...path)
  if (!Object.hasOwn(parent, key)) throw new Error(`no ${key} in ${path.join('.')}`)
  delete parent[key]
}

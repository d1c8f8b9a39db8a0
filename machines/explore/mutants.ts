/**
 * Every machine that differs from the given one in a single decision: a guard gone or turned round, a timer gone, an
 * effect or an assignment gone, two effects in the other order, a transition or an invocation gone.
 *
 * A model that holds with and without a decision either does not need it or does not look. Mutants work on the config,
 * so whatever a named action does inside is not mutated: keep decisions in the config.
 */
import { type AnyStateMachine, and, createMachine, not, or } from 'xstate'
import { type ConfigPath, edited, REMOVED, toList } from './config-edit.js'
import { nameOf } from './machine-parts.js'

export type MutationKind =
  | 'dropGuard'
  | 'negateGuard'
  | 'dropTimer'
  | 'dropAction'
  | 'swapActions'
  | 'dropTransition'
  | 'dropInvoke'

export interface Mutant<M extends AnyStateMachine = AnyStateMachine> {
  /** Stable while the machine's own names are: `<place>: <kind> <what>`. Places are ids as in {@link MachineParts}. */
  readonly id: string
  readonly kind: MutationKind
  /** State or transition that is changed. */
  readonly place: string
  readonly description: string
  /** The mutated machine, with the implementations of the original. @throws when the config is no machine any more. */
  build(): M
}

type Edit = (value: unknown) => unknown

/** All mutants, in document order. @param name prefix of the places; default: the machine's id. */
export function mutants<M extends AnyStateMachine>(machine: M, name: string = machine.id): Mutant<M>[] {
  const found: Mutant<M>[] = []

  function add(kind: MutationKind, place: string, what: string, description: string, path: ConfigPath, edit: Edit) {
    found.push({
      id: `${place}: ${kind} ${what}`.trimEnd(),
      kind,
      place,
      description,
      build: () => createMachine(edited(machine.config, path, edit) as never, machine.implementations as never) as M,
    })
  }

  function actions(place: string, path: ConfigPath, value: unknown) {
    const list = toList(value)
    list.forEach((action, at) => {
      const what = `${nameOf(action)}[${at}]`
      add('dropAction', place, what, `${place} without ${nameOf(action)}`, path, () => list.filter((_, i) => i !== at))
      const next = list[at + 1]
      if (next !== undefined && !isSame(next, action)) {
        const swapped = list.with(at, next).with(at + 1, action)
        const pair = `${nameOf(action)}[${at}] ${nameOf(next)}`
        add('swapActions', place, pair, `${place} with ${nameOf(next)} before ${nameOf(action)}`, path, () => swapped)
      }
    })
  }

  function guard(place: string, path: ConfigPath, value: unknown) {
    const what = nameOf(value)
    add('dropGuard', place, what, `${place} without asking ${what}`, path, () => REMOVED)
    add('negateGuard', place, what, `${place} when ${what} is false`, path, () => not(value as never))
    for (const { part, rest } of partsOfGuard(value)) {
      add('dropGuard', place, `${what} / ${part}`, `${place} without asking ${part}`, path, () => rest)
    }
  }

  function transitions(source: string, trigger: string, path: ConfigPath, value: unknown): void {
    const isList = Array.isArray(value)
    const candidates = value === undefined ? [undefined] : toList(value)
    candidates.forEach((candidate, at) => {
      const place = `${source} ${trigger} #${at}`
      const own = isList ? [...path, at] : path
      add('dropTransition', place, '', `${place} is not there`, own, () => REMOVED)
      if (typeof candidate !== 'object' || candidate === null) {
        return
      }
      if ('guard' in candidate && candidate.guard !== undefined) {
        guard(place, [...own, 'guard'], candidate.guard)
      }
      if ('actions' in candidate) {
        actions(place, [...own, 'actions'], candidate.actions)
      }
    })
  }

  function node(id: string, path: ConfigPath, config: NodeConfig) {
    for (const moment of ['entry', 'exit'] as const) {
      actions(`${id} ${moment}`, [...path, moment], config[moment])
    }
    for (const [event, value] of Object.entries(config.on ?? {})) {
      transitions(id, event, [...path, 'on', event], value)
    }
    if (config.onDone !== undefined) {
      transitions(id, 'onDone', [...path, 'onDone'], config.onDone)
    }
    const isList = Array.isArray(config.invoke)
    toList(config.invoke).forEach((value, at) => {
      const invoke = value as InvokeConfig
      const own = isList ? [...path, 'invoke', at] : [...path, 'invoke']
      const actor = invoke.id ?? `${at}.${id}`
      add('dropInvoke', id, actor, `${id} does not start ${actor}`, own, () => REMOVED)
      for (const [key, word] of [
        ['onDone', 'done'],
        ['onError', 'error'],
        ['onSnapshot', 'snapshot'],
      ] as const) {
        if (invoke[key] !== undefined) {
          transitions(id, `${word}(${actor})`, [...own, key], invoke[key])
        }
      }
    })
    for (const [delay, value] of Object.entries(config.after ?? {})) {
      const own = [...path, 'after', delay]
      add('dropTimer', id, delay, `${id} waits without ${delay}`, own, () => REMOVED)
      const candidates = found.length
      transitions(id, `after(${delay})`, own, value)
      // With a single candidate that is the timer itself, once more.
      if (toList(value).length === 1) {
        found.splice(candidates, 1)
      }
    }
    if (config.always !== undefined) {
      transitions(id, 'always', [...path, 'always'], config.always)
    }
    for (const [key, child] of Object.entries(config.states ?? {})) {
      node(`${id}.${key}`, [...path, 'states', key], child)
    }
  }

  node(name, [], machine.config as NodeConfig)
  return found
}

interface NodeConfig {
  readonly entry?: unknown
  readonly exit?: unknown
  readonly on?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly always?: unknown
  readonly onDone?: unknown
  readonly invoke?: unknown
  readonly states?: Readonly<Record<string, NodeConfig>>
}

interface InvokeConfig {
  readonly id?: string
  readonly onDone?: unknown
  readonly onError?: unknown
  readonly onSnapshot?: unknown
}

/** Functions are the same only by identity: two assigns differ however alike they look. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b || typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return a === b
  }
  const [left, right] = [Object.entries(a), Object.entries(b)]
  return (
    left.length === right.length && left.every(([key, value]) => isSame(value, (b as Record<string, unknown>)[key]))
  )
}

/** Of `and([…])` and `or([…])`: each part, and the guard without it. */
function partsOfGuard(guard: unknown): { readonly part: string; readonly rest: unknown }[] {
  if (typeof guard !== 'function' || !('guards' in guard) || !Array.isArray(guard.guards)) {
    return []
  }
  const guards = guard.guards as readonly unknown[]
  const combine = { and, or }[guard.name] as ((rest: never) => unknown) | undefined
  if (combine === undefined || guards.length < 2) {
    return []
  }
  return guards.map((part, at) => ({
    part: nameOf(part),
    rest: combine(guards.filter((_, i) => i !== at) as never),
  }))
}

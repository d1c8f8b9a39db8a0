/**
 * A world whose state is made of flat records, and whose steps come from rules that look at few of their fields.
 *
 * The explorer watches which fields a rule (or a property) looks at, and whatever would look at the same values again is
 * not computed again: a million states are some ten thousand different questions. The rules stay ordinary functions of
 * a state; watching makes it impossible to forget a field that an answer depends on.
 */
import type { Step, StepKind, World } from './world.js'

/** Records of one kind: a part of the state, or a list of parts. */
export interface PartKind {
  /** All the fields that tell two records apart. Values are compared by content and never mutated. */
  readonly fields: readonly string[]
  /** The state has a list of so many of them, with null in empty places. Without it: exactly one, never null. */
  readonly places?: number
  /** The one record of this content, for worlds that keep each once. Default: any. */
  readonly pooled?: (record: never) => object
}

/** Every property of the state is a record or a list of records. */
export type Shape<S> = { readonly [Name in keyof S]: PartKind }

/** New values for some fields of one part. `null` empties a place of a list; an empty place is given all fields at once. */
export interface Write<S> {
  readonly part: keyof S & string
  /** Index in the list. Default: 0. */
  readonly place?: number
  readonly fields: Readonly<Record<string, unknown>> | null
}

/** A step as a rule says it: what changes, and not the whole next state. */
export interface Change<S> {
  /** As in {@link Step}. */
  readonly label: string
  readonly kind: StepKind
  readonly covers?: readonly string[]
  readonly writes: readonly Write<S>[]
  /** What later rules hear because of it: names of the rule set's `signals`. */
  readonly signals?: readonly string[]
}

export type Rule<S> = (state: S) => Iterable<Change<S>>
/** @param hears whether any change so far has this signal */
export type LaterRule<S> = (state: S, hears: (signal: string) => boolean) => Iterable<Change<S>>

export interface RuleSet<S> {
  readonly shape: Shape<S>
  readonly key: World<S>['key']
  /** What may happen; their order is the order of the steps. Many small rules are remembered better than one large. */
  readonly rules: readonly Rule<S>[]
  /** What may happen depending on what else may: time that passes when nobody has work. */
  readonly laterRules?: readonly LaterRule<S>[]
  readonly signals?: readonly string[]
  /** What follows from every step by itself, one after the other. */
  readonly tidy?: readonly ((state: S) => Iterable<Write<S>>)[]
}

const ruleSets = new WeakMap<object, RuleSet<never>>()

/** The `steps` and the `key` of a world made of rules. A world with other steps or another key is an ordinary one. */
export function worldOfRules<S extends object>(set: RuleSet<S>): Pick<World<S>, 'steps' | 'key'> {
  const { rules, laterRules = [], key } = set
  function* steps(state: S): Generator<Step<S>> {
    const first = rules.map((rule) => [...rule(state)])
    const heard = new Set<string>()
    function* taken(changes: readonly Change<S>[]): Generator<Step<S>> {
      for (const change of changes) {
        for (const signal of change.signals ?? []) heard.add(signal)
        yield stepOf(set, state, change)
      }
    }
    for (const changes of first) yield* taken(changes)
    for (const rule of laterRules) yield* taken([...rule(state, (signal) => heard.has(signal))])
  }
  ruleSets.set(steps, set as unknown as RuleSet<never>)
  return { steps, key }
}

/** The rules behind a world's steps, if there are any and nothing was put in their way. */
export function rulesOf<S>({ steps, key }: World<S>): RuleSet<S> | undefined {
  const set = ruleSets.get(steps) as unknown as RuleSet<S> | undefined
  return set?.key === key ? set : undefined
}

/** The state with these fields changed. */
export function changed<S extends object>(
  { shape }: Pick<RuleSet<S>, 'shape'>,
  state: S,
  writes: Iterable<Write<S>>,
): S {
  const next = { ...state } as Record<string, unknown>
  for (const { part, place = 0, fields } of writes) {
    const { places, pooled } = shape[part]
    const made = (record: unknown) => {
      if (fields === null) return null
      const whole = { ...(record as object), ...fields }
      return pooled === undefined ? whole : pooled(whole as never)
    }
    next[part] =
      places === undefined
        ? made(next[part])
        : (next[part] as readonly unknown[]).map((record, at) => (at === place ? made(record) : record))
  }
  return next as S
}

function stepOf<S extends object>(set: RuleSet<S>, state: S, { label, kind, covers, writes }: Change<S>): Step<S> {
  let next = changed(set, state, writes)
  for (const tidy of set.tidy ?? []) next = changed(set, next, tidy(next))
  return { label, kind, next, ...(covers === undefined ? {} : { covers }) }
}

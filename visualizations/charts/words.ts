/** What stands in a machine's definition, in the words of a chart: triggers, times, guards and effects. */
import { type AnyStateMachine, type AnyStateNode, initialTransition } from 'xstate'
import { nameOf } from '../../machines/explore/machine-parts.js'
import { placeholder } from '../docs/placeholder.js'
import { FIRM } from './text.js'

/** `25 ms`, `1.5 s`, `61 s`, `5 min`; a limit of 0 switches off what it limits. */
export function duration(ms: number): string {
  if (ms === 0) return 'off'
  if (ms < 1_000) return `${ms}${FIRM}ms`
  return ms >= 120_000 && ms % 60_000 === 0 ? `${ms / 60_000}${FIRM}min` : `${ms / 1_000}${FIRM}s`
}

/**
 * A delay of the machine by its name, with its default. `variants` are the contexts in which it differs from the first:
 * then it is a range.
 */
export function delayText(machine: AnyStateMachine, name: string, input: unknown, variants: readonly object[]): string {
  const delay = machine.implementations.delays[name]
  if (typeof delay !== 'function') return name
  const [{ context }] = initialTransition(machine, input)
  const event = { type: 'xstate.init' }
  const times = [{}, ...variants].map((variant) => {
    const scope = { context: { ...context, ...variant }, event }
    return (delay as unknown as (scope: unknown) => number)(scope)
  })
  const [least, most] = [Math.min(...times), Math.max(...times)]
  return `${name}${FIRM}(${least === most ? duration(least) : `${duration(least)}${FIRM}to${FIRM}${duration(most)}`})`
}

export interface Trigger {
  readonly kind: 'on' | 'after' | 'done' | 'error' | 'always'
  /** `incumbent.drained`, `livenessMs`, `seal`; empty for `always`. */
  readonly name: string
}

export function triggerOf(node: AnyStateNode, descriptor: string): Trigger {
  const after = 'xstate.after.'
  if (descriptor.startsWith(after)) return { kind: 'after', name: descriptor.slice(after.length, -node.id.length - 1) }
  for (const kind of ['done', 'error'] as const) {
    const actor = `xstate.${kind}.actor.`
    if (descriptor.startsWith(actor)) return { kind, name: descriptor.slice(actor.length) }
  }
  return descriptor === 'always' ? { kind: 'always', name: '' } : { kind: 'on', name: descriptor }
}

/** A named guard by its name; one that stands in the definition itself by its text. */
export function guardText(guard: unknown): string {
  if (guard === undefined) return ''
  if (typeof guard !== 'function') return nameOf(guard)
  const inner = 'guards' in guard && Array.isArray(guard.guards) ? guard.guards.map(guardText) : null
  if (inner !== null) return guard.name === 'not' ? `!${inner[0]}` : inner.join(guard.name === 'or' ? ' || ' : ' && ')
  const text = guard.toString()
  if ('check' in guard || !text.includes('=>')) return nameOf(guard)
  return (
    text
      .slice(text.indexOf('=>') + 2)
      // However the module was loaded: imports by their own names.
      .replace(/\(0,\s*\w+\.(\w+)\)|__vi_\w+\.(\w+)/g, (_, one, other) => one ?? other)
      .replace(/\b(context|event)\.(output\.)?/g, '')
      .replace(/\s+/g, ' ')
      .replace(/"/g, "'")
      .trim()
  )
}

/** What an action asks for, or null for one that only takes a note in the context. */
export function effectText(machine: AnyStateMachine, action: unknown): string | null {
  const name = nameOf(action)
  // XState's own: the arming and disarming of timers.
  if (name.startsWith('xstate.')) return null
  const implementation: unknown = machine.implementations.actions[name]
  if (typeof implementation === 'function' && 'type' in implementation) return null
  const details = textsIn(typeof action === 'object' && action !== null && 'params' in action ? action.params : null)
  const receiver = /^(sendTo|signal)([A-Z]\w*)$/.exec(name)?.[2]?.toLowerCase()
  if (receiver !== undefined && details[0] !== undefined) return `${details[0]} → ${receiver}`
  return details[0] === undefined ? name : `${name} (${details[0]})`
}

/** An invoked actor with what its input says already: `openState (reopen)`. */
export function actorText(invoked: { readonly src: unknown; readonly id: string; readonly input?: unknown }): string {
  const details = textsIn(invoked.input)
  const name = typeof invoked.src === 'string' ? invoked.src : invoked.id
  return details[0] === undefined ? name : `${name} (${details[0]})`
}

/** The texts in plain params: what they are whatever the context. Numbers, times and flags are left to the context. */
function textsIn(params: unknown): string[] {
  const scope = { context: placeholder('context'), event: placeholder('event') }
  // A choice is the context's: a stand-in would always choose the same.
  if (typeof params === 'function' && /[^?]\?[^?.]/.test(params.toString())) return []
  const value: unknown = typeof params === 'function' ? params(scope) : params
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).filter((detail): detail is string => typeof detail === 'string')
}

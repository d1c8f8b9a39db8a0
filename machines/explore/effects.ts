/**
 * What a machine asks for in one transition, as plain data.
 *
 * XState returns actions in its own shapes: delayed raises for timers, spawns for invocations, cancels for both. Here
 * they become one vocabulary that a world can execute one at a time, so that a crash may fall between any two.
 */
import type { AnyEventObject, ExecutableActionObject } from 'xstate'

/** A custom action of the machine: its name, and its params when it has any. */
export interface ActionEffect {
  readonly kind: 'action'
  readonly type: string
  readonly params?: unknown
}

/** `after` or a delayed `raise`: when it fires, send `event` to the machine. `delayMs` is the resolved delay, ms. */
export interface ArmTimerEffect {
  readonly kind: 'armTimer'
  readonly id: string
  readonly delayMs: number
  readonly event: AnyEventObject
}

/** `cancel`, and the leaving of a state with `after`. The timer may not be armed. */
export interface DisarmTimerEffect {
  readonly kind: 'disarmTimer'
  readonly id: string
}

/** `invoke` or `spawnChild`: start the actor `src`; answer with {@link doneEvent} or {@link errorEvent} for `id`. */
export interface StartEffect {
  readonly kind: 'start'
  readonly id: string
  readonly src: string
  readonly input?: unknown
}

/** The actor is abandoned: its result must not arrive any more. */
export interface StopEffect {
  readonly kind: 'stop'
  readonly id: string
}

/** `sendTo`: an event for another actor, at once or (with `delayMs`) later. */
export interface SendEffect {
  readonly kind: 'send'
  readonly to: string
  readonly event: AnyEventObject
  readonly delayMs?: number
}

/** `emit`: an event for whoever listens to the actor. */
export interface EmitEffect {
  readonly kind: 'emit'
  readonly event: AnyEventObject
}

export type Effect =
  | ActionEffect
  | ArmTimerEffect
  | DisarmTimerEffect
  | StartEffect
  | StopEffect
  | SendEffect
  | EmitEffect

/** Events XState makes itself: timers, results of actors. */
export type SystemEvent = AnyEventObject & { readonly type: `xstate.${string}` }

/** An actor started under `id` has finished. */
export function doneEvent(id: string, output?: unknown): SystemEvent {
  return { type: `xstate.done.actor.${id}`, output, actorId: id }
}

/** An actor started under `id` has failed. Give an error code or another plain value, so that states stay comparable. */
export function errorEvent(id: string, error?: unknown): SystemEvent {
  return { type: `xstate.error.actor.${id}`, error, actorId: id }
}

interface RaiseParams {
  readonly event: AnyEventObject
  readonly id?: string
  readonly delay?: number
}
interface SpawnParams {
  readonly id?: unknown
  readonly src: unknown
  readonly input?: unknown
  readonly actorRef?: { readonly id: string }
}
interface SendParams {
  readonly to?: string | { readonly id: string }
  readonly targetId?: string
  readonly event: AnyEventObject
  readonly delay?: number
}

/** The effect of one executable action; nothing for what XState has already done itself (raise, log). */
export function toEffect(action: ExecutableActionObject): Effect | undefined {
  const { type, params } = action as { readonly type: string; readonly params: unknown }
  switch (type) {
    case 'xstate.raise': {
      const { event, id, delay } = params as RaiseParams
      // An undelayed raise is processed within the same transition and is listed all the same.
      return delay === undefined ? undefined : { kind: 'armTimer', id: id ?? event.type, delayMs: delay, event }
    }
    case 'xstate.cancel':
      return { kind: 'disarmTimer', id: (params as { readonly sendId: string }).sendId }
    case 'xstate.spawnChild':
      return startEffect(params as SpawnParams)
    case 'xstate.stopChild': {
      const stopped = params as { readonly id: string } | undefined
      return stopped === undefined ? undefined : { kind: 'stop', id: stopped.id }
    }
    case 'xstate.sendTo':
      return sendEffect(params as SendParams)
    case 'xstate.emit':
      return { kind: 'emit', event: (params as { readonly event: AnyEventObject }).event }
    case 'xstate.log':
      return undefined
    default:
      return params === undefined ? { kind: 'action', type } : { kind: 'action', type, params }
  }
}

function startEffect({ id, src, input, actorRef }: SpawnParams): StartEffect {
  // Without an id XState makes one up from a counter, anew at every call.
  const name = typeof id === 'function' ? actorRef?.id : id
  if (typeof name !== 'string') {
    throw new Error(`an actor was spawned without an id (src: ${String(src)}): give it one, or it cannot be told apart`)
  }
  const start = { kind: 'start', id: name, src: typeof src === 'string' ? src : '(inline)' } as const
  return input === undefined ? start : { ...start, input }
}

function sendEffect({ to, targetId, event, delay }: SendParams): SendEffect {
  const target = targetId ?? (typeof to === 'string' ? to : to?.id) ?? '(self)'
  const send = { kind: 'send', to: target, event } as const
  return delay === undefined ? send : { ...send, delayMs: delay }
}

const NOTHING: readonly never[] = Object.freeze([])
const rests = new WeakMap<readonly unknown[], readonly unknown[]>()

/**
 * `list` without its first element. The same list always gives the same rest, so an outbox that is executed one effect
 * at a time stays cheap to intern.
 */
export function restOf<T>(list: readonly T[]): readonly T[] {
  if (list.length <= 1) {
    return NOTHING
  }
  let rest = rests.get(list)
  if (rest === undefined) {
    rest = Object.freeze(list.slice(1))
    rests.set(list, rest)
  }
  return rest as readonly T[]
}

/**
 * Unbound actions and actors: what a machine asks for before a door has bound it to the world.
 *
 * A no-op default would let a forgotten `provide()` ship. These are loud: an unbound action throws as soon as an
 * actor runs it, an unbound actor rejects. `transition()` runs neither, so exploration needs no binding.
 */
import { fromPromise, type PromiseActorLogic } from 'xstate'

/** Thrown by anything a door forgot to bind. A fault of our own code, never of a user's input. */
export class UnboundEffectError extends Error {
  override readonly name = 'UnboundEffectError'
  readonly code = 'ERR_HANDOFF_UNBOUND_EFFECT'
  constructor(readonly effect: string) {
    super(`the effect '${effect}' was never bound: the door that runs this machine must provide() it`)
  }
}

const unbound = new WeakMap<object, string>()

/** The name of an implementation that no door has replaced; undefined for a bound one. A test walks every machine. */
export function unboundName(implementation: unknown): string | undefined {
  return typeof implementation === 'object' || typeof implementation === 'function'
    ? unbound.get(implementation as object)
    : undefined
}

// XState hands an action its arguments as (args, params); params carry the effect's data, typed per action.
export function unboundAction<P = undefined>(name: string): (args: unknown, params: P) => void {
  const action = (_args: unknown, _params: P): void => {
    throw new UnboundEffectError(name)
  }
  unbound.set(action, name)
  return action
}

export function unboundActor<Output, Input = undefined>(name: string): PromiseActorLogic<Output, Input> {
  const actor = fromPromise<Output, Input>(() => Promise.reject(new UnboundEffectError(name)))
  unbound.set(actor, name)
  return actor
}

/**
 * Unbound actions and actors: what a machine asks for before a door has bound it to the world.
 *
 * A no-op default would let a forgotten `provide()` ship. These are loud: an unbound action throws as soon as an
 * actor runs it, an unbound actor rejects. `transition()` runs neither, so exploration needs no binding.
 */
import { fromPromise } from 'xstate'

/** Thrown by anything a door forgot to bind. A fault of our own code, never of a user's input. */
export class UnboundEffectError extends Error {
  override readonly name = 'UnboundEffectError'
  readonly code = 'ERR_HANDOFF_UNBOUND_EFFECT'
  constructor(readonly effect: string) {
    super(`the effect '${effect}' was never bound: the door that runs this machine must provide() it`)
  }
}

/** Marks an implementation as unbound, so that a test can walk `machine.implementations` and find leftovers. */
export const UNBOUND: unique symbol = Symbol.for('handoff-machines.unbound')

// XState hands an action its arguments as (args, params); params carry the effect's data, typed per action.
export function unboundAction<P = undefined>(name: string) {
  const action = (_args: unknown, _params: P): void => {
    throw new UnboundEffectError(name)
  }
  return Object.assign(action, { [UNBOUND]: name })
}

export function unboundActor<Output, Input = undefined>(name: string) {
  const actor = fromPromise<Output, Input>(() => Promise.reject(new UnboundEffectError(name)))
  return Object.assign(actor, { [UNBOUND]: name })
}

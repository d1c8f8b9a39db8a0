/**
 * The world in the steps that real processes can be led through one by one: what a process has decided it also does before
 * anybody else moves, and what happens by itself (a connection is accepted, a record reaches the disk) happens at once.
 * Fewer orders than the world has, the same transitions.
 */
import type { Step } from '../../machines/explore/index.js'
import type { HandoffState, HandoffWorld } from '../../machines/handoff/world/index.js'
import { NONE } from '../../machines/handoff/world/slot.js'

/** A world of one question needs only some limits and some faults: which, by their labels. Default: all. */
export interface Focus {
  readonly timers?: RegExp
  readonly faults?: RegExp
}

export function stepwise(world: HandoffWorld, { timers = /^/, faults = /^/ }: Focus = {}): HandoffWorld {
  return {
    ...world,
    *steps(state) {
      const all = [...world.steps(state)].filter(
        ({ label, kind }) =>
          isDoable(label) && (kind !== 'timer' || timers.test(label)) && (kind !== 'fault' || faults.test(label)),
      )
      const busy = busyOne(state)
      if (busy !== null) {
        yield* all.filter(({ label }) => label.startsWith(`${busy}!`))
        return
      }
      const atOnce = all.filter(({ label }) => isAtOnce(label))
      yield* atOnce.length > 0 ? atOnce : all
      if (atOnce.length === 0) yield* inVain(world, state)
    },
  }
}

/** Orders that change nothing: the world leaves them out, the machine takes them. */
function* inVain({ players }: HandoffWorld, state: HandoffState): Generator<Step<HandoffState>> {
  const { life, machine, swap } = state.supervisor
  if (life !== 'running' || swap !== NONE) return
  const { stepper } = players.supervisor
  const { context, status } = stepper.view(machine)
  const { owed, stopOwed, leaveOwed } = context as Readonly<Record<'owed' | 'stopOwed' | 'leaveOwed', boolean>>
  if (status !== 'active' || owed || stopOwed || leaveOwed) return
  for (const event of [{ type: 'swap.requested' }, { type: 'operator.reconfigured', policy: players.policy }]) {
    const { changed, handled, covers } = stepper.send(machine, event)
    if (handled && !changed) yield { label: `${event.type}:inVain`, kind: 'trigger', next: state, covers }
  }
}

/** No door lets an operator cancel a swap alone; a stop does it. */
const isDoable = (label: string): boolean => label !== 'operator.cancelled'

export const isAtOnce = (label: string): boolean =>
  /^[A-H]\.(accept#|greeting<(?!EOF))/.test(label) || label === 'S:journal' || label === 'S:journal:fails'

/** The process that has decided something and has not done it all. */
export function busyOne({ supervisor, primitives }: HandoffState): string | null {
  if (supervisor.life === 'running' && (supervisor.outbox !== 0 || supervisor.swapOutbox !== 0)) return 'S'
  const slot = primitives.findIndex((one) => one?.life === 'running' && one.outbox !== 0)
  return slot === -1 ? null : String.fromCharCode(65 + slot)
}

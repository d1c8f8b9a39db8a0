/** A machine alone with every event it may ever get: what is unreachable here is unreachable anywhere. */
import type { AnyStateMachine, EventFromLogic, InputFrom } from 'xstate'
import {
  createMachineStepper,
  doneEvent,
  errorEvent,
  type MachineStepper,
  type SnapshotId,
  type SystemEvent,
  type World,
} from '../../../machines/explore/index.js'

export interface Alphabet<M extends AnyStateMachine> {
  readonly inputs: readonly InputFrom<M>[]
  readonly events: readonly EventFromLogic<M>[]
  /** For each actor the outputs it may give; every actor may also fail. */
  readonly outputs: Readonly<Record<string, readonly unknown[]>>
}

export function aloneWorld<M extends AnyStateMachine>(
  machine: M,
  { inputs, events, outputs }: Alphabet<M>,
): World<SnapshotId> & { readonly stepper: MachineStepper<M> } {
  const stepper = createMachineStepper(machine)
  const start = stepper.start as (input: InputFrom<M>) => ReturnType<typeof stepper.start>
  return {
    stepper,
    // Numbers below zero are machines not yet started: a start is a step, and covers what it enters.
    initial: () => inputs.map((_, at) => -1 - at),
    *steps(id) {
      if (id < 0) {
        const { snapshot, covers } = start(inputs[-1 - id] as InputFrom<M>)
        yield { label: 'start', kind: 'progress', next: snapshot, covers }
        return
      }
      const { children, status } = stepper.view(id)
      if (status !== 'active') return
      const answers: SystemEvent[] = children.flatMap((child) => [
        ...(outputs[child] ?? [undefined]).map((output) => doneEvent(child, output) as SystemEvent),
        errorEvent(child, 'EIO') as SystemEvent,
      ])
      const timers = stepper
        .descriptors(id)
        .filter((descriptor) => descriptor.startsWith('xstate.after.'))
        .map((type) => ({ type }) as SystemEvent)
      for (const event of [...events, ...answers, ...timers]) {
        const { snapshot, covers } = stepper.send(id, event)
        yield { label: JSON.stringify(event), kind: 'progress', next: snapshot, covers }
      }
    },
    key: (id) => [id],
    coverable: [...stepper.parts.states, ...stepper.parts.transitions.map(({ id }) => id)],
  }
}

/**
 * A machine alone, in an environment that may do anything at any moment: every event of its alphabet, every end of its
 * actors, every armed timer. What is unreachable here is unreachable anywhere, and what holds here holds in any company.
 *
 * A contract watches from outside: it sees events, effects and what a snapshot shows, and keeps its own memory of them.
 */
import type { AnyEventObject, AnyStateMachine, EventFromLogic, InputFrom } from 'xstate'
import { doneEvent, type Effect, errorEvent, type SystemEvent } from './effects.js'
import {
  createMachineStepper,
  type MachineStepper,
  type SnapshotId,
  type SnapshotView,
  type Stepped,
} from './machine-stepper.js'
import type { Property, Verdict } from './property.js'
import type { Step, World } from './world.js'

export interface Alphabet<M extends AnyStateMachine> {
  readonly inputs: readonly InputFrom<M>[]
  readonly events: readonly EventFromLogic<M>[]
  /** For each actor the outputs it may give; every actor may also fail. */
  readonly outputs: Readonly<Record<string, readonly unknown[]>>
}

/** One event and what the machine made of it. At its start there is no `before`. */
export interface Moment {
  readonly event: AnyEventObject
  readonly before: SnapshotView<AnyStateMachine> | undefined
  readonly after: SnapshotView<AnyStateMachine>
  readonly effects: readonly Effect[]
  readonly handled: boolean
  /** Names of the delays whose timers are armed afterwards. */
  readonly clocks: readonly string[]
}

/** What is demanded of a machine whatever its company does, over what can be seen from outside. */
export interface Contract<G> {
  readonly id: string
  readonly says: string
  /** @param memory of everything before this moment. @param then the memory with it. */
  holds(memory: G, moment: Moment, then: G): Verdict
}

/** The memory of a contract: plain and finite, or the exploration does not end. */
export interface Memory<G> {
  readonly first: G
  after(memory: G, moment: Moment): G
}

export interface RoleContract<M extends AnyStateMachine, G> {
  readonly machine: M
  readonly alphabet: Alphabet<M>
  readonly memory: Memory<G>
  readonly contracts: readonly Contract<G>[]
  /** Events that cannot come, by what was before. Default: all may come always. */
  mayCome?(memory: G, event: AnyEventObject): boolean
  /** How long silence may last, when neither peers nor actors say anything more. */
  readonly silence?: Silence<G>
}

export interface Silence<G> {
  readonly says: string
  /** Here nothing is owed: service goes on, or the kernel ends the wait. */
  rests(memory: G, view: SnapshotView<AnyStateMachine>): boolean
  /** Longest time until then, ms. */
  limitMs(memory: G, view: SnapshotView<AnyStateMachine>): number
}

export interface AloneState<G> {
  readonly snapshot: SnapshotId
  readonly memory: G
}

interface AloneStep<G> extends Step<AloneState<G>> {
  readonly moment: Moment
}

export interface AloneWorld<G> extends World<AloneState<G>> {
  steps(state: AloneState<G>): Iterable<AloneStep<G>>
  readonly stepper: MachineStepper<AnyStateMachine>
  readonly properties: readonly Property<AloneState<G>>[]
}

/** @param machine in the place of the contract's own, e.g. a mutant. */
export function aloneWorld<M extends AnyStateMachine, G>(
  role: RoleContract<M, G>,
  machine: AnyStateMachine = role.machine,
): AloneWorld<G> {
  const { alphabet, memory, contracts, mayCome, silence } = role
  const stepper = createMachineStepper(machine) as MachineStepper<AnyStateMachine>
  const moments = new WeakMap<Stepped, Map<object, Moment>>()
  const ends = endsOf(alphabet)
  const clocks = clocksOf(stepper)

  function momentOf(event: AnyEventObject, before: SnapshotId, stepped: Stepped): Moment {
    let known = moments.get(stepped)
    if (known === undefined) {
      known = new Map()
      moments.set(stepped, known)
    }
    let moment = known.get(event)
    if (moment === undefined) {
      const { snapshot, effects, handled } = stepped
      const view = before < 0 ? undefined : stepper.view(before)
      const names = clocks(snapshot).map(({ name }) => name)
      moment = { event, before: view, after: stepper.view(snapshot), effects, handled, clocks: names }
      known.set(event, moment)
    }
    return moment
  }

  const memories = new Map<string, G>()
  function same(fresh: G): G {
    const key = JSON.stringify(fresh)
    const known = memories.get(key)
    if (known !== undefined) return known
    memories.set(key, fresh)
    return fresh
  }
  const beginning = same(memory.first)
  /** Nobody says anything more: only clocks are left, each as late as it may be. */
  function silenceFrom(from: G, start: SnapshotId, { rests, limitMs }: Silence<G>): Verdict {
    const limit = limitMs(from, stepper.view(start))
    let armed = clocks(start).map((clock) => ({ ...clock, leftMs: clock.delayMs }))
    let at = start
    let known = from
    let elapsedMs = 0
    while (!rests(known, stepper.view(at)) && stepper.view(at).status === 'active') {
      const next = armed.toSorted((a, b) => a.leftMs - b.leftMs)[0]
      if (next === undefined) return 'no clock leads out'
      elapsedMs += next.leftMs
      if (elapsedMs > limit) return `longer than ${limit} ms`
      const stepped = stepper.send(at, next.event as never)
      known = same(memory.after(known, momentOf(next.event, at, stepped)))
      const left = new Map(armed.map((clock) => [clock.event.type, clock.leftMs - next.leftMs]))
      left.delete(next.event.type)
      for (const effect of stepped.effects) {
        if (effect.kind === 'armTimer') left.set(effect.event.type, effect.delayMs)
      }
      at = stepped.snapshot
      armed = clocks(at).flatMap((clock) => {
        const leftMs = left.get(clock.event.type)
        return leftMs === undefined ? [] : [{ ...clock, leftMs }]
      })
    }
    return true
  }

  const starts = alphabet.inputs.map((input) => ({ type: 'start', input }))

  return {
    stepper,
    // Numbers below zero are machines not yet started: a start is a step, and covers what it enters.
    initial: () => alphabet.inputs.map((_, at) => ({ snapshot: -1 - at, memory: beginning })),
    *steps({ snapshot, memory: known }) {
      const isStart = snapshot < 0
      if (!isStart && stepper.view(snapshot).status !== 'active') return
      const events: readonly AnyEventObject[] = isStart
        ? [starts[-1 - snapshot] as AnyEventObject]
        : [
            ...alphabet.events,
            ...stepper.view(snapshot).children.flatMap((child) => ends(child)),
            ...clocks(snapshot).map(({ event }) => event),
          ]
      for (const event of events) {
        if (!isStart && mayCome?.(known, event) === false) continue
        const stepped = isStart ? stepper.start(event.input as never) : stepper.send(snapshot, event as never)
        const moment = momentOf(event, snapshot, stepped)
        const next = { snapshot: stepped.snapshot, memory: same(memory.after(known, moment)) }
        const step: AloneStep<G> = { label: labelOf(event), kind: 'progress', next, covers: stepped.covers, moment }
        yield step
      }
    },
    key: ({ snapshot, memory: known }) => [snapshot, known],
    coverable: [...stepper.parts.states, ...stepper.parts.transitions.map(({ id }) => id)],
    describe: ({ snapshot, memory: known }) => ({
      state: snapshot < 0 ? null : stepper.view(snapshot).value,
      memory: known,
    }),
    properties: [
      ...contracts.map(({ id, says, holds }): Property<AloneState<G>> => {
        return {
          id,
          says,
          kind: 'edge',
          holds: (from, step) => holds(from.memory, (step as AloneStep<G>).moment, step.next.memory),
        }
      }),
      ...(silence === undefined
        ? []
        : [
            {
              id: 'SILENCE',
              says: silence.says,
              kind: 'always',
              holds: ({ snapshot, memory: known }: AloneState<G>) =>
                snapshot < 0 || silenceFrom(known, snapshot, silence),
            } as const,
          ]),
    ],
  }
}

interface Clock {
  readonly name: string
  readonly delayMs: number
  readonly event: AnyEventObject
}

/** The timers of the active states: each is armed when its state is entered and leaves with it. */
function clocksOf(stepper: MachineStepper<AnyStateMachine>): (id: SnapshotId) => readonly Clock[] {
  const known: (readonly Clock[])[] = []
  const delays = stepper.machine.implementations.delays as Readonly<Record<string, unknown>>
  return (id) => {
    known[id] ??= stepper.descriptors(id).flatMap((type) => {
      if (!type.startsWith('xstate.after.')) return []
      const [name = ''] = type.slice('xstate.after.'.length).split('.')
      const delay = delays[name]
      const { context } = stepper.view(id)
      const delayMs = typeof delay === 'function' ? (delay({ context }) as number) : Number(delay ?? name)
      return [{ name, delayMs, event: { type } }]
    })
    return known[id]
  }
}

/** How an actor may end: with each of its outputs, or with an error. */
function endsOf<M extends AnyStateMachine>({ outputs }: Alphabet<M>): (child: string) => readonly SystemEvent[] {
  const known = new Map<string, readonly SystemEvent[]>()
  return (child) => {
    let ends = known.get(child)
    if (ends === undefined) {
      ends = [...(outputs[child] ?? [undefined]).map((output) => doneEvent(child, output)), errorEvent(child, 'EIO')]
      known.set(child, ends)
    }
    return ends
  }
}

const labels = new WeakMap<object, string>()

function labelOf(event: AnyEventObject): string {
  let label = labels.get(event)
  if (label === undefined) {
    label = JSON.stringify(event)
    labels.set(event, label)
  }
  return label
}

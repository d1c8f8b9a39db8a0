/**
 * Runs a machine of the broker from a table: thousands of short-lived connections take the same few dozen steps, so each
 * (snapshot, event) is asked of XState once and remembered. The machine still takes every decision; what is saved is the
 * interpreter, which costs more than all system calls of a handoff.
 *
 * Only for machines whose contexts and events are drawn from small closed sets: the table keeps what it has seen. The largest is the
 * owner's, which counts its connections: 3 KB for each number of them that was ever reached.
 */
import type { AnyStateMachine, EventFromLogic, InputFrom } from 'xstate'
import {
  createMachineStepper,
  type MachineStepper,
  type SnapshotView,
  type Stepped,
} from '../../machines/explore/machine-stepper.js'
import { type PollTimer, pollClock } from '../channel/poll-clock.js'

type Implementation = (args: { readonly context: { readonly id: number } }, params?: unknown) => void

/** A step with its names looked up. */
interface Ready {
  readonly stepped: Stepped
  /** Where it ends. */
  readonly row: Row
  readonly effects: readonly ReadyEffect[]
}
type ReadyEffect = { readonly effect: Stepped['effects'][number]; readonly action: Implementation | undefined }

interface Row {
  readonly snapshot: number
  readonly done: boolean
  /** By the type of an event that carries nothing else: nearly all of them. */
  readonly bare: Map<string, Ready>
}

/** A bound machine with one input; `id` in its context is the key of the run whose effects are wanted. */
export class MachineTable<M extends AnyStateMachine> {
  readonly stepper: MachineStepper<M>
  readonly first: Ready
  readonly #actions: Readonly<Record<string, Implementation>>
  readonly #rows: Row[] = []

  constructor(machine: M, input: InputFrom<M>) {
    this.stepper = createMachineStepper(machine)
    this.#actions = machine.implementations.actions as unknown as Record<string, Implementation>
    this.first = this.#ready((this.stepper.start as (input: InputFrom<M>) => Stepped)(input))
  }

  /** @throws MachineStepError when a guard, an assign or a params function throws */
  step(row: Row, event: { readonly type: string }): Ready {
    const known = row.bare.get(event.type)
    const bare = isBare(event)
    if (known !== undefined && bare) return known
    const ready = this.#ready(this.stepper.send(row.snapshot, event as EventFromLogic<M>))
    if (bare) row.bare.set(event.type, ready)
    return ready
  }

  #ready(stepped: Stepped): Ready {
    const effects = stepped.effects.map((effect) => ({
      effect,
      action: effect.kind === 'action' ? this.#actions[effect.type] : undefined,
    }))
    return { stepped, row: this.#row(stepped.snapshot), effects }
  }

  #row(snapshot: number): Row {
    let row = this.#rows[snapshot]
    if (row === undefined) {
      row = { snapshot, done: this.stepper.view(snapshot).status === 'done', bare: new Map() }
      this.#rows[snapshot] = row
    }
    return row
  }
}

function isBare(event: object): boolean {
  for (const name in event) if (name !== 'type') return false
  return true
}

/** @param input the `id` in it is a placeholder: each run brings its own. */
export function machineTable<M extends AnyStateMachine>(machine: M, input: InputFrom<M>): MachineTable<M> {
  return new MachineTable(machine, input)
}

export interface RunEnd {
  /** After the last effect of a final state. */
  complete(): void
  /** An effect or a decision threw: nothing more runs. */
  error(error: unknown): void
}

/** Sees each step of a run: what it was sent, and what came of it. */
export type RunWatch = (event: { readonly type: string }, stepped: Stepped) => void

interface Armed {
  readonly delayMs: number
  readonly event: { readonly type: string }
  timer: PollTimer | undefined
}

/** One instance, with the semantics of an XState actor: effects first, then the events they led to, in order. */
export class TableRun<M extends AnyStateMachine> {
  readonly #timers = new Map<string, Armed>()
  readonly #queue: { readonly type: string }[] = []
  readonly #args: { readonly context: { readonly id: number } }
  #row: Row
  #state: 'new' | 'idle' | 'busy' | 'ended' = 'new'
  /** Timers noted in this turn; most are disarmed again before it ends. */
  #unarmed = false

  constructor(
    readonly table: MachineTable<M>,
    id: number,
    readonly end: RunEnd,
    readonly watch?: RunWatch | undefined,
  ) {
    this.#args = { context: { id } }
    this.#row = table.first.row
  }

  start(): this {
    if (this.#state !== 'new') return this
    this.watch?.({ type: 'xstate.init' }, this.table.first.stepped)
    this.#work(this.table.first)
    return this
  }

  /** What the machine says of itself now. */
  get view(): SnapshotView<M> {
    return this.table.stepper.view(this.#row.snapshot)
  }

  /** Ignored before the start and after the end. */
  send(event: EventFromLogic<M>): void {
    this.#take(event)
  }

  #take(event: { readonly type: string }): void {
    if (this.#state === 'busy') this.#queue.push(event)
    else if (this.#state === 'idle') this.#work(this.#step(event))
  }

  #step(event: { readonly type: string }): Ready | null {
    try {
      const ready = this.table.step(this.#row, event)
      this.watch?.(event, ready.stepped)
      return ready
    } catch (error) {
      this.#fail(error)
      return null
    }
  }

  #work(first: Ready | null): void {
    let step = first
    this.#state = 'busy'
    while (step !== null) {
      this.#row = step.row
      try {
        for (const effect of step.effects) this.#execute(effect)
      } catch (error) {
        this.#fail(error)
        return
      }
      if (this.#row.done) {
        this.#close()
        this.end.complete()
        return
      }
      const next = this.#queue.shift()
      if (next === undefined) break
      step = this.#step(next)
    }
    if (this.#state !== 'busy') return
    this.#state = 'idle'
    if (this.#unarmed) this.#arm()
  }

  #execute({ effect, action }: ReadyEffect): void {
    switch (effect.kind) {
      case 'action':
        action?.(this.#args, effect.params)
        return
      case 'armTimer':
        this.#disarm(effect.id)
        this.#timers.set(effect.id, { delayMs: effect.delayMs, event: effect.event, timer: undefined })
        this.#unarmed = true
        return
      case 'disarmTimer':
        this.#disarm(effect.id)
        return
      default:
        throw new TypeError(`a machine run from a table has no actors to ${effect.kind}`)
    }
  }

  #arm(): void {
    this.#unarmed = false
    for (const [id, armed] of this.#timers) {
      armed.timer ??= pollClock.setTimeout(() => {
        this.#timers.delete(id)
        this.#take(armed.event)
      }, armed.delayMs)
    }
  }

  #disarm(id: string): void {
    const timer = this.#timers.get(id)?.timer
    if (timer !== undefined) pollClock.clearTimeout(timer)
    this.#timers.delete(id)
  }

  #close(): void {
    this.#state = 'ended'
    this.#queue.length = 0
    for (const id of [...this.#timers.keys()]) this.#disarm(id)
  }

  #fail(error: unknown): void {
    this.#close()
    this.end.error(error)
  }
}

/**
 * Runs a machine of the broker from a table: thousands of short-lived connections take the same few dozen steps, so each
 * (snapshot, event) is asked of XState once and remembered. The machine still takes every decision; what is saved is the
 * interpreter, which costs more than all system calls of a handoff.
 *
 * Only for machines whose contexts and events are drawn from small closed sets: the table keeps what it has seen.
 */
import type { AnyStateMachine, EventFromLogic, InputFrom } from 'xstate'
import { createMachineStepper, type MachineStepper, type Stepped } from '../../machines/explore/machine-stepper.js'
import { type PollTimer, pollClock } from '../channel/poll-clock.js'

type Implementation = (args: { readonly context: { readonly id: number } }, params?: unknown) => void

/** A bound machine with one input; `id` in its context is the key of the run whose effects are wanted. */
export interface MachineTable<M extends AnyStateMachine> {
  readonly stepper: MachineStepper<M>
  readonly first: Stepped
  readonly actions: Readonly<Record<string, Implementation>>
}

/** @param input the `id` in it is a placeholder: each run brings its own. */
export function machineTable<M extends AnyStateMachine>(machine: M, input: InputFrom<M>): MachineTable<M> {
  const stepper = createMachineStepper(machine)
  const first = (stepper.start as (input: InputFrom<M>) => Stepped)(input)
  return { stepper, first, actions: machine.implementations.actions as unknown as MachineTable<M>['actions'] }
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
  #snapshot: number
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
    this.#snapshot = table.first.snapshot
  }

  start(): this {
    if (this.#state !== 'new') return this
    this.watch?.({ type: 'xstate.init' }, this.table.first)
    this.#work(this.table.first)
    return this
  }

  /** Ignored before the start and after the end. */
  send(event: EventFromLogic<M>): void {
    this.#take(event)
  }

  #take(event: { readonly type: string }): void {
    if (this.#state === 'busy') this.#queue.push(event)
    else if (this.#state === 'idle') this.#work(this.#step(event))
  }

  #step(event: { readonly type: string }): Stepped | null {
    try {
      const stepped = this.table.stepper.send(this.#snapshot, event as EventFromLogic<M>)
      this.watch?.(event, stepped)
      return stepped
    } catch (error) {
      this.#fail(error)
      return null
    }
  }

  #work(first: Stepped | null): void {
    let step = first
    this.#state = 'busy'
    while (step !== null) {
      this.#snapshot = step.snapshot
      try {
        for (const effect of step.effects) this.#execute(effect)
      } catch (error) {
        this.#fail(error)
        return
      }
      if (this.table.stepper.view(this.#snapshot).status === 'done') {
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

  #execute(effect: Stepped['effects'][number]): void {
    switch (effect.kind) {
      case 'action':
        this.table.actions[effect.type]?.(this.#args, effect.params)
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

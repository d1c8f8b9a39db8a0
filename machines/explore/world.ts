/**
 * A closed world: where it may begin, what may happen next, and when two states are the same.
 *
 * Everything outside is inside: the kernel, the channels, the clock (a timer is armed or not) and the faults are part
 * of the state, so that no input is left that somebody would have to invent.
 */

/**
 * Why a step happens. `progress`: a living part does what it was going to do. `timer`: an armed timer fires.
 * `fault`: something breaks (SIGKILL, a failing hook). `trigger`: an outsider asks for something.
 * Liveness counts on progress and timers only: nothing needs to break, and nobody needs to ask, for it to hold.
 */
export type StepKind = 'progress' | 'timer' | 'fault' | 'trigger'

/** One line of a sequence chart. Without `to` it is something `from` does alone. */
export interface StepNote {
  readonly from?: string
  readonly to?: string
  readonly text: string
}

export interface Step<S> {
  /**
   * Stable name, unique among the steps of one state and without volatile parts: `kill:successor`,
   * `swap:recv:sealComplete`. A label has one kind throughout the world.
   */
  readonly label: string
  readonly kind: StepKind
  readonly next: S
  /** What this step exercises: ids of transitions and states ({@link Stepped.covers}). Give the same array again where you can. */
  readonly covers?: readonly string[]
  /** For charts of paths. Computed for every step of the exploration: keep it constant, or leave it to `World.notes`. */
  readonly notes?: readonly StepNote[]
}

export interface World<S> {
  /** The initial state, or several. A state that is itself an array must be wrapped in one. */
  initial(): S | readonly S[]
  /** All that may happen next, in a fixed order: the same state must always yield the same steps. States are never mutated. */
  steps(state: S): Iterable<Step<S>>
  /**
   * What tells two states apart: a text, or (several times faster and smaller) the list of the state's parts. Small
   * integers are taken as they are, every other part is interned; the list has the same length for every state. It is
   * read at once and never kept, so one array may serve all calls.
   */
  key(state: S): string | readonly unknown[]
  /** Ids that some path should cover, e.g. the parts of all machines. Coverage is reported against them. */
  readonly coverable?: readonly string[]
  /** What the initial states have exercised already: the `covers` of their machines' starts. */
  readonly initialCovers?: readonly string[]
  /** The state as JSON for counterexamples and generated paths. Default: the state itself. */
  describe?(state: S): unknown
  /** Notes of a step of a printed path, where `Step.notes` would be too dear for every step. */
  notes?(from: S, step: Step<S>): readonly StepNote[]
}

/** The world broke its contract (keys, labels): a mistake of its author, no finding about the system. */
export class ContractError extends TypeError {
  override readonly name = 'ContractError'
}

export const initialStates = <S>(world: World<S>): readonly S[] => {
  const initial = world.initial()
  return Array.isArray(initial) ? (initial as readonly S[]) : [initial as S]
}

export const describeState = <S>(world: World<S>, state: S): unknown => (world.describe ? world.describe(state) : state)

export const notesOf = <S>(world: World<S>, from: S, step: Step<S>): readonly StepNote[] =>
  step.notes ?? world.notes?.(from, step) ?? []

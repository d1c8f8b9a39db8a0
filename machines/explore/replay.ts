/**
 * Paths as files: the labels alone bring a world back to the same state, in another process and in another year.
 */
import type { Path, PathStep } from './graph.js'
import { describeState, initialStates, notesOf, type StepKind, type World } from './world.js'

/** The least that identifies a path; JSON. */
export interface ReplayFile {
  readonly initial: number
  readonly labels: readonly string[]
}

/** A label that the state does not offer: the world is not the one the path was found in. */
export class UnknownLabelError extends Error {
  override readonly name = 'UnknownLabelError'
  constructor(
    readonly label: string,
    /** Index of the label in the path. */
    readonly at: number,
    readonly offered: readonly string[],
  ) {
    super(`step ${at} '${label}' is not possible here; possible: ${offered.join(', ') || 'nothing'}`)
  }
}

export interface Replay<S> {
  /** One more than there are labels: the initial state first. */
  readonly states: readonly S[]
  readonly path: Path
}

export const toReplayFile = ({ initial, steps }: Path): ReplayFile => ({
  initial,
  labels: steps.map(({ label }) => label),
})

/** Walks the labels. @throws UnknownLabelError at the first one that the world does not offer. */
export function replay<S>(world: World<S>, { initial, labels }: ReplayFile): Replay<S> {
  const starts = initialStates(world)
  if (initial < 0 || initial >= starts.length) {
    throw new RangeError(`the world has ${starts.length} initial states, none is number ${initial}`)
  }
  const states: S[] = [starts[initial] as S]
  const steps = labels.map((label, at): PathStep => {
    const from = states[at] as S
    const offered = [...world.steps(from)]
    const step = offered.find((other) => other.label === label)
    if (step === undefined) {
      throw new UnknownLabelError(
        label,
        at,
        offered.map((other) => other.label),
      )
    }
    states.push(step.next)
    const notes = notesOf(world, from, step)
    return {
      label,
      kind: step.kind,
      ...(notes.length > 0 ? { notes } : {}),
      ...(step.covers && step.covers.length > 0 ? { covers: step.covers } : {}),
      state: describeState(world, step.next),
    }
  })
  return { states, path: { initial, start: describeState(world, states[0] as S), steps } }
}

/** One line of a sequence chart. */
export interface SequenceRow {
  /** Index of the step in the path. */
  readonly step: number
  readonly label: string
  readonly kind: StepKind
  readonly from: string
  /** The receiving lane; the same as `from` for something done alone. */
  readonly to: string
  readonly text: string
}

/** A path, ready to be drawn. */
export interface Sequence {
  /** In the order of their first appearance. */
  readonly lanes: readonly string[]
  readonly rows: readonly SequenceRow[]
}

/**
 * The notes of a path as rows. A step without notes becomes a row of the lane `fallback`, or is left out without one.
 */
export function sequenceOf(path: Pick<Path, 'steps'>, fallback?: string): Sequence {
  const rows = path.steps.flatMap(({ label, kind, notes }, step): SequenceRow[] => {
    if (notes === undefined || notes.length === 0) {
      return fallback === undefined ? [] : [{ step, label, kind, from: fallback, to: fallback, text: label }]
    }
    return notes.map(({ from, to, text }) => {
      const lane = from ?? to ?? fallback ?? ''
      return { step, label, kind, from: lane, to: to ?? lane, text }
    })
  })
  return { lanes: [...new Set(rows.flatMap(({ from, to }) => [from, to]))], rows }
}

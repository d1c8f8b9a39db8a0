/** Ways through a closed world by way of milestones: the shortest from each to the next, so that a chart has no detours. */
import type { ReplayFile, Step, World } from '../../../machines/explore/index.js'
import { initialStates } from '../../../machines/explore/world.js'

/** Nothing is asked for and nothing breaks on the way; a trigger or a fault happens where it is a milestone itself. */
export interface Milestone<S> {
  /** The step to take at the first state where `when` holds; without it that state is the milestone. */
  readonly step?: string
  readonly when: (state: S) => boolean
}

export interface Walk {
  readonly file: ReplayFile
  /** How many steps lead to each milestone. */
  readonly reached: readonly number[]
}

/** A milestone that no way leads to. */
export class NoWayError extends Error {
  override readonly name = 'NoWayError'
}

/** Beyond this many states a milestone counts as out of reach. */
const FARTHEST = 200_000

/** @throws NoWayError at the first milestone that is out of reach. */
export function walk<S>(world: World<S>, milestones: readonly Milestone<S>[]): Walk {
  const labels: string[] = []
  const reached: number[] = []
  let state = initialStates(world)[0] as S
  for (const [index, milestone] of milestones.entries()) {
    const way = shortest(world, state, milestone)
    if (way === null) throw new NoWayError(`milestone ${index} (${milestone.step ?? 'a state'}) is out of reach`)
    labels.push(...way.map(({ label }) => label))
    state = way.at(-1)?.next ?? state
    reached.push(labels.length)
  }
  return { file: { initial: 0, labels }, reached }
}

function shortest<S>(world: World<S>, start: S, { step: label, when }: Milestone<S>): Step<S>[] | null {
  const cameBy = new Map<string, readonly [string, Step<S>] | null>()
  const keyOf = (state: S) => {
    const key = world.key(state)
    return typeof key === 'string' ? key : key.join(' ')
  }
  const wayTo = (key: string): Step<S>[] => {
    const before = cameBy.get(key)
    return before == null ? [] : [...wayTo(before[0]), before[1]]
  }
  const queue = [start]
  cameBy.set(keyOf(start), null)
  for (const state of queue) {
    const key = keyOf(state)
    if (label === undefined && when(state)) return wayTo(key)
    const offered = [...world.steps(state)]
    if (label !== undefined && when(state)) {
      const last = offered.find((step) => step.label === label)
      if (last !== undefined) return [...wayTo(key), last]
    }
    if (cameBy.size > FARTHEST) return null
    for (const step of offered) {
      if (step.kind !== 'progress' && step.kind !== 'timer') continue
      const next = keyOf(step.next)
      if (cameBy.has(next)) continue
      cameBy.set(next, [key, step])
      queue.push(step.next)
    }
  }
  return null
}

/** A scenario as rows of a chart: who tells whom what, and after each row what is true. */
import { type Path, replay, type SequenceRow, sequenceOf, type World } from '../../../machines/explore/index.js'
import type { HandoffState, HandoffWorld } from '../../../machines/handoff/world/index.js'
import { laneOf, notesOf } from './notes.js'
import { beginOf, milestonesOf, phase, type Scenario, workOf } from './scenarios.js'
import { walk } from './walk.js'

export interface LaneFacts {
  readonly isAlive: boolean
  readonly accepts: boolean
  readonly holdsLock: boolean
  readonly phase: string
}

export interface StoryRow extends SequenceRow {
  /** By lane, when the row and all that nobody sees after it are over. */
  readonly facts: ReadonlyMap<string, LaneFacts>
}

export interface Story {
  readonly lanes: readonly string[]
  readonly start: ReadonlyMap<string, LaneFacts>
  readonly rows: readonly StoryRow[]
}

export function storyOf(scenario: Scenario): Story {
  const { world, milestones } = milestonesOf(scenario)
  const { file, reached } = walk(world, milestones)
  const told: World<HandoffState> = { ...world, notes: (from, step) => notesOf(world, from, step) }
  const { path, states } = replay(told, file)
  const begin = reached[beginOf(scenario)] ?? 0
  const rows = sequenceOf({ steps: path.steps.slice(begin) } satisfies Pick<Path, 'steps'>).rows
  const lanes = ['supervisor', 'incumbent', 'successor']
  const known = [...new Set([...lanes, ...rows.flatMap(({ from, to }) => [from, to])])]
  return {
    lanes: known,
    start: factsOf(world, states[begin] as HandoffState),
    rows: rows.map((row, index) => {
      const next = rows[index + 1]
      const last = next === undefined ? states.length - 1 : begin + next.step
      // A row that shares its step with the next one is over when the step is.
      return { ...row, facts: factsOf(world, states[Math.max(last, begin + row.step + 1)] as HandoffState) }
    }),
  }
}

function factsOf(world: HandoffWorld, state: HandoffState): Map<string, LaneFacts> {
  const { players } = world
  const { supervisor, primitives, kernel } = state
  const facts = new Map<string, LaneFacts>()
  const isRunning = supervisor.life === 'running' || supervisor.life === 'stalled'
  const { machine, swap } = supervisor
  const own = swap === -1 ? players.supervisor.stepper.view(machine).value : players.swap.stepper.view(swap).value
  const nothing = { accepts: false, holdsLock: false }
  facts.set(laneOf('S'), { ...nothing, isAlive: isRunning, phase: isRunning ? phase(own) : '' })
  for (const [slot, primitive] of primitives.entries()) {
    if (primitive === null || primitive.life === 'dead') continue
    const { accepting } = primitive
    facts.set(laneOf(String.fromCharCode(65 + slot)), {
      isAlive: true,
      accepts: accepting,
      holdsLock: kernel.lock === slot,
      phase: workOf(world, state, slot) ?? '',
    })
  }
  return facts
}

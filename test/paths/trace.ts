/** What the machines did in the processes of a run, transition by transition: no more than they told themselves. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createMachineStepper, type SnapshotId } from '../../machines/explore/index.js'
import { HANDOFF_MACHINES, revive } from '../../src/observe/conformance.js'
import type { TraceStep } from '../../src/observe/trace.js'

const steppers = Object.fromEntries(
  Object.entries(HANDOFF_MACHINES).map(([name, machine]) => [name, createMachineStepper(machine, { name })]),
)

/** Every state and transition there is. */
export const EVERYTHING: readonly string[] = Object.values(steppers).flatMap(({ parts }) => [
  ...parts.states,
  ...parts.transitions.map(({ id }) => id),
])

export function exercised(trace: string): string[] {
  const covers = new Set<string>()
  for (const name of readdirSync(trace)) {
    const lines = readFileSync(join(trace, name), 'utf8').trimEnd().split('\n')
    const at = new Map<string, SnapshotId>()
    for (const line of lines.slice(1)) {
      // A process that was killed as it wrote leaves half a line.
      const step = parse(line)
      const stepper = step && steppers[step.machine]
      if (!step || !stepper) continue
      const before = at.get(step.session)
      const given = revive(step.event) as { readonly type: string; readonly input?: unknown }
      const { snapshot, covers: passed } =
        before === undefined ? stepper.start(given.input) : stepper.send(before, given as never)
      at.set(step.session, snapshot)
      for (const id of passed) covers.add(id)
    }
  }
  return [...covers]
}

function parse(line: string): TraceStep | null {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

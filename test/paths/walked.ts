/** One path from beginning to end, and everything that is to be held against it. */
import { checkTraceFiles } from '../../src/observe/conformance.js'
import type { Path } from './generate.js'
import { exercised } from './trace.js'
import { Walk } from './walk.js'

export interface Walked {
  /** What was not as the model says; null when all of it was. */
  readonly wrong: string | null
  /** Labels done. */
  readonly steps: number
  /** States and transitions that the processes passed, by their own account. */
  readonly exercised: readonly string[]
}

export async function walk(path: Path, patienceMs?: number): Promise<Walked> {
  const run = await Walk.along(path, patienceMs)
  try {
    const passed = exercised(run.trace)
    return { steps: run.steps, exercised: passed, wrong: run.wrong ?? disagreement(path, run.trace, passed) }
  } finally {
    await run.end()
  }
}

/** Its trace replays through the machines, and shows all that the path says it takes. */
function disagreement({ takes }: Path, trace: string, passed: readonly string[]): string | null {
  const { conforms, refusal } = checkTraceFiles(trace)
  if (!conforms) return `a step is unknown: ${JSON.stringify(refusal)}`
  const missing = takes.filter((id) => !passed.includes(id))
  return missing.length === 0 ? null : `the trace does not show ${missing.join('; ')}`
}

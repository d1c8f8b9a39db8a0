/** The points of the matrix, out of the traces of undisturbed runs: nobody picks them by hand. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TraceStep } from '../../src/observe/trace.js'
import { Rig } from '../supervisor/rig.js'
import { limitsUnder, SCENARIOS, type Scenario } from './scenarios.js'

export interface Point {
  readonly scenario: string
  /** Supervisor, the primitive that ran before the act, or one that began with it. */
  readonly role: 'S' | 'O' | 'N'
  readonly machine: string
  readonly state: string
}

/** Runs each scenario once, undisturbed; a state that two of them pass is listed for the first alone. */
export async function findPoints(scenarios: readonly Scenario[] = SCENARIOS): Promise<Point[]> {
  const found: Point[] = []
  const seen = new Set<string>()
  for (const scenario of scenarios) {
    for (const point of await passedBy(scenario)) {
      const key = `${point.role} ${point.machine} ${point.state}`
      if (seen.has(key)) continue
      seen.add(key)
      found.push(point)
    }
  }
  return found
}

async function passedBy(scenario: Scenario): Promise<Point[]> {
  const rig = await Rig.create({ toml: limitsUnder('SIGKILL') })
  const dir = join(rig.dir, 'trace')
  try {
    rig.env = { HANDOFF_TRACE: dir }
    await scenario.prepare(rig)
    const before = new Map(steps(dir).map(({ pid, lines }) => [pid, lines.length]))
    const incumbents = new Set(before.keys())
    await scenario.act(rig)
    await scenario.finished(rig)
    return steps(dir).flatMap(({ pid, role, lines }) =>
      lines.slice(before.get(pid) ?? 0).flatMap((step) =>
        (step.through ?? [step.state]).map((state) => ({
          scenario: scenario.name,
          role: role === 'supervisor' ? 'S' : incumbents.has(pid) ? 'O' : 'N',
          machine: step.machine,
          state,
        })),
      ),
    ) as Point[]
  } finally {
    await rig.end()
  }
}

function steps(dir: string): { pid: number; role: string; lines: TraceStep[] }[] {
  let names: string[]
  try {
    names = readdirSync(dir)
  } catch {
    return []
  }
  return names.map((name) => {
    const [head, ...lines] = readFileSync(join(dir, name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    return { pid: head.pid, role: head.role, lines }
  })
}

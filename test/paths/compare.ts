/** What must be so after a step: the machines' states, and the facts of the world. */
import type { HandoffState } from '../../machines/handoff/world/index.js'
import { NONE } from '../../machines/handoff/world/slot.js'
import { stateText } from '../../src/channel/state-text.js'
import type { Company } from './company.js'
import type { Puppet } from './puppets.js'
import { isEnded } from './stage.js'

/** What differs between the model's processes and real ones: numbers that no decision hangs on. */
const NOT_COMPARED = new Set([
  'policy',
  'canResume',
  'journaled',
  'sealed',
  'report',
  'drainBudgetMs',
  'decisionBudgetMs',
])

/** @throws Error naming the first thing that is not as the model says. */
export async function compare(company: Company, model: HandoffState): Promise<void> {
  const { supervisor } = model
  const stage = company.stage
  if (supervisor.life === 'dead' || supervisor.life === 'stopped') {
    await stage.until(() => isEnded(stage.supervisorPid), 'the supervisor does not end')
  } else if (supervisor.life === 'running') {
    await isAt(company, company.supervisor(), 'supervisor', supervisor.machine)
    if (supervisor.swap !== NONE) await isAt(company, company.supervisor(), 'swap', supervisor.swap)
  }
  for (const [slot, primitive] of model.primitives.entries()) {
    const pid = company.pids[slot]
    if (primitive === null) continue
    if (primitive.life === 'dead') await stage.until(() => isEnded(pid as number), `${pid} does not end`)
    else if (!primitive.blocked)
      await isAt(company, company.of(String.fromCharCode(65 + slot)), primitive.role, primitive.machine)
  }
  const pidAt = (slot: number) => (slot === NONE ? null : (company.pids[slot] ?? null))
  await stage.lockHeldBy(pidAt(model.kernel.lock))
  await stage.pathLeadsTo(pidAt(model.kernel.path))
  const accepting = model.primitives.findIndex((one) => one?.accepting)
  if (accepting === NONE || model.primitives[accepting]?.blocked) stage.nobodyAccepts()
  else await stage.acceptedBy(company.pids[accepting] as number)
}

async function isAt(
  company: Company,
  puppet: Puppet,
  machine: 'supervisor' | 'swap' | 'incumbent' | 'successor',
  id: number,
): Promise<void> {
  const { players } = company.world
  const view = players[machine].stepper.view(id)
  const expected = { state: stateText(view.value), ...comparable(view.context, (pid) => company.pids[pid - 1]) }
  const [model, due] = company.variant?.failure ?? ['', '']
  const text = JSON.stringify(expected).replace(`"${model}"`, `"${due}"`)
  const real = () => {
    const told = puppet.machines.get(machine)
    if (told === undefined) return 'nothing'
    return JSON.stringify({ state: stateText(told.value), ...comparable(told.context, (pid) => pid) })
  }
  await company.stage.puppets.until(
    () => real() === text,
    () => `the ${machine} of ${puppet.pid} should be\n    ${text}, is\n    ${real()}`,
  )
}

function comparable(context: unknown, pidOf: (pid: number) => number | undefined): object {
  const given = context as Readonly<Record<string, unknown>>
  const entries = Object.entries(given).flatMap(([name, value]): [string, unknown][] => {
    if (NOT_COMPARED.has(name)) return []
    if (name.endsWith('Pid')) return [[name, typeof value === 'number' ? (pidOf(value) ?? null) : null]]
    if (name === 'retiring') return [[name, (value as number[]).map((pid) => pidOf(pid) ?? 0).sort()]]
    return [[name, value]]
  })
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

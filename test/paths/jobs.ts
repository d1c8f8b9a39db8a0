/** Actors of the machines: hooks, system calls, births. Each is done for real, or made to fail, or to hang. */
import type { HandoffState } from '../../machines/handoff/world/index.js'
import { NONE } from '../../machines/handoff/world/slot.js'
import { type Company, slotOf } from './company.js'
import { NO_ID, wordOf } from './words.js'

export async function supervisorDoes(
  company: Company,
  what: string,
  before: HandoffState,
  after: HandoffState,
): Promise<void> {
  const stage = company.stage
  const supervisor = company.supervisor()
  const [src = '', how] = what.split(':')
  if (src === 'journal') return await stage.journalDone(how === 'fails', company.pidsIn(after.kernel.journal))
  const { players } = company.world
  const machine = players.job(before.supervisor.swapJob)?.src === src ? 'swap' : 'supervisor'
  const isBirth = src === 'spawnSuccessor' || src === 'startPrimitive' || src === 'startRehearsed'
  if (how === 'pid') return await supervisor.ask('deliver', { machine, job: src })
  if (how === 'fails') return await stage.failing(src, (mode) => company.run(supervisor, machine, src, mode))
  if (src === 'dialIncumbent') {
    const { path } = before.kernel
    const owner = path === NONE ? undefined : company.find(path)
    const other = { handoffId: NO_ID, role: 'incumbent', pid: 1, bySupervisor: false } as const
    const instead = Buffer.from(wordOf('Hello.otherPid', other)).toString('hex')
    const how = company.variant?.happens === 'otherHello' ? { instead } : {}
    if (owner !== undefined && !before.primitives[path]?.blocked) await owner.ask('holdGreeting', how)
  }
  await company.run(supervisor, machine, src, undefined, isBirth)
  if (isBirth) await company.born(after.supervisor.forked, src === 'startPrimitive' ? 'incumbent' : 'successor')
}

export async function primitiveDoes(
  company: Company,
  whose: string,
  what: string,
  before: HandoffState,
): Promise<void> {
  const [src = '', how] = what.split(':')
  const role = before.primitives[slotOf(whose)]?.role ?? 'incumbent'
  const puppet = company.of(whose)
  if (how === 'aborted') {
    await company.stage.puppets.until(
      () => puppet.hasResult(role, src),
      () => `${src} of ${whose} does not end, though it was asked to`,
    )
    company.begun.delete(`${whose}.${src}`)
    return await puppet.ask('deliver', { machine: role, job: src })
  }
  // A path that leads here already is put aside by nobody but its owner.
  const isOwn = src === 'publishControl' && before.kernel.path === slotOf(whose)
  if (how === 'fails' && isOwn) return await company.run(puppet, role, src, 'fail')
  if (how === 'fails') return await company.stage.failing(src, (mode) => company.run(puppet, role, src, mode))
  const mode = { hangs: 'hang', blocks: 'block' }[how ?? ''] ?? how
  await company.run(puppet, role, src, mode)
}

/** A hook that the path stops by its signal has to run when the signal comes. */
export async function beginDoomed(
  company: Company,
  at: number,
  labels: readonly string[],
  states: readonly HandoffState[],
): Promise<void> {
  const { players } = company.world
  const state = states[at] as HandoffState
  for (const [slot, primitive] of state.primitives.entries()) {
    if (primitive?.life !== 'running' || primitive.job === NONE || primitive.hung) continue
    const { src } = players.job(primitive.job) as { readonly src: string }
    const whose = String.fromCharCode(65 + slot)
    if (company.begun.has(`${whose}.${src}`)) continue
    const end = labels.findIndex(
      (label, index) => index > at && label.startsWith(`${whose}:${src}`) && isSame(states, slot, at, index - 1),
    )
    if (labels[end] !== `${whose}:${src}:aborted`) continue
    company.begun.add(`${whose}.${src}`)
    await company.run(company.of(whose), primitive.role, src, 'untilAborted', true)
  }
}

const isSame = (states: readonly HandoffState[], slot: number, from: number, to: number): boolean => {
  const job = states[from]?.primitives[slot]?.job
  for (let at = from; at <= to; at++) if (states[at]?.primitives[slot]?.job !== job) return false
  return true
}

/** Limits pass when the path says so, and only then. */
import type { HandoffState } from '../../machines/handoff/world/index.js'
import { type Company, slotOf } from './company.js'
import type { Puppet } from './puppets.js'

/** A limit passes. */
export async function pass(company: Company, label: string, before: HandoffState): Promise<void> {
  const { players } = company.world
  const stage = company.stage
  if (label === 'S:watchSuccessor:misses')
    return await company.release(company.supervisor(), 'swap', 'successor.becameUnhealthy')
  const retire = /^S:retire\.[A-H]\.(SIGTERM|SIGKILL)$/.exec(label)
  if (retire) return await company.supervisor().ask('pass', { ms: stage.pauseBefore(retire[1] as 'SIGTERM') })
  const [, whose = '', greeting, swap, name, at] =
    /^([A-HS])(\.greeting)?~(swap\.)?([^#]*)(?:#(\d+))?$/.exec(label) ?? []
  const slot = slotOf(whose)
  if (whose === 'S') {
    const machine = swap === undefined ? 'supervisor' : 'swap'
    const snapshot = swap === undefined ? before.supervisor.machine : before.supervisor.swap
    return await fire(company.supervisor(), machine, players[machine].facts(snapshot).timers, name)
  }
  const primitive = before.primitives[slot]
  if (primitive == null) throw new Error(`nobody lives at ${whose}`)
  if (greeting !== undefined) {
    const session = primitive.sessions[Number(at)]
    return await fire(company.of(whose), 'greeting', players.greeting.facts(session?.greeting ?? 0).timers, name)
  }
  await fire(company.of(whose), primitive.role, players[primitive.role].facts(primitive.machine).timers, name)
}

async function fire(
  puppet: Puppet,
  machine: string,
  timers: readonly { readonly name: string; readonly event: { readonly type: string } }[],
  name: string | undefined,
): Promise<void> {
  const timer = timers.find((one) => one.name === name)
  if (timer === undefined) throw new Error(`the model has no timer ${name}`)
  await puppet.ask('timer', { machine, type: timer.event.type })
}

/** Who plays whom: the real processes behind the model's names, and what all that leads them along has to ask of them. */
import type { HandoffState, HandoffWorld } from '../../machines/handoff/world/index.js'
import { NONE } from '../../machines/handoff/world/slot.js'
import type { Variant } from './course.js'
import type { Puppet } from './puppets.js'
import type { Stage } from './stage.js'

export class Company {
  /** By place in the model. */
  readonly pids: (number | undefined)[] = []
  /** Actors that were started before their label, because the label is their being stopped. */
  readonly begun = new Set<string>()

  constructor(
    readonly world: HandoffWorld,
    readonly stage: Stage,
    readonly variant: Variant | null,
  ) {}

  async release(puppet: Puppet, machine: string, type: string, pid?: number): Promise<void> {
    await this.stage.puppets.until(
      () => puppet.holds(machine, type, pid),
      () => `${puppet.pid} never gets ${type}`,
    )
    await puppet.ask('release', { machine, type, ...(pid === undefined ? {} : { pid }) })
  }

  /** Place of the process that is only rehearsed. */
  rehearsed({ supervisor }: HandoffState): number {
    const { rehearsedPid } = this.world.players.supervisor.stepper.view(supervisor.machine).context as {
      readonly rehearsedPid: number | null
    }
    return rehearsedPid === null ? NONE : rehearsedPid - 1
  }

  async run(puppet: Puppet, machine: string, job: string, mode?: string, withhold = false): Promise<void> {
    await this.stage.puppets.until(
      () => puppet.hasJob(machine, job),
      () => `${puppet.pid}: the ${machine} does not ask for ${job}`,
    )
    const how = { machine, job, ...(mode && { mode }), ...(withhold && { withhold }) }
    if (mode === 'block') puppet.order('run', how)
    else await puppet.ask('run', how)
  }

  async born(slot: number, role: string): Promise<void> {
    const { puppets, supervisorPid } = this.stage
    const known = new Set(this.pids)
    const child = await puppets.until(
      () => puppets.all.find(({ pid, machines }) => !known.has(pid) && pid !== supervisorPid && machines.has(role)),
      () => `no ${role} comes up`,
    )
    this.pids[slot] = child.pid
  }

  pidsIn(bits: number): number[] {
    return this.pids.flatMap((pid, slot) => ((bits & (1 << slot)) !== 0 && pid !== undefined ? [pid] : []))
  }

  find(slot: number): Puppet | undefined {
    const pid = this.pids[slot]
    return this.stage.puppets.all.find((one) => one.pid === pid && !one.ended)
  }

  of(whose: string): Puppet {
    const puppet = this.stage.puppets.all.find(({ pid }) => pid === this.pids[slotOf(whose)])
    if (puppet === undefined) throw new Error(`no process plays ${whose}`)
    return puppet
  }

  supervisor(): Puppet {
    const { puppets, supervisorPid } = this.stage
    const puppet = puppets.all.find(({ pid }) => pid === supervisorPid)
    if (puppet === undefined) throw new Error('no supervisor runs')
    return puppet
  }
}

export const slotOf = (name: string): number => name.charCodeAt(0) - 65

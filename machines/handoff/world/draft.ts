/** One step in the making: records are copied when they change, and made one again at the end. */

import type { Players } from './cast.js'
import type { Cast } from './options.js'
import {
  type Budgets,
  CLOSED,
  type HandoffState,
  type Kernel,
  NONE,
  OPEN,
  type Pools,
  type Primitive,
  type Slot,
  type Stream,
  type Supervisor,
} from './state.js'
import type { Traffic } from './traffic.js'

type Raw<T> = Omit<T, 'id'>

export class Draft {
  supervisor: Raw<Supervisor>
  kernel: Raw<Kernel>
  budgets: Raw<Budgets>
  traffic: Raw<Traffic>
  readonly primitives: (Raw<Primitive> | null)[]
  covers: readonly string[] = []

  constructor(
    readonly before: HandoffState,
    private readonly players: Players,
    private readonly pools: Pools,
  ) {
    this.supervisor = before.supervisor
    this.kernel = before.kernel
    this.budgets = before.budgets
    this.traffic = before.traffic
    this.primitives = before.primitives.slice()
  }

  setSupervisor(changes: Partial<Raw<Supervisor>>): void {
    this.supervisor = { ...this.supervisor, ...changes }
  }

  setKernel(changes: Partial<Raw<Kernel>>): void {
    this.kernel = { ...this.kernel, ...changes }
  }

  setTraffic(changes: Partial<Raw<Traffic>>): void {
    this.traffic = { ...this.traffic, ...changes }
  }

  setPrimitive(slot: Slot, changes: Partial<Raw<Primitive>>): void {
    this.primitives[slot] = { ...this.primitive(slot), ...changes }
  }

  primitive(slot: Slot): Raw<Primitive> {
    const primitive = this.primitives[slot]
    if (primitive == null) throw new RangeError(`no process in place ${slot}`)
    return primitive
  }

  isAlive(slot: Slot): boolean {
    return this.primitives[slot]?.life === 'running'
  }

  spend(budget: keyof Raw<Budgets>): void {
    this.budgets = { ...this.budgets, [budget]: this.budgets[budget] - 1 }
  }

  cover(covers: readonly string[]): void {
    this.covers = this.covers.length === 0 ? covers : joined(this.covers, covers)
  }

  stream(stream: Raw<Stream>): Stream {
    return this.pools.stream(stream)
  }

  setChannel(slot: Slot, changes: Partial<Raw<Stream>>): void {
    const { channel } = this.primitive(slot)
    if (channel === null) return
    const next = { ...channel, ...changes }
    const isOver = next.supervisorEnd === CLOSED && next.primitiveEnd === CLOSED
    this.setPrimitive(slot, { channel: isOver ? null : this.stream(next) })
  }

  /** A session whose two ends are closed is gone. */
  setSession(slot: Slot, at: number, changes: Partial<Raw<Stream>>): void {
    const { sessions } = this.primitive(slot)
    const next = { ...(sessions[at] as Stream), ...changes }
    const isOver = next.supervisorEnd === CLOSED && next.primitiveEnd === CLOSED
    const rest = isOver ? [] : [this.stream(next)]
    this.setPrimitive(slot, { sessions: [...sessions.slice(0, at), ...rest, ...sessions.slice(at + 1)] })
  }

  finish(): HandoffState {
    const { pools, before } = this
    const supervisor = this.supervisor === before.supervisor ? before.supervisor : pools.supervisor(this.supervisor)
    const referred = this.referred()
    return {
      supervisor,
      kernel: this.kernel === before.kernel ? before.kernel : pools.kernel(this.kernel),
      budgets: this.budgets === before.budgets ? before.budgets : pools.budgets(this.budgets),
      traffic: this.traffic === before.traffic ? before.traffic : pools.traffic(this.traffic),
      primitives: this.primitives.map((primitive, slot) => {
        if (primitive === null) return null
        if (primitive.life === 'dead' && (referred & (1 << slot)) === 0) return null
        return primitive === before.primitives[slot] ? (primitive as Primitive) : pools.primitive(primitive)
      }),
    }
  }

  /** Places that somebody still names: a number is used again only when nobody can mistake it. */
  private referred(): number {
    const { supervisor, kernel, players } = this
    let bits = kernel.journal
    if (kernel.path !== NONE) bits |= 1 << kernel.path
    if (supervisor.journalling !== NONE) bits |= supervisor.journalling
    if (supervisor.life === 'running' || supervisor.life === 'stalled') {
      bits |= supervisor.known | namedBy(players.supervisor, supervisor.machine)
      if (supervisor.swap !== NONE) bits |= namedBy(players.swap, supervisor.swap)
    }
    this.primitives.forEach((primitive, slot) => {
      if (primitive === null) return
      const isRead = (stream: Stream | null) => stream !== null && stream.supervisorEnd === OPEN
      if (isRead(primitive.channel) || primitive.sessions.some(isRead)) bits |= 1 << slot
    })
    return bits
  }
}

interface PidHolder {
  readonly primitivePid?: number | null
  readonly incumbentPid?: number
  readonly successorPid?: number | null
  readonly rehearsedPid?: number | null
  readonly journaled?: readonly number[]
  readonly retiring?: readonly number[]
}

const named = new WeakMap<object, number[]>()

function namedBy(player: Players[keyof Cast], snapshot: number): number {
  let known = named.get(player)
  if (known === undefined) {
    known = []
    named.set(player, known)
  }
  let bits = known[snapshot]
  if (bits === undefined) {
    const { primitivePid, incumbentPid, successorPid, rehearsedPid, journaled, retiring } = player.stepper.view(
      snapshot,
    ).context as PidHolder
    bits = 0
    for (const pid of [
      primitivePid,
      incumbentPid,
      successorPid,
      rehearsedPid,
      ...(journaled ?? []),
      ...(retiring ?? []),
    ]) {
      if (typeof pid === 'number' && pid > 0) bits |= 1 << slotOf(pid)
    }
    known[snapshot] = bits
  }
  return bits
}

export const pidOf = (slot: Slot): number => slot + 1
export const slotOf = (pid: number): Slot => pid - 1

const joins = new WeakMap<readonly string[], WeakMap<readonly string[], readonly string[]>>()

function joined(first: readonly string[], second: readonly string[]): readonly string[] {
  let seconds = joins.get(first)
  if (seconds === undefined) {
    seconds = new WeakMap()
    joins.set(first, seconds)
  }
  let both = seconds.get(second)
  if (both === undefined) {
    both = [...new Set([...first, ...second])]
    seconds.set(second, both)
  }
  return both
}

/**
 * One step in the making: fields that were set, before those of the state that it leaves. It looks at no field that nobody
 * asks for, so that what is remembered of a step depends on nothing else.
 */
import type { Change, StepKind, Write } from '../../explore/index.js'
import type { Players } from './cast.js'
import type { Cast } from './options.js'
import { NONE, type Slot } from './slot.js'
import {
  type Budgets,
  CLOSED,
  type HandoffState,
  type Kernel,
  OPEN,
  type Pools,
  type Primitive,
  type Stream,
  type Supervisor,
} from './state.js'
import type { Traffic } from './traffic.js'

type Raw<T> = Omit<T, 'id'>
type Part = 'supervisor' | 'kernel' | 'budgets' | 'traffic'

export class Draft {
  covers: readonly string[] = []
  private readonly changes: { -readonly [Name in Part]?: Partial<Raw<HandoffState[Name]>> } = {}
  private readonly changedPrimitives: Partial<Raw<Primitive>>[] = []
  private readonly born = new Set<Slot>()
  private list: readonly (Raw<Primitive> | null)[] | undefined

  constructor(
    readonly before: HandoffState,
    private readonly players: Players,
    private readonly pools: Pools,
  ) {}

  get supervisor(): Raw<Supervisor> {
    return seenThrough(this.changes.supervisor, this.before.supervisor)
  }

  get kernel(): Raw<Kernel> {
    return seenThrough(this.changes.kernel, this.before.kernel)
  }

  get budgets(): Raw<Budgets> {
    return seenThrough(this.changes.budgets, this.before.budgets)
  }

  get traffic(): Raw<Traffic> {
    return seenThrough(this.changes.traffic, this.before.traffic)
  }

  get primitives(): readonly (Raw<Primitive> | null)[] {
    if (this.list === undefined) {
      const list: (Raw<Primitive> | null)[] = []
      for (let slot = 0; slot < this.before.primitives.length; slot++)
        Object.defineProperty(list, slot, { get: () => this.at(slot), enumerable: true })
      this.list = list
    }
    return this.list
  }

  private at(slot: Slot): Raw<Primitive> | null {
    const changes = this.changedPrimitives[slot]
    if (this.born.has(slot)) return changes as Raw<Primitive>
    const before = this.before.primitives[slot] ?? null
    return before && seenThrough(changes, before)
  }

  setSupervisor(changes: Partial<Raw<Supervisor>>): void {
    this.changes.supervisor = { ...this.changes.supervisor, ...changes }
  }

  /** Was one of these fields of the supervisor set in this step? */
  hasSet(...fields: readonly (keyof Raw<Supervisor>)[]): boolean {
    const set = this.changes.supervisor
    return set !== undefined && fields.some((field) => field in set)
  }

  setKernel(changes: Partial<Raw<Kernel>>): void {
    this.changes.kernel = { ...this.changes.kernel, ...changes }
  }

  setTraffic(changes: Partial<Raw<Traffic>>): void {
    this.changes.traffic = { ...this.changes.traffic, ...changes }
  }

  setPrimitive(slot: Slot, changes: Partial<Raw<Primitive>>): void {
    this.primitive(slot)
    this.changedPrimitives[slot] = { ...this.changedPrimitives[slot], ...changes }
  }

  /** A process begins, in a place that is free. */
  bear(slot: Slot, primitive: Raw<Primitive>): void {
    this.born.add(slot)
    this.changedPrimitives[slot] = primitive
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
    this.changes.budgets = { ...this.changes.budgets, [budget]: this.budgets[budget] - 1 }
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

  /** The first place that nobody has and nobody names; -1: none. */
  freePlace(): Slot {
    return this.primitives.findIndex(
      (primitive, slot) => primitive === null || isForgotten(this, this.players, primitive, slot),
    )
  }

  /** What was set, as a step of this name. */
  finish(label: string, kind: StepKind): Change<HandoffState> {
    const { covers } = this
    const writes: Write<HandoffState>[] = []
    for (const [part, fields] of Object.entries(this.changes)) writes.push({ part: part as Part, fields })
    this.changedPrimitives.forEach((fields, place) => {
      writes.push({ part: 'primitives', place, fields })
    })
    return { label, kind, covers, writes }
  }
}

/** A record of which some fields were set. */
function seenThrough<T extends object>(changes: Partial<T> | undefined, before: T): T {
  if (changes === undefined) return before
  return new Proxy(changes, {
    get: (set, name) => (Object.hasOwn(set, name) ? set[name as keyof T] : before[name as keyof T]),
  }) as T
}

/** Dead, and nobody names its place: a number is used again only when nobody can mistake it. */
export function forgotten(state: HandoffState, players: Players, place: Slot): Write<HandoffState>[] {
  const primitive = state.primitives[place]
  return primitive != null && isForgotten(state, players, primitive, place)
    ? [{ part: 'primitives', place, fields: null }]
    : []
}

function isForgotten(
  { supervisor, kernel }: HandoffState | Draft,
  players: Players,
  { life, channel, sessions }: Raw<Primitive>,
  slot: Slot,
): boolean {
  if (life !== 'dead') return false
  const bit = 1 << slot
  const isRead = (stream: Stream | null) => stream !== null && stream.supervisorEnd === OPEN
  if (isRead(channel) || sessions.some(isRead)) return false
  if (kernel.path === slot || (kernel.journal & bit) !== 0) return false
  if (supervisor.journalling !== NONE && (supervisor.journalling & bit) !== 0) return false
  if (supervisor.life !== 'running' && supervisor.life !== 'stalled') return true
  if ((supervisor.known & bit) !== 0 || (namedBy(players.supervisor, supervisor.machine) & bit) !== 0) return false
  return supervisor.swap === NONE || (namedBy(players.swap, supervisor.swap) & bit) === 0
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

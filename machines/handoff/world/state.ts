/**
 * The world's state: one supervisor, places for primitives, the kernel's facts, what may still happen, and ghosts.
 *
 * Every record is made once per content, so that records that did not change cost the exploration one look-up.
 */
import type { Shape, SnapshotId } from '../../explore/index.js'
import type { Slot } from './slot.js'
import { type Traffic, trafficKey } from './traffic.js'

/** Numbers of messages or effects in the tables of the cast. */
export type Frames = readonly number[]

/** The record of a start that is about to be made: no pid is known yet. */
export const BEGUN = 1 << 8

/** How an end of a stream stands. An EOF that was read closes the own end too. */
export const CLOSED = 0
export const OPEN = 1

/** One stream between the supervisor and a primitive; bytes written before an end remain readable. */
export interface Stream {
  readonly toPrimitive: Frames
  readonly toSupervisor: Frames
  readonly supervisorEnd: number
  readonly primitiveEnd: number
  /** On the control socket: the greeting machine of this connection, until it is admitted as the session (-2). */
  readonly greeting: SnapshotId
  readonly id: number
}
export const ADMITTED = -2
/** Made by the kernel, not accepted yet. */
export const BACKLOG = -3

export type Role = 'incumbent' | 'successor'

export interface Primitive {
  /** `dead`: a number in somebody's hand, or bytes that somebody may still read. */
  readonly life: 'running' | 'dead'
  readonly role: Role
  /** Which of the world's builds it is of. */
  readonly build: number
  readonly machine: SnapshotId
  /** Effects decided and not executed yet. */
  readonly outbox: number
  /** The actor that runs, with its input; -1: none. */
  readonly job: number
  readonly stopRequested: boolean
  /** The running hook will never settle. */
  readonly hung: boolean
  /** And it blocks its process. */
  readonly blocked: boolean
  /** The running hook was asked to stop. */
  readonly cancelled: boolean
  readonly accepting: boolean
  /** State is open for writing, or may be. */
  readonly open: boolean
  /** The last seal succeeded and nothing was opened since. */
  readonly sealed: boolean
  /** It has published its control socket before. */
  readonly published: boolean
  /** Ghost: somebody else accepted writes since its own opening. */
  readonly stale: boolean
  /** Ghost: it stopped accepting for a swap, and neither resumed nor reopened since. */
  readonly owesResume: boolean
  /** Ghost: what its opening reported. */
  readonly report: 'none' | 'good' | 'bad'
  /** Ghost: it suffered a fault of its own or was told to stop: its end is no decision of the protocol. */
  readonly broken: boolean
  readonly channel: Stream | null
  readonly sessions: readonly Stream[]
  readonly id: number
}

export interface Supervisor {
  readonly life: 'running' | 'stalled' | 'dead' | 'stopped'
  readonly machine: SnapshotId
  readonly outbox: number
  readonly job: number
  readonly swap: SnapshotId
  readonly swapOutbox: number
  readonly swapJob: number
  /** The child that was just started and whose pid the machine does not know yet. */
  readonly forked: Slot
  /** Children and watched processes, as bits: their ends are told. */
  readonly known: number
  /** Committed-away incumbents: not asked yet, asked to end. */
  readonly retiring: number
  readonly asked: number
  readonly holdsListeners: boolean
  /** A journal record on its way to disk: pids as in {@link Kernel.journal}; -1: none. */
  readonly journalling: number
  readonly id: number
}

export interface Kernel {
  /** Holder of the data-dir lock. */
  readonly lock: Slot
  /** Whose socket the control path names, living or dead. */
  readonly path: Slot
  /** Pids of the record on disk, as bits of slots, or {@link BEGUN}; 0: no record. */
  readonly journal: number
  /** Ghost: the listening sockets were bound once. */
  readonly bound: boolean
  /** Ghost: somebody has served. */
  readonly served: boolean
  /** Ghost: the last process of a service whose supervisor was gone ended itself. */
  readonly abandoned: boolean
  /** Ghost: a journal record was lost on its way to the disk, or could not be read. */
  readonly journalFailed: boolean
  readonly id: number
}

export interface Budgets {
  readonly swaps: number
  readonly faults: number
  readonly restarts: number
  readonly orders: number
  readonly rehearsals: number
  readonly id: number
}

export interface HandoffState {
  readonly supervisor: Supervisor
  readonly primitives: readonly (Primitive | null)[]
  readonly kernel: Kernel
  readonly budgets: Budgets
  readonly traffic: Traffic
}

/** Alive, and its event loop turns. */
export const isOnLoop = (
  { primitives }: { readonly primitives: readonly (Omit<Primitive, 'id'> | null)[] },
  slot: Slot,
): boolean => {
  const primitive = primitives[slot]
  return primitive?.life === 'running' && !primitive.blocked
}

/** Gives equal records one identity and a number. */
export function createPool<T extends { readonly id: number }>(keyOf: (record: Omit<T, 'id'>) => string) {
  const known = new Map<string, T>()
  return (record: Omit<T, 'id'>): T => {
    const key = keyOf(record)
    let same = known.get(key)
    if (same === undefined) {
      same = Object.freeze({ ...record, id: known.size }) as unknown as T
      known.set(key, same)
    }
    return same
  }
}

const bit = (flag: boolean): string => (flag ? '1' : '0')

export const createPools = () => ({
  stream: createPool<Stream>(
    (s) => `${s.toPrimitive.join(',')}|${s.toSupervisor.join(',')}|${s.supervisorEnd}${s.primitiveEnd}${s.greeting}`,
  ),
  primitive: createPool<Primitive>(
    (p) =>
      `${p.life}${p.role}${p.build}${p.machine},${p.outbox},${p.job},${bit(p.stopRequested)}${bit(p.hung)}${bit(p.blocked)}${bit(p.cancelled)}${bit(p.accepting)}${bit(p.open)}${bit(p.sealed)}${bit(p.published)}${bit(p.stale)}${bit(p.owesResume)}${p.report}${bit(p.broken)}|${p.channel?.id ?? '-'}|${p.sessions.map(({ id }) => id).join(',')}`,
  ),
  supervisor: createPool<Supervisor>(
    (s) =>
      `${s.life}${s.machine},${s.outbox},${s.job},${s.swap},${s.swapOutbox},${s.swapJob},${s.forked},${s.known},${s.retiring},${s.asked},${bit(s.holdsListeners)},${s.journalling}`,
  ),
  kernel: createPool<Kernel>(
    (k) => `${k.lock},${k.path},${k.journal},${bit(k.bound)}${bit(k.served)}${bit(k.abandoned)}${bit(k.journalFailed)}`,
  ),
  traffic: createPool<Traffic>(trafficKey),
  budgets: createPool<Budgets>((b) => `${b.swaps},${b.faults},${b.restarts},${b.orders},${b.rehearsals}`),
})
export type Pools = ReturnType<typeof createPools>

type FieldsOf<T> = Readonly<Record<Exclude<keyof T, 'id'>, true>>
const SUPERVISOR: FieldsOf<Supervisor> = {
  life: true,
  machine: true,
  outbox: true,
  job: true,
  swap: true,
  swapOutbox: true,
  swapJob: true,
  forked: true,
  known: true,
  retiring: true,
  asked: true,
  holdsListeners: true,
  journalling: true,
}
const KERNEL: FieldsOf<Kernel> = {
  lock: true,
  path: true,
  journal: true,
  bound: true,
  served: true,
  abandoned: true,
  journalFailed: true,
}
const BUDGETS: FieldsOf<Budgets> = { swaps: true, faults: true, restarts: true, orders: true, rehearsals: true }
const TRAFFIC: FieldsOf<Traffic> = { connections: true, moves: true }
const PRIMITIVE: FieldsOf<Primitive> = {
  life: true,
  role: true,
  build: true,
  machine: true,
  outbox: true,
  job: true,
  stopRequested: true,
  hung: true,
  blocked: true,
  cancelled: true,
  accepting: true,
  open: true,
  sealed: true,
  published: true,
  stale: true,
  owesResume: true,
  report: true,
  broken: true,
  channel: true,
  sessions: true,
}

/** The records of the state, for rules; the compiler sees to it that no field is missing. */
export const shapeOf = (places: number, pools: Pools): Shape<HandoffState> => ({
  supervisor: { fields: Object.keys(SUPERVISOR), pooled: pools.supervisor },
  kernel: { fields: Object.keys(KERNEL), pooled: pools.kernel },
  budgets: { fields: Object.keys(BUDGETS), pooled: pools.budgets },
  traffic: { fields: Object.keys(TRAFFIC), pooled: pools.traffic },
  primitives: { fields: Object.keys(PRIMITIVE), places, pooled: pools.primitive },
})

/** Every record is one small number: the cheapest key there is. */
export const keyOf = ({ supervisor, primitives, kernel, budgets, traffic }: HandoffState): number[] => {
  const key = [supervisor.id, kernel.id, budgets.id, traffic.id]
  for (const primitive of primitives) key.push(primitive === null ? -1 : primitive.id)
  return key
}

/**
 * Live connections in the world: who holds a descriptor, who reads, what lies unread in the kernel, and what passes between
 * an incumbent and the successors that asked it for copies.
 *
 * A connection carries one request. A word on a move's channel takes effect at once: who is to act by it looks into the
 * channel before it acts, and what a process wrote before it ended can still be read.
 */
import type { Draft } from './draft.js'
import { NONE, type Slot } from './slot.js'
import { isOnLoop } from './state.js'
import type { Connection, Move, Traffic } from './traffic.js'

const ABSENT: Connection = {
  phase: 'absent',
  request: 'none',
  takenBy: NONE,
  holds: 0,
  staged: 0,
  reads: 0,
  told: 0,
  given: 0,
  left: 0,
  stale: 0,
}
const OVER: Connection = { ...ABSENT, phase: 'over' }

export const noTraffic = (connections: number): Omit<Traffic, 'id'> => ({
  connections: Array.from({ length: connections }, () => ABSENT),
  moves: [],
})

const bit = (slot: Slot): number => 1 << slot
const without = (bits: number, slot: Slot): number => bits & ~bit(slot)

type Change = (connection: Connection) => Connection

/** Changes every open connection, and closes those that nobody holds any more. */
function each(draft: Draft, change: Change): void {
  const { connections } = draft.traffic
  const next = connections.map((connection) => (connection.phase === 'open' ? settled(change(connection)) : connection))
  if (next.some((connection, at) => connection !== connections[at])) draft.setTraffic({ connections: next })
}

const settled = (connection: Connection): Connection => {
  if (connection.holds === 0) return OVER
  const stale = connection.stale & connection.holds
  return stale === connection.stale ? connection : { ...connection, stale }
}

function at(draft: Draft, index: number, change: Change): void {
  draft.setTraffic({
    connections: draft.traffic.connections.map((connection, other) =>
      other === index ? settled(change(connection)) : connection,
    ),
  })
}

/** Lets go of a descriptor, and of all that was known by it. */
const dropped = (connection: Connection, slot: Slot): Connection => ({
  ...connection,
  holds: without(connection.holds, slot),
  staged: without(connection.staged, slot),
  reads: without(connection.reads, slot),
  told: without(connection.told, slot),
  given: without(connection.given, slot),
  left: without(connection.left, slot),
})

const isHeld = ({ holds, staged }: Connection, slot: Slot): boolean => (holds & ~staged & bit(slot)) !== 0

/** Whoever reads takes what lies in the kernel; the others no longer know where the connection rests. */
const taken = (connection: Connection, slot: Slot): Connection => ({
  ...connection,
  request: 'taken',
  takenBy: slot,
  stale: connection.holds & ~bit(slot),
})

const reading = (connection: Connection, slot: Slot): Connection => {
  const next = { ...connection, reads: connection.reads | bit(slot) }
  return next.request === 'unread' ? taken(next, slot) : next
}

// --- clients ---

export function connect(draft: Draft, index: number, slot: Slot): void {
  const { connections } = draft.traffic
  const connection: Connection = { ...ABSENT, phase: 'open', holds: bit(slot), reads: bit(slot) }
  draft.setTraffic({ connections: connections.map((other, where) => (where === index ? connection : other)) })
}

/** Taken at once by whoever reads and is not blocked: nothing that matters lies between the two. */
export function arrive(draft: Draft, index: number): void {
  const { reads = 0 } = draft.traffic.connections[index] ?? {}
  const reader = draft.primitives.findIndex((_, slot) => (reads & bit(slot)) !== 0 && isOnLoop(draft, slot))
  at(draft, index, (connection) => (reader === NONE ? { ...connection, request: 'unread' } : taken(connection, reader)))
}

export function hangUp(draft: Draft, index: number): void {
  at(draft, index, () => OVER)
}

/** Once answered it rests, where nobody reads on. */
export function answer(draft: Draft, index: number, readsOn: boolean): void {
  at(draft, index, (connection) => ({
    ...connection,
    request: 'done',
    takenBy: NONE,
    reads: readsOn ? connection.reads : without(connection.reads, connection.takenBy),
  }))
}

// --- the incumbent ---

/** Serving, also once more after an abort: what rests is read again, from where it rests. */
export function readOn(draft: Draft, slot: Slot): void {
  each(draft, (connection) => (isHeld(connection, slot) ? reading(connection, slot) : connection))
}

/** The drain leaves what rests unread; what is busy rests once it is answered. */
export function park(draft: Draft, slot: Slot): void {
  each(draft, (connection) =>
    connection.takenBy === slot ? connection : { ...connection, reads: without(connection.reads, slot) },
  )
}

/** All that is not staged yet, while there is room. */
export function copy(draft: Draft, slot: Slot, successor: Slot): void {
  for (const move of movesOf(draft, slot)) if (move.to !== successor) endMove(draft, move)
  const move = movesOf(draft, slot).at(-1)
  if (move !== undefined) stage(draft, move, () => true)
}

function stage(draft: Draft, { from, to, full }: Move, isOffered: (connection: Connection) => boolean): void {
  if (full) return
  each(draft, (connection) =>
    isHeld(connection, from) && (connection.holds & bit(to)) === 0 && isOffered(connection)
      ? { ...connection, holds: connection.holds | bit(to), staged: connection.staged | bit(to) }
      : connection,
  )
}

const isResting = ({ reads, takenBy }: Connection, slot: Slot): boolean => takenBy !== slot && (reads & bit(slot)) === 0

/** Something can be told: somebody listens, and a connection is open. */
export function hasCut(draft: Pick<Draft, 'traffic'>, slot: Slot): boolean {
  const { connections } = draft.traffic
  return movesOf(draft, slot).at(-1)?.stage === 'copied' && connections.some((connection) => isHeld(connection, slot))
}

export function tellCut(draft: Draft, slot: Slot): void {
  const move = movesOf(draft, slot).at(-1)
  if (move === undefined) return
  stage(draft, move, (connection) => isResting(connection, slot))
  each(draft, (connection) =>
    isHeld(connection, slot) && isResting(connection, slot) && (connection.staged & bit(move.to)) !== 0
      ? { ...connection, told: connection.told | bit(move.to), stale: without(connection.stale, move.to) }
      : connection,
  )
  setMove(draft, move, { stage: 'told' })
}

export function agreeOnCut(draft: Draft, slot: Slot): void {
  const move = movesOf(draft, slot).at(-1)
  if (move?.stage !== 'told') return
  each(draft, (connection) =>
    (connection.told & bit(move.to)) === 0 ? connection : { ...connection, given: connection.given | bit(slot) },
  )
  setMove(draft, move, { stage: 'agreed' })
}

/** The exchange failed or took too long, and the successor is told: nothing of this is its own. */
export function giveUp(draft: Draft, slot: Slot): void {
  const move = movesOf(draft, slot).at(-1)
  if (move !== undefined) endMove(draft, move)
}

/** The successors are told first. What one of them has read on ends here: nobody knows where it stood. */
export function takeBack(draft: Draft, slot: Slot): void {
  for (const move of movesOf(draft, slot)) endMove(draft, move)
  each(draft, (connection) => {
    if ((connection.left & bit(slot)) !== 0) return dropped(connection, slot)
    return (connection.given & bit(slot)) === 0 ? connection : { ...connection, given: without(connection.given, slot) }
  })
}

/** Another process serves: what it has is let go of, the rest is read again and answered through it. */
export function linger(draft: Draft, slot: Slot): void {
  each(draft, (connection) => {
    if (!isHeld(connection, slot)) return connection
    return ((connection.given | connection.left) & bit(slot)) === 0
      ? reading(connection, slot)
      : dropped(connection, slot)
  })
}

/** What was busy at the cut and rests now follows to the process that serves, which reads it from there. */
export function follow(draft: Draft, index: number, slot: Slot, successor: Slot): void {
  at(draft, index, (connection) => {
    const theirs = {
      ...connection,
      holds: connection.holds | bit(successor),
      stale: without(connection.stale, successor),
    }
    return reading(dropped(theirs, slot), successor)
  })
}

/** Its last word may have been heard, or not: nobody may read then but the successor, and that has closed it (INV-14). */
export function letGo(draft: Draft, index: number, slot: Slot): void {
  at(draft, index, (connection) => dropped(connection, slot))
}

export const hasNone = ({ traffic }: Pick<Draft, 'traffic'>, slot: Slot): boolean =>
  !traffic.connections.some((connection) => isHeld(connection, slot))

// --- the successor ---

/** Asks for copies. `full`: it has no room for any. */
export function fetch(draft: Draft, slot: Slot, incumbent: Slot, full: boolean): void {
  // An incumbent copies for two at a time; the older one never got its turn.
  for (const old of movesOf(draft, incumbent).slice(0, -1)) endMove(draft, old)
  const move: Move = { from: incumbent, to: slot, full, stage: 'copied' }
  draft.setTraffic({ moves: [...draft.traffic.moves, move] })
  stage(draft, move, () => true)
}

/** It serves: says so to the incumbent, and then reads what the cut has named. Its other copies it closes. */
export function adopt(draft: Draft, slot: Slot): void {
  each(draft, (connection) => {
    if ((connection.staged & bit(slot)) === 0) return connection
    if ((connection.told & bit(slot)) === 0) return dropped(connection, slot)
    const mine: Connection = {
      ...connection,
      staged: without(connection.staged, slot),
      told: without(connection.told, slot),
      left: connection.left | (connection.holds & ~bit(slot)),
    }
    return reading(mine, slot)
  })
  draft.setTraffic({ moves: draft.traffic.moves.filter(({ to }) => to !== slot) })
}

// --- both ---

/** A process is gone: the kernel closes its descriptors. A successor that was not told the whole cut drops its copies. */
export function leave(draft: Draft, slot: Slot): void {
  const { moves } = draft.traffic
  for (const { from, to, stage: how } of moves) if (from === slot && how === 'copied') dropCopies(draft, to)
  const others = moves.filter(({ from, to }) => from !== slot && to !== slot)
  if (others.length !== moves.length) draft.setTraffic({ moves: others })
  each(draft, (connection) => {
    const lost = connection.takenBy === slot ? ({ request: 'done', takenBy: NONE } as const) : {}
    return (connection.holds & bit(slot)) === 0 ? connection : dropped({ ...connection, ...lost }, slot)
  })
}

const movesOf = ({ traffic }: Pick<Draft, 'traffic'>, slot: Slot): Move[] =>
  traffic.moves.filter(({ from }) => from === slot)

function setMove(draft: Draft, move: Move, changes: Partial<Move>): void {
  draft.setTraffic({ moves: draft.traffic.moves.map((other) => (other === move ? { ...move, ...changes } : other)) })
}

function endMove(draft: Draft, move: Move): void {
  dropCopies(draft, move.to)
  draft.setTraffic({ moves: draft.traffic.moves.filter((other) => other !== move) })
}

function dropCopies(draft: Draft, successor: Slot): void {
  each(draft, (connection) =>
    (connection.staged & bit(successor)) === 0 ? connection : dropped(connection, successor),
  )
}

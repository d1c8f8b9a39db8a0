/** What the kernel does for processes: locks, paths, listening sockets, births, deaths, signals. */

import type { Players } from './cast.js'
import { leave } from './connections.js'
import type { Draft } from './draft.js'
import type { Slot } from './slot.js'
import { NONE } from './slot.js'
import type { Role } from './state.js'
import { ADMITTED, BACKLOG, CLOSED, type HandoffState, OPEN, type Primitive } from './state.js'
import { isHeard } from './strange.js'

/** Only a serving incumbent greets: an answer on the control path is a proof of service (INV-09). */
export function answers(
  state: Pick<HandoffState, 'kernel' | 'primitives'> | Draft,
  players: Players,
  slot: Slot,
): boolean {
  const primitive = state.primitives[slot]
  return (
    state.kernel.path === slot &&
    primitive?.life === 'running' &&
    primitive.role === 'incumbent' &&
    primitive.accepting &&
    !primitive.blocked &&
    players.playerOf(primitive).facts(primitive.machine).accepting
  )
}

/** What a look at the control path finds. Ours greets when it serves; the reference whenever its loop waits for somebody. */
export function greets(
  state: Pick<HandoffState, 'kernel' | 'primitives'> | Draft,
  players: Players,
  slot: Slot,
): boolean {
  const primitive = state.primitives[slot]
  if (state.kernel.path !== slot || primitive?.life !== 'running' || primitive.blocked) return false
  // Its loop comes to the socket when it has done what it decided.
  const facts = players.playerOf(primitive).facts(primitive.machine)
  return facts.oneSession
    ? facts.greets && primitive.outbox === 0 && !isTaken(primitive)
    : answers(state, players, slot)
}

/** Somebody was greeted and is not gone. */
export const isTaken = ({ sessions }: Pick<Primitive, 'sessions'>): boolean =>
  sessions.some(({ greeting, primitiveEnd }) => greeting !== BACKLOG && primitiveEnd === OPEN)

export const whoGreets = (state: HandoffState | Draft, players: Players): Slot =>
  state.kernel.path !== NONE && greets(state, players, state.kernel.path) ? state.kernel.path : NONE

/**
 * A look is answered only after everything that lay in other connections before it was taken (contract of the control
 * server): a Hello that an unread PrepareHandoff contradicts would be a promise broken at once (INV-12).
 */
export function canBeAsked({ primitives }: HandoffState, players: Players, slot: Slot): boolean {
  const primitive = primitives[slot]
  // Who is blocked never answers: the look ends by its own limit.
  if (primitive?.life !== 'running' || primitive.blocked) return true
  // The reference's loop comes back to its socket when the hook that it waits for has ended.
  const isOneSession = players.playerOf(primitive).facts(primitive.machine).oneSession
  if (isOneSession && primitive.job !== NONE && !primitive.hung) return false
  return !primitive.sessions.some(
    ({ greeting, primitiveEnd, toPrimitive, supervisorEnd }) =>
      greeting !== BACKLOG &&
      primitiveEnd === OPEN &&
      isHeard(toPrimitive) &&
      (toPrimitive.length > 0 || supervisorEnd === CLOSED),
  )
}

export const whoAnswers = (state: HandoffState | Draft, players: Players): Slot =>
  state.kernel.path !== NONE && answers(state, players, state.kernel.path) ? state.kernel.path : NONE

/** Every living primitive inherited the listening sockets; the supervisor may hold copies. */
export function areSocketsOpen({ supervisor, primitives }: HandoffState | Draft): boolean {
  const isHeld = supervisor.holdsListeners && (supervisor.life === 'running' || supervisor.life === 'stalled')
  return isHeld || primitives.some((primitive) => primitive?.life === 'running')
}

export function tryLock(draft: Draft, slot: Slot): boolean {
  const { lock } = draft.kernel
  if (lock !== NONE && lock !== slot) return false
  draft.setKernel({ lock: slot })
  return true
}

/** @returns its place. @throws RangeError when the world has too few. */
export function fork(draft: Draft, players: Players, role: Role, input: unknown, build = 0): Slot {
  const slot = draft.freePlace()
  if (slot === -1) throw new RangeError('the world has too few places for processes: raise `slots`')
  const turn = players.turnOf(players.playerOf({ build, role }).stepper.start(input))
  const job = turn.local.find((effect) => effect.kind === 'start')
  draft.bear(slot, {
    life: 'running',
    role,
    build,
    machine: turn.snapshot,
    outbox: turn.outbox,
    job: job?.kind === 'start' ? players.jobId({ id: job.id, src: job.src, input: job.input }) : NONE,
    stopRequested: false,
    hung: false,
    blocked: false,
    cancelled: false,
    accepting: false,
    open: false,
    sealed: false,
    published: false,
    stale: false,
    owesResume: false,
    report: 'none',
    broken: false,
    channel:
      role === 'successor'
        ? draft.stream({
            toPrimitive: [],
            toSupervisor: [],
            supervisorEnd: OPEN,
            primitiveEnd: OPEN,
            greeting: ADMITTED,
          })
        : null,
    sessions: [],
  })
  draft.cover(turn.covers)
  return slot
}

const NOTHING: Partial<Primitive> = {
  outbox: 0,
  job: NONE,
  stopRequested: false,
  hung: false,
  blocked: false,
  cancelled: false,
  accepting: false,
  open: false,
  sealed: false,
  published: false,
  stale: false,
  owesResume: false,
}

/** The kernel frees the lock and closes every end; what was written before can still be read. */
export function end(draft: Draft, slot: Slot, broken: boolean): void {
  const { channel, sessions } = draft.primitive(slot)
  const left = (stream: typeof channel) =>
    stream !== null && stream.supervisorEnd === OPEN
      ? draft.stream({ ...stream, toPrimitive: [], primitiveEnd: CLOSED, greeting: ADMITTED })
      : null
  draft.setPrimitive(slot, {
    ...NOTHING,
    life: 'dead',
    machine: 0,
    role: 'incumbent',
    build: 0,
    report: 'none',
    broken,
    channel: left(channel),
    sessions: sessions.flatMap((session) => left(session) ?? []),
  })
  if (draft.kernel.lock === slot) draft.setKernel({ lock: NONE })
  leave(draft, slot)
}

/** An orderly way out removes the path while it is still its own. */
export function exit(draft: Draft, slot: Slot, broken: boolean): void {
  const { role } = draft.primitive(slot)
  // A successor with the lock is the only one who can serve then; an incumbent leaves on Commit, on proof, or broken.
  const couldServe = role === 'successor' && draft.kernel.lock === slot
  if (draft.kernel.path === slot) draft.setKernel({ path: NONE })
  end(draft, slot, broken)
  const { life } = draft.supervisor
  const isLast = !draft.primitives.some((primitive) => primitive?.life === 'running')
  if (isLast && couldServe && !broken && draft.kernel.served && (life === 'dead' || life === 'stalled'))
    draft.setKernel({ abandoned: true })
}

export function signal(draft: Draft, slot: Slot, name: 'SIGTERM' | 'SIGKILL'): void {
  // A reaped child's pid is never signalled again.
  if (!draft.isAlive(slot) || (draft.supervisor.known & (1 << slot)) === 0) return
  if (name === 'SIGKILL') end(draft, slot, false)
  else draft.setPrimitive(slot, { stopRequested: true })
}

/** The supervisor is gone, by SIGKILL or by its own exit: its ends close, its children are the kernel's. */
export function endSupervisor(draft: Draft, life: 'dead' | 'stopped'): void {
  draft.setSupervisor({
    life,
    machine: 0,
    outbox: 0,
    job: NONE,
    swap: NONE,
    swapOutbox: 0,
    swapJob: NONE,
    forked: NONE,
    known: 0,
    retiring: 0,
    asked: 0,
    holdsListeners: false,
    journalling: NONE,
  })
  draft.primitives.forEach((primitive, slot) => {
    if (primitive === null) return
    if (primitive.channel?.supervisorEnd === OPEN) draft.setChannel(slot, { supervisorEnd: CLOSED, toSupervisor: [] })
    for (let at = primitive.sessions.length - 1; at >= 0; at--) {
      if (primitive.sessions[at]?.supervisorEnd !== OPEN) continue
      draft.setSession(slot, at, { supervisorEnd: CLOSED, toSupervisor: [] })
    }
  })
}

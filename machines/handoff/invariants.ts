/**
 * The guarantees, stated once: INV-01 … INV-15 over tags, kernel facts and ghosts of the handoff's world.
 *
 * Where a guarantee has an exception, the exception is part of its sentence and of its check: it names the fault that
 * earns it. What is not excepted here is a violation.
 */
import type { Property, Step } from '../explore/index.js'
import type { SwapOutput } from './swap.machine.js'
import type { Players } from './world/cast.js'
import type { HandoffWorld } from './world/handoff-world.js'
import { answers, areSocketsOpen, whoAnswers } from './world/kernel.js'
import { NONE, type Slot } from './world/slot.js'
import { type HandoffState, OPEN, type Primitive } from './world/state.js'
import type { Connection } from './world/traffic.js'

const living = (state: HandoffState): Slot[] =>
  state.primitives.flatMap((primitive, slot) => (primitive?.life === 'running' ? [slot] : []))

const isDead = (state: HandoffState, slot: Slot): boolean => state.primitives[slot]?.life !== 'running'

const isBlockedBy = (state: HandoffState): boolean => state.primitives.some((primitive) => primitive?.blocked === true)

const actorOf = (label: string): Slot => label.charCodeAt(0) - 65

export function handoffInvariants({ players }: HandoffWorld): Property<HandoffState>[] {
  const isUp = ({ supervisor }: HandoffState) => supervisor.life === 'running'
  /** Nobody who could act is left: the supervisor is gone, hangs, or was told to stop, and no primitive lives. */
  const isBeyondHelp = (state: HandoffState) => {
    const { life } = state.supervisor
    const isComing = life === 'dead' && state.budgets.restarts > 0
    if (life === 'running' || isComing) return false
    // Two faults: nobody is left who could end a process that is blocked.
    return living(state).length === 0 || isBlockedBy(state)
  }
  const servesIn = (state: HandoffState) => {
    const { machine } = state.supervisor
    const view = players.supervisor.stepper.view(machine)
    return view.matches('serving') ? (view.context as { primitivePid: number | null }).primitivePid : null
  }
  const rehearsedIn = ({ supervisor }: HandoffState): Slot => {
    if (supervisor.life !== 'running' && supervisor.life !== 'stalled') return NONE
    const { rehearsedPid } = players.supervisor.stepper.view(supervisor.machine).context as {
      rehearsedPid: number | null
    }
    return rehearsedPid === null ? NONE : rehearsedPid - 1
  }
  const swapContext = (state: HandoffState) =>
    players.swap.stepper.view(state.supervisor.swap).context as {
      readonly incumbentPid: number
      readonly successorPid: number | null
    }
  const reported = (from: HandoffState, step: Step<HandoffState>) => outcomeAt(players, from, step)
  /**
   * The exception of INV-09, -12 and -13: it died (SIGKILL, or a fault of its own) after the supervisor's last look, and
   * the news of it is still on its way. No protocol can rule that out.
   */
  const hasJustDied = (state: HandoffState, slot: Slot) =>
    isDead(state, slot) && (state.supervisor.known & (1 << slot)) !== 0

  /** The same for a control path that somebody else has just removed: its owner is about to put it back. */
  const hasJustLostPath = ({ kernel, primitives }: HandoffState, slot: Slot) => {
    const effect = players.firstOf(primitives[slot]?.outbox ?? 0)
    return kernel.path === NONE && effect?.kind === 'action' && effect.type === 'republishControl'
  }
  /** And for a process that somebody else has just told to stop: it is on its orderly way out. */
  const wasJustStopped = ({ primitives }: HandoffState, slot: Slot) => {
    const primitive = primitives[slot]
    if (primitive?.life !== 'running' || primitive.role !== 'incumbent' || !primitive.broken) return false
    const view = players.playerOf(primitive).stepper.view(primitive.machine)
    return ['stopping', 'closing', 'exiting'].some((state) => view.matches(state))
  }
  const isExcused = (state: HandoffState, slot: Slot) =>
    hasJustDied(state, slot) || hasJustLostPath(state, slot) || wasJustStopped(state, slot)

  const always = (
    id: string,
    says: string,
    holds: (state: HandoffState) => boolean | string,
  ): Property<HandoffState> => ({ id, says, kind: 'always', holds })
  const edge = (
    id: string,
    says: string,
    holds: (from: HandoffState, step: Step<HandoffState>) => boolean | string,
  ): Property<HandoffState> => ({ id, says, kind: 'edge', holds })
  const everyPrimitive =
    (holds: (primitive: Primitive, slot: Slot, state: HandoffState) => boolean) => (state: HandoffState) =>
      state.primitives.every((primitive, slot) => primitive?.life !== 'running' || holds(primitive, slot, state))

  const everyConnection =
    (holds: (connection: Connection) => boolean) =>
    ({ traffic }: HandoffState) =>
      traffic.connections.every((connection) => connection.phase !== 'open' || holds(connection))

  return [
    always(
      'INV-01',
      'at most one process accepts clients, and it holds the data-dir lock',
      (state) =>
        living(state).filter((slot) => state.primitives[slot]?.accepting).length <= 1 &&
        everyPrimitive(({ accepting }, slot) => !accepting || state.kernel.lock === slot)(state),
    ),
    always('INV-01', 'a build that is only rehearsed never has the lock, the control path or a client', (state) => {
      const slot = rehearsedIn(state)
      const { lock, path } = state.kernel
      return slot === NONE || (lock !== slot && path !== slot && state.primitives[slot]?.accepting !== true)
    }),
    edge('INV-02', 'a living incumbent releases the lock only after its seal succeeded', (from, { label }) => {
      if (!label.endsWith('!releaseLock')) return true
      const primitive = from.primitives[actorOf(label)]
      return primitive?.sealed === true && !primitive.open
    }),
    edge('INV-03', 'nobody accepts clients with state older than the last acknowledged write', (from, { label }) =>
      label.endsWith('!startAccepting') ? from.primitives[actorOf(label)]?.stale === false : true,
    ),
    always(
      'INV-04',
      'a listening socket never closes while a primitive or a supervisor that has recovered lives',
      (state) => {
        if (!state.kernel.bound || areSocketsOpen(state)) return true
        // A supervisor that has just been started again holds nothing yet: it lost the sockets with its predecessor.
        return !isUp(state) || players.supervisor.stepper.view(state.supervisor.machine).matches('recovering')
      },
    ),
    always(
      'INV-05',
      'state is open for writing only in the process that holds the lock',
      everyPrimitive(({ open }, slot, { kernel }) => !open || kernel.lock === slot),
    ),
    edge('INV-06', 'a rolled-back swap leaves the incumbent reachable, and nothing else behind', (from, step) => {
      const outcome = reported(from, step)
      if (outcome?.result !== 'rolledBack') return true
      const incumbent = (outcome.servingPid ?? 0) - 1
      const others = living(from).filter(
        (slot) => slot !== incumbent && ((from.supervisor.retiring | from.supervisor.asked) & (1 << slot)) === 0,
      )
      // An incumbent of a swap that a dead supervisor began may still be on its way out.
      const left = others.filter((slot) => (from.supervisor.known & (1 << slot)) !== 0)
      if (left.length > 0) return 'a process is left behind'
      const isOpen = from.primitives.some((primitive) =>
        primitive?.sessions.some(({ supervisorEnd }) => supervisorEnd === OPEN),
      )
      return isOpen ? 'the session is left open' : true
    }),
    {
      id: 'INV-06',
      says: 'in the end no journal is left',
      kind: 'eventually',
      stays: true,
      // Exceptions: the supervisor is gone, or the removal itself was made to fail.
      holds: ({ kernel, supervisor }) => kernel.journal === 0 || kernel.journalFailed || supervisor.life !== 'running',
    },
    {
      id: 'INV-07',
      says: 'a supervisor that lives ends up holding the listeners and knowing the primitive that serves',
      kind: 'eventually',
      stays: true,
      holds: (state) => {
        if (!isUp(state)) return state.supervisor.life !== 'dead' || state.budgets.restarts === 0
        const pid = servesIn(state)
        return state.supervisor.holdsListeners && pid !== null && answers(state, players, pid - 1)
      },
    },
    edge('INV-07', 'a supervisor never ends itself while somebody serves', (from, { next, kind }) => {
      if (kind !== 'progress' || next.supervisor.life !== 'dead' || from.supervisor.life !== 'running') return true
      return whoAnswers(from, players) === NONE
    }),
    edge('INV-07', 'a supervisor never ends itself because of a primitive that another one started', (from, step) => {
      const { next, kind, label } = step
      if (kind !== 'progress' || next.supervisor.life !== 'dead' || from.supervisor.life !== 'running') return true
      // Exceptions: the record of that start was lost, or a system call failed.
      return living(from).length === 0 || from.kernel.journalFailed || label.endsWith(':fails')
    }),
    always(
      'INV-08',
      'a successor that holds the lock never ends itself as the last of a service whose supervisor is gone',
      ({ kernel }) => !kernel.abandoned,
    ),
    {
      id: 'INV-08',
      says: 'when faults stop, somebody serves again',
      kind: 'eventually',
      stays: true,
      holds: (state) => whoAnswers(state, players) !== NONE || isBeyondHelp(state),
    },
    edge('INV-08', 'a waiting successor is never ended because the incumbent died', (from, { label }) => {
      if (!label.startsWith('S!signalSuccessor')) return true
      const { failure } = players.swap.stepper.view(from.supervisor.swap).context as { failure: string | null }
      return failure !== 'ERR_HANDOFF_INCUMBENT_EXITED'
    }),
    edge('INV-09', 'when committed is reported, the control path leads to the live incumbent', (from, step) => {
      const outcome = reported(from, step)
      if (outcome?.result !== 'committed') return true
      const slot = (outcome.servingPid ?? 0) - 1
      return from.kernel.path === slot || isExcused(from, slot)
    }),
    {
      id: 'INV-10',
      says: 'in the end every living primitive serves: no process is left that nobody needs',
      kind: 'eventually',
      stays: true,
      // A supervisor that hangs for ever holds its session open: its incumbent stays parked, known and harmless.
      holds: (state) =>
        state.supervisor.life === 'stalled' ||
        isBeyondHelp(state) ||
        // One that blocks before its pid is on disk hears no end of its channel, and no supervisor knows it (two faults).
        living(state).every((slot) => answers(state, players, slot) || state.primitives[slot]?.blocked),
    },
    always(
      'INV-11',
      'an incumbent that was drained accepts again only after exactly one resume or reopening',
      everyPrimitive(({ accepting, owesResume, job, open }) => {
        if (accepting && owesResume) return false
        const running = players.job(job)?.src
        return !(running === 'resume' && !owesResume) || !open
      }),
    ),
    edge('INV-12', 'the reported outcome is the truth', (from, step) => {
      const outcome = reported(from, step)
      if (outcome === null) return true
      const serving = whoAnswers(from, players)
      if (outcome.result === 'nobodyServes') {
        // Exception: a supervisor whose predecessor's journal was lost cannot know of a process that is parked.
        const isUnknown = from.kernel.journalFailed && (from.supervisor.known & (1 << serving)) === 0
        return serving === NONE || isUnknown ? true : 'somebody serves'
      }
      const slot = (outcome.servingPid ?? 0) - 1
      return serving === slot || isExcused(from, slot) ? true : `${outcome.result}, but it does not serve`
    }),
    edge('INV-13', 'a living incumbent is committed only after the successor was verified', (from, { label }) => {
      if (label !== 'S!sendToIncumbent.Commit') return true
      const { incumbentPid, successorPid } = swapContext(from)
      // A dead one has sealed nothing that could be compared, and hears nothing.
      if (isDead(from, incumbentPid - 1)) return true
      const slot = (successorPid ?? 0) - 1
      if (isExcused(from, slot)) return true
      return from.primitives[slot]?.report === 'good' && answers(from, players, slot)
    }),
    always(
      'INV-14',
      'a connection is read by at most one process at a time',
      everyConnection(({ reads }) => (reads & (reads - 1)) === 0),
    ),
    always(
      'INV-14',
      'a successor reads no connection before it serves',
      everyPrimitive(
        ({ role }, slot, state) =>
          role === 'incumbent' || everyConnection(({ reads }) => (reads & (1 << slot)) === 0)(state),
      ),
    ),
    always(
      'INV-15',
      'whoever reads a connection reads on where the last reader stopped',
      everyConnection(({ reads, stale }) => (reads & stale) === 0),
    ),
    always(
      'INV-15',
      'a process that serves reads every connection that is its own: a rollback gives all of them back',
      everyPrimitive(
        ({ accepting }, slot, state) =>
          !accepting ||
          everyConnection(({ holds, staged, reads }) => (holds & ~staged & ~reads & (1 << slot)) === 0)(state),
      ),
    ),
    edge('INV-15', 'a connection ends at a rollback only where its successor has begun to read it', (from, step) => {
      if (!step.label.endsWith('!takeConnectionsBack')) return true
      const slot = actorOf(step.label)
      return from.traffic.connections.every(
        ({ phase, left }, at) =>
          phase !== 'open' || (left & (1 << slot)) !== 0 || step.next.traffic.connections[at]?.phase === 'open',
      )
    }),
    {
      id: 'INV-15',
      says: 'in the end somebody reads every connection that is open',
      kind: 'eventually',
      stays: true,
      holds: (state) =>
        state.supervisor.life === 'stalled' ||
        isBeyondHelp(state) ||
        isBlockedBy(state) ||
        everyConnection(({ reads }) => reads !== 0)(state),
    },
  ]
}

/** The outcome that a step reports. */
function outcomeAt(players: Players, from: HandoffState, { label }: Step<HandoffState>): SwapOutput | null {
  if (label !== 'S!reportOutcome') return null
  const effect = players.firstOf(from.supervisor.outbox)
  return effect?.kind === 'action' ? (effect.params as SwapOutput) : null
}

/** With versions mixed too, swaps commit, from each build to the other, and are rolled back. */
export function mixedSightings({ players, settings }: HandoffWorld): Property<HandoffState>[] {
  const sighting = (id: string, says: string, holds: (from: HandoffState, outcome: SwapOutput) => boolean) =>
    ({
      id,
      says,
      kind: 'sometimesEdge',
      holds: (from, step) => {
        const outcome = outcomeAt(players, from, step)
        return outcome !== null && holds(from, outcome)
      },
    }) satisfies Property<HandoffState>
  const commitsTo =
    (build: number) =>
    (from: HandoffState, { result, failover, servingPid }: SwapOutput) =>
      result === 'committed' && !failover && from.primitives[(servingPid ?? 0) - 1]?.build === build
  return [
    ...(settings.alternates
      ? [
          sighting('committed to the other build', 'a swap to the other build commits', commitsTo(1)),
          sighting('committed back', 'a swap back commits', commitsTo(0)),
        ]
      : [sighting('committed', 'a swap commits', commitsTo(0))]),
    sighting('rolledBack', 'a swap is rolled back', (_, { result }) => result === 'rolledBack'),
  ]
}

/** A world in which nothing happens keeps every promise: these must happen. */
export function handoffSightings({ players, settings }: HandoffWorld): Property<HandoffState>[] {
  const edge = (id: string, says: string, holds: (from: HandoffState, step: Step<HandoffState>) => boolean) =>
    ({ id, says, kind: 'sometimesEdge', holds }) satisfies Property<HandoffState>
  const reports =
    (result: SwapOutput['result'], failover?: boolean) => (from: HandoffState, step: Step<HandoffState>) => {
      const outcome = outcomeAt(players, from, step)
      return outcome?.result === result && (failover === undefined || outcome.failover === failover)
    }
  const all = [
    edge('committed', 'a swap commits', reports('committed', false)),
    edge('rolledBack', 'a swap is rolled back', reports('rolledBack')),
    // Both begin with a death.
    ...(settings.faults === 0 || !(settings.faultKinds.has('kill') || settings.faultKinds.has('meddling'))
      ? []
      : [
          edge('failover', 'the waiting successor takes over from a dead incumbent', reports('committed', true)),
          edge('nobodyServes', 'a swap ends with nobody serving, and says so', reports('nobodyServes')),
        ]),
  ]
  const connection = (
    id: string,
    says: string,
    sees: (was: Connection, is: Connection, from: HandoffState, step: Step<HandoffState>) => boolean,
  ) =>
    edge(id, says, (from, step) =>
      from.traffic.connections.some((was, at) => {
        const is = step.next.traffic.connections[at]
        return is !== undefined && is !== was && sees(was, is, from, step)
      }),
    )
  const moving = [
    connection(
      'moved',
      'a connection moves, with a request that came in the gap (INV-14)',
      (was, { takenBy }, _, { label }) =>
        label.endsWith('!adoptConnections') && was.request === 'unread' && takenBy === actorOf(label),
    ),
    connection(
      'lingered',
      'a connection that could not move is answered by the old program',
      ({ takenBy }, is, from) => {
        const job = from.primitives[takenBy]?.job ?? NONE
        return is.request === 'done' && is.phase === 'open' && players.job(job)?.src === 'finishConnections'
      },
    ),
  ]
  const returning = [
    connection(
      'returned',
      'a connection that the successor was told of returns, with a request that came meanwhile (INV-15)',
      ({ told, request }, { phase }, _, { label }) =>
        label.endsWith('!takeConnectionsBack') && told !== 0 && request === 'unread' && phase === 'open',
    ),
  ]
  const moved = settings.connections === 0 ? [] : moving
  const returned = settings.connections === 0 ? [] : returning
  const isPassed = ({ supervisor }: HandoffState) =>
    supervisor.life === 'running' &&
    (players.supervisor.stepper.view(supervisor.machine).context as { verdict: string | null }).verdict === 'passed'
  const rehearsed =
    settings.rehearsals === 0 ? [] : [edge('rehearsed', 'a rehearsal passes', (_, { next }) => isPassed(next))]
  const swapped = settings.faults === 0 ? [...all.slice(0, 1), ...moved] : [...all, ...moved, ...returned]
  return [...rehearsed, ...(settings.swaps === 0 ? [] : swapped)]
}

/** What is demanded of an incumbent, whatever its supervisor, its daemon and the kernel do. */
import type { AnyEventObject } from 'xstate'
import type { Contract, Moment, RoleContract } from '../../explore/index.js'
import { incumbentAlphabet } from '../alphabets.js'
import { EXIT, type ExitStatus, type FailureCode } from '../failures.js'
import { incumbentMachine } from '../incumbent.machine.js'
import type { Policy } from '../policy.js'
import {
  abandons,
  clockOf,
  common,
  does,
  endOf,
  exactly,
  isDone,
  isFailed,
  isOver,
  kindsSent,
  paramsOf,
  ran,
  runs,
  starts,
} from './watch.js'

interface Memory {
  /** Orderly stops that were asked for. */
  readonly stops: 0 | 1 | 2
  /** A supervisor's session is open. */
  readonly session: boolean
  readonly locked: boolean
  readonly state: 'closed' | 'opening' | 'open'
  readonly everOpen: boolean
  readonly accepting: boolean
  /** `undo`: the swap is over before its Commit, and service is owed again. */
  readonly swap: 'none' | 'asked' | 'undo'
  readonly drainedSent: boolean
  /** Sealed, lock released, and said. */
  readonly released: boolean
  /** Another process is proven to serve. */
  readonly superseded: boolean
  /** The state is closed for good: this process is on its way out. */
  readonly leaving: boolean
  /** Half-sealed, and no hook to undo it. */
  readonly closingToReopen: boolean
  readonly hookCancelled: boolean
  readonly canResume: boolean
  readonly openConnections: number
  readonly drainBudgetMs: number
  readonly decisionBudgetMs: number
  readonly beating: boolean
  readonly status: ExitStatus
  readonly failure: FailureCode | null
}

const first: Memory = {
  stops: 0,
  session: false,
  locked: false,
  state: 'closed',
  everOpen: false,
  accepting: false,
  swap: 'none',
  drainedSent: false,
  released: false,
  superseded: false,
  leaving: false,
  closingToReopen: false,
  hookCancelled: false,
  canResume: false,
  openConnections: 0,
  drainBudgetMs: 0,
  decisionBudgetMs: 0,
  beating: false,
  status: EXIT.done,
  failure: null,
}

const STOP = 'process.stopRequested'
const isWord = ({ type }: AnyEventObject) => type.startsWith('supervisor.') && type !== 'supervisor.disconnected'
const outputOf = <T>({ event }: Moment): T => event.output as T
const ends = (moment: Moment, id: string) => isDone(moment, id) || isFailed(moment, id)
const isHeld = (moment: Moment) => isDone(moment, 'acquireLock') && outputOf<{ held: boolean }>(moment).held
const isIdle = ({ accepting, swap }: Memory) => accepting && swap === 'none'

/** Words that fit the moment. Abort and Resume fit always: they ask for what an undone swap does anyhow. */
function fits(memory: Memory, { type }: AnyEventObject, moment: Moment): boolean {
  switch (type) {
    case 'supervisor.requestedDrain':
      return isIdle(memory)
    case 'supervisor.requestedSeal':
      return memory.swap === 'asked' && memory.drainedSent && !memory.released && !ran(moment, 'seal')
    case 'supervisor.committed':
      return memory.released
    case 'supervisor.violatedProtocol':
      return false
    default:
      return true
  }
}

/** Ends a swap that is not committed yet. */
function undoes(memory: Memory, moment: Moment): boolean {
  const { event } = moment
  if (memory.swap !== 'asked') return false
  if (['supervisor.aborted', 'supervisor.requestedResume', 'supervisor.disconnected'].includes(event.type)) return true
  const clock = clockOf(moment)
  if (clock === 'drainOverdueMs' || clock === 'decisionOverdueMs') return true
  return isWord(event) && !fits(memory, event, moment)
}

function causeOf(memory: Memory, moment: Moment): FailureCode | null {
  const isUndone = memory.swap !== 'asked' || memory.stops > 0
  if (isFailed(moment, 'drain') && !isUndone) return 'ERR_HANDOFF_DRAIN_FAILED'
  if (clockOf(moment) === 'drainOverdueMs') return 'ERR_HANDOFF_DRAIN_FAILED'
  if (isFailed(moment, 'seal') && memory.stops === 0) return 'ERR_HANDOFF_SEAL_FAILED'
  if (isFailed(moment, 'publishControl')) return 'ERR_HANDOFF_CONTROL_SOCKET'
  return fate(memory, moment)?.failure ?? null
}

/** How this process ends, by its cause; null: this is no cause to end. */
function fate(memory: Memory, moment: Moment): { status: ExitStatus; failure: FailureCode | null } | null {
  const { status, failure, stops, locked, released, leaving } = memory
  const as = (given: ExitStatus, code: FailureCode | null = failure) => ({ status: given, failure: code })
  const clock = clockOf(moment)
  if (moment.event.type === STOP) {
    const isAgain = stops > 0 && ['openState', 'publishControl', 'resume'].some((id) => ran(moment, id))
    const isClosing = ran(moment, 'closeState') && (leaving || stops > 0)
    return isAgain || isClosing || !locked ? as(status) : null
  }
  if (clock === 'lockWaitMs') return as(EXIT.lockHeld, 'ERR_HANDOFF_LOCK_HELD')
  if (isFailed(moment, 'acquireLock') && !released) return as(EXIT.openFailed, 'ERR_HANDOFF_OPEN_FAILED')
  if (isFailed(moment, 'openState')) return as(EXIT.openFailed, 'ERR_HANDOFF_OPEN_FAILED')
  if (isFailed(moment, 'resume')) return as(EXIT.resumeFailed)
  if (clock === 'openBudgetMs')
    return as(EXIT.hookTimeout, ran(moment, 'openState') ? 'ERR_HANDOFF_HOOK_TIMEOUT' : failure)
  // Half-sealed data in an unknown hand: nothing in this process may touch it any more.
  if (clock === 'hookCancelGraceMs' && ran(moment, 'seal')) return as(EXIT.hookTimeout, 'ERR_HANDOFF_HOOK_TIMEOUT')
  if (clock === 'hookCancelGraceMs' && ran(moment, 'closeState')) return as(EXIT.hookTimeout)
  if (isFailed(moment, 'closeState'))
    return leaving ? as(EXIT.failed, 'ERR_HANDOFF_CLOSE_FAILED') : as(EXIT.resumeFailed)
  if (isDone(moment, 'closeState') && (leaving || stops > 0)) return as(status)
  if (isDone(moment, 'seal') && stops > 0) return as(status)
  if (ends(moment, 'finishConnections') || clock === 'lingerMs') return as(status)
  return null
}

const STOPS = [0, 1, 2, 2] as const

function after(memory: Memory, moment: Moment): Memory {
  const { event } = moment
  const { type } = event
  const started = starts(moment)
  const accepts = does(moment, 'startAccepting') > 0
  const isTaken = type === 'supervisor.requestedDrain' && isIdle(memory)
  const stops = type === STOP ? (STOPS[memory.stops + 1] ?? 2) : memory.stops
  // An orderly stop while clients are served has nothing to do with a swap.
  const swap = accepts
    ? 'none'
    : isTaken
      ? 'asked'
      : type === STOP && memory.swap === 'asked'
        ? memory.accepting
          ? 'none'
          : 'undo'
        : undoes(memory, moment) || (memory.swap === 'asked' && causeOf(memory, moment) !== null)
          ? 'undo'
          : memory.swap
  const closes = started.includes('closeState')
  const closingToReopen = closes ? isFailed(moment, 'seal') && stops === 0 : memory.closingToReopen
  const isReset = accepts || started.includes('copyConnections')
  const state = started.includes('openState')
    ? 'opening'
    : isDone(moment, 'openState') || (type === 'start' && event.input.start === 'live')
      ? 'open'
      : isDone(moment, 'seal') || isDone(moment, 'closeState')
        ? 'closed'
        : memory.state
  return {
    stops,
    session:
      type === 'supervisor.attended' ||
      (memory.session && type !== 'supervisor.disconnected' && does(moment, 'closeSession') === 0),
    locked:
      (memory.locked && does(moment, 'releaseLock') === 0) ||
      isHeld(moment) ||
      (type === 'start' && event.input.start === 'live'),
    state,
    everOpen: memory.everOpen || state === 'open',
    accepting: (memory.accepting || accepts) && does(moment, 'stopAccepting') === 0,
    swap,
    drainedSent: !isReset && (memory.drainedSent || kindsSent(moment, 'sendToSupervisor').includes('Drained')),
    released: !isReset && state === 'closed' && (memory.released || does(moment, 'releaseLock') > 0),
    superseded:
      memory.superseded ||
      (memory.released && type === 'supervisor.committed') ||
      (isDone(moment, 'probeControl') && outputOf<{ answeredBy: string }>(moment).answeredBy === 'other'),
    leaving: memory.leaving || (closes && !closingToReopen),
    closingToReopen: closingToReopen && state !== 'opening',
    hookCancelled: started.length === 0 && (memory.hookCancelled || does(moment, 'cancelHook') > 0),
    canResume:
      type === 'start'
        ? event.input.canResume
        : isDone(moment, 'openState')
          ? outputOf<{ canResume: boolean }>(moment).canResume
          : memory.canResume,
    openConnections: isDone(moment, 'drain')
      ? outputOf<{ openConnections: number }>(moment).openConnections
      : isReset
        ? 0
        : memory.openConnections,
    drainBudgetMs: isTaken ? event.drainBudgetMs : memory.drainBudgetMs,
    decisionBudgetMs: isTaken ? event.decisionBudgetMs : memory.decisionBudgetMs,
    beating: does(moment, 'startHeartbeat') > 0 || (memory.beating && does(moment, 'stopHeartbeat') === 0),
    status: isFailed(moment, 'publishControl') ? EXIT.controlSocket : memory.status,
    failure: accepts ? null : (causeOf(memory, moment) ?? memory.failure),
  }
}

/** What may be under way now; '' is waiting for a word or a poll. Something always is. */
function business(memory: Memory, moment: Moment): readonly string[] {
  const { stops, swap, accepting, released, superseded, state, locked, leaving, closingToReopen } = memory
  const polls = moment.clocks.includes('lockPollMs') ? [''] : []
  const waits = moment.clocks.includes('decisionOverdueMs') ? [''] : []
  if (superseded) return ['finishConnections']
  if (leaving) return ['closeState']
  if (state === 'opening') return ['openState']
  if (stops > 0) {
    // A hook's end decides; then the state is closed.
    if (closingToReopen) return ['closeState']
    const hooks = ['drain', 'seal', 'resume', 'parkConnections', 'publishControl']
    return accepting ? [] : hooks.filter((id) => ran(moment, id) || (id === 'drain' && runs(moment, 'drain')))
  }
  if (!locked && !released) return ['acquireLock', ...polls]
  if (accepting) return swap === 'none' ? [''] : ['copyConnections']
  if (swap === 'none') return ['publishControl']
  if (swap === 'asked') {
    if (released) return waits
    return memory.drainedSent ? ['seal', ...waits] : ['drain', 'parkConnections']
  }
  if (released) return ['acquireLock', 'probeControl', ...polls]
  if (closingToReopen) return ['closeState']
  // A swap undone: what runs is let come to its end, then service is brought back.
  const hooks = ['drain', 'parkConnections', 'seal'].filter((id) => ran(moment, id) && endOf(moment)?.id !== id)
  return hooks.length > 0 && !isHookOverdue(moment) ? hooks : ['resume', 'publishControl']
}

const isHookOverdue = (moment: Moment) => ['hookCancelGraceMs', 'cutMs'].includes(clockOf(moment) ?? '')

/** Each beginning has its reason. */
function mayStart(memory: Memory, moment: Moment, then: Memory, id: string): boolean {
  const { event } = moment
  const clock = clockOf(moment)
  switch (id) {
    case 'acquireLock':
      return clock === 'lockPollMs' || event.type === 'start' || (memory.released && then.swap === 'undo')
    case 'openState':
      return then.locked && (isHeld(moment) || isDone(moment, 'seal') || isDone(moment, 'closeState'))
    case 'publishControl':
      return isDone(moment, 'openState') || isDone(moment, 'resume')
    case 'copyConnections':
      return event.type === 'supervisor.requestedDrain' && memory.session
    case 'drain':
      return memory.accepting && (ends(moment, 'copyConnections') || clock === 'copyMs' || event.type === STOP)
    case 'parkConnections':
      return isDone(moment, 'drain') && memory.swap === 'asked'
    case 'seal':
      return event.type === 'supervisor.requestedSeal' && memory.swap === 'asked' && memory.drainedSent
    case 'resume':
      return then.swap === 'undo' && memory.state === 'open' && !(isFailed(moment, 'seal') && !memory.canResume)
    case 'closeState':
      return (
        memory.state !== 'closed' && (then.stops > 0 || isFailed(moment, 'publishControl') || isFailed(moment, 'seal'))
      )
    case 'probeControl':
      return isDone(moment, 'acquireLock') && !isHeld(moment) && memory.released && !memory.session
    case 'finishConnections':
      return memory.released && then.superseded
    default:
      return false
  }
}

/** While one of these runs in a swap, a supervisor waits and counts the silence. */
const isHeard = (then: Memory, { after: { children } }: Moment) =>
  then.swap !== 'none' &&
  !then.leaving &&
  ['copyConnections', 'drain', 'parkConnections', 'seal', 'openState', 'closeState', 'resume'].some((id) =>
    children.includes(id),
  )

/** On the way out: no word of a supervisor is followed any more. */
const isLeaving = ({ superseded, leaving, stops, swap }: Memory) =>
  superseded || leaving || (stops > 0 && swap === 'none')

const contracts: Contract<Memory>[] = [
  ...common<Memory>(),
  {
    id: 'ACCEPT',
    says: 'clients are accepted again as soon as the path leads here, with lock and state, and not after a stop',
    holds: (memory, moment, then) => {
      const isBack = isDone(moment, 'publishControl') && memory.stops === 0
      const isLive = moment.event.type === 'start' && moment.event.input.start === 'live'
      if ((isBack || isLive) && !then.accepting) return 'not accepting'
      if (does(moment, 'startAccepting') === 0) return true
      return then.locked && then.state === 'open' && then.stops === 0 && (isBack || isLive || memory.accepting)
    },
  },
  {
    id: 'CONNECTIONS',
    says: 'who serves takes back what a successor was told, lets new clients in, and then reads on; nobody else does (INV-14, INV-15)',
    holds: (_, moment) => {
      const due = ['takeConnectionsBack', 'startAccepting', 'adoptConnections']
      const done = moment.effects.flatMap((effect) =>
        effect.kind === 'action' && due.includes(effect.type) ? [effect.type] : [],
      )
      return done.length === 0 || done.join() === due.join() ? true : done.join()
    },
  },
  {
    id: 'DRAIN',
    says: 'accepting stops before the drain begins, and for nothing else; the drain gets the budget that was named',
    holds: (memory, moment) => {
      const drains = moment.effects.filter((effect) => effect.kind === 'start' && effect.src === 'drain')
      if (!exactly(moment, 'stopAccepting', drains.length > 0)) return false
      const [drain] = drains as { input?: { budgetMs: number } }[]
      const { policy } = moment.after.context as { policy: Policy }
      const budgetMs = moment.event.type === STOP ? policy.stopGraceMs : memory.drainBudgetMs
      return drain === undefined || drain.input?.budgetMs === budgetMs
    },
  },
  {
    id: 'BUSINESS',
    says: 'something is always under way, and it is what brings service back, or hands it over, or ends the process',
    holds: (_, moment, then) => {
      if (isOver(moment)) return true
      const doing = moment.after.children.length === 0 ? [''] : moment.after.children
      const allowed = business(then, moment)
      const may = then.stops > 0 && then.state === 'open' ? [...allowed, 'closeState'] : allowed
      return doing.length === 1 && may.includes(doing[0] as string) ? true : `${doing.join()} instead of ${may.join()}`
    },
  },
  {
    id: 'BEGIN',
    says: 'nothing begins without its reason, and twice at a time nothing runs',
    holds: (memory, moment, then) => {
      const begun = starts(moment)
      const bad = begun.find((id) => !mayStart(memory, moment, then, id))
      return bad === undefined ? begun.length <= 1 : `${bad} begins`
    },
  },
  {
    id: 'STOP',
    says: 'after a stop nothing begins but a drain and the closing of the state; when no hook runs any more it is closed',
    holds: (memory, moment, then) => {
      if (then.stops === 0) return true
      if (starts(moment).some((id) => id !== 'drain' && id !== 'closeState')) return 'something begins'
      if (isOver(moment)) return true
      const isEnd = endOf(moment) !== null && memory.stops > 0
      return !isEnd || then.state === 'closed' || runs(moment, 'closeState') || runs(moment, 'seal')
    },
  },
  {
    id: 'RESUME',
    says: 'a daemon that can resume is resumed after a seal that failed; only another is closed and opened again',
    holds: (memory, moment) =>
      !(isFailed(moment, 'seal') && memory.stops === 0) ||
      starts(moment).join() === (memory.canResume ? 'resume' : 'closeState'),
  },
  {
    id: 'HURRY',
    says: 'a second stop waits for no request any more: the state is closed',
    holds: (memory, moment) => {
      const isAgain = moment.event.type === STOP && memory.stops > 0 && memory.swap === 'none'
      return !(isAgain && ran(moment, 'drain')) || starts(moment).join() === 'closeState'
    },
  },
  {
    id: 'REASON',
    says: 'the state is opened for the first time at a cold start, and afterwards again',
    holds: ({ everOpen }, { effects }) =>
      effects.every(
        (effect) =>
          effect.kind !== 'start' ||
          effect.src !== 'openState' ||
          (effect.input as { reason: string }).reason === (everOpen ? 'reopen' : 'coldStart'),
      ),
  },
  {
    id: 'INV-02',
    says: 'the lock is released exactly when a seal succeeds that is still wanted, and then SealComplete is said, with what was sealed',
    holds: (memory, moment) => {
      const isWanted = isDone(moment, 'seal') && memory.swap === 'asked' && memory.stops === 0
      const names = moment.effects.flatMap((effect) => (effect.kind === 'action' ? [effect.type] : []))
      const said = paramsOf(moment, 'sendToSupervisor') as {
        kind: string
        revisions?: unknown
        fingerprint?: unknown
      }[]
      const complete = said.filter(({ kind }) => kind === 'SealComplete')
      if (!exactly(moment, 'releaseLock', isWanted) || complete.length !== (isWanted ? 1 : 0)) return false
      if (!isWanted) return true
      const { revisions, fingerprint } = outputOf<{ revisions: unknown; fingerprint: unknown }>(moment)
      if (complete[0]?.revisions !== revisions || complete[0]?.fingerprint !== fingerprint)
        return 'something else is told'
      return names.indexOf('releaseLock') < names.indexOf('sendToSupervisor')
    },
  },
  {
    id: 'DRAINED',
    says: 'Drained is said once the connections rest, or cannot, and the swap still stands; with what is open',
    holds: (memory, moment) => {
      const hasParked = ends(moment, 'parkConnections') || clockOf(moment) === 'cutMs'
      const isWanted = hasParked && memory.swap === 'asked' && memory.stops === 0
      const said = paramsOf(moment, 'sendToSupervisor').filter((word) => (word as { kind: string }).kind === 'Drained')
      if (said.length !== (isWanted ? 1 : 0)) return false
      const expected = { kind: 'Drained', openConnections: memory.openConnections, acceptClosed: true }
      return said.every((word) => JSON.stringify(word) === JSON.stringify(expected))
    },
  },
  {
    id: 'SEAL-FAILED',
    says: 'a swap that failed here is told once service is back, with its cause; no other is',
    holds: (memory, moment) => {
      const isDue = isDone(moment, 'publishControl') && memory.failure !== null && memory.stops === 0
      const said = paramsOf(moment, 'sendToSupervisor') as { kind: string; failure?: FailureCode }[]
      const failed = said.filter(({ kind }) => kind === 'SealFailed')
      return failed.length === (isDue ? 1 : 0) && failed.every(({ failure }) => failure === memory.failure)
    },
  },
  {
    id: 'BEAT',
    says: 'each heartbeat is answered, and none is said unasked',
    holds: (_, moment) => {
      const beats = kindsSent(moment, 'sendToSupervisor').filter((kind) => kind === 'Heartbeat').length
      return beats === (moment.event.type === 'supervisor.beat' ? 1 : 0)
    },
  },
  {
    id: 'HEARTBEAT',
    says: 'while a hook runs in a swap the supervisor gets signs of life, and at no other time',
    holds: (_, moment, then) => then.beating === (!isOver(moment) && isHeard(then, moment)),
  },
  {
    id: 'CANCEL',
    says: 'a drain or a seal that is not wanted any more is asked to end, at once; an orderly stop gives its drain the grace first',
    holds: (memory, moment) => {
      const isHook = (id: string) => ran(moment, id) && endOf(moment)?.id !== id
      const isSwap = memory.swap !== 'none' && (isHook('drain') || isHook('seal'))
      const isUnwanted = isSwap && (undoes(memory, moment) || (moment.event.type === STOP && memory.stops === 0))
      const isLate = clockOf(moment) === 'stopGraceMs'
      if ((isUnwanted && !memory.hookCancelled) || isLate) return does(moment, 'cancelHook') === 1
      return does(moment, 'cancelHook') === 0
    },
  },
  {
    id: 'HOOKS',
    says: 'a hook is left without its end only when its budget is over, or on a second stop; a seal never is while the process lives',
    holds: (memory, moment) => {
      const left = abandons(moment).filter(
        (id) => id !== 'copyConnections' && id !== 'acquireLock' && id !== 'probeControl',
      )
      if (left.length === 0) return true
      if (left.includes('seal') && !isOver(moment)) return 'a seal is left'
      const budgets = ['hookCancelGraceMs', 'cutMs', 'openBudgetMs', 'stopGraceMs', 'lingerMs']
      if (budgets.includes(clockOf(moment) ?? '')) return true
      return moment.event.type === STOP && (memory.stops > 0 || memory.leaving || memory.superseded)
    },
  },
  {
    id: 'SESSION',
    says: 'a supervisor that breaks the protocol, or is silent too long, loses its session; no other does',
    holds: (memory, moment) => {
      const { event } = moment
      const isViolation = event.type === 'supervisor.violatedProtocol'
      const isUnfit = isWord(event) && !fits(memory, event, moment) && (isIdle(memory) || memory.swap === 'asked')
      const isLate =
        clockOf(moment) === 'sessionIdleMs' ||
        (clockOf(moment) === 'decisionOverdueMs' && !ran(moment, 'seal') && !memory.released)
      // On the way out no word is followed any more, and only a violation ends the session.
      if (isLeaving(memory)) return exactly(moment, 'closeSession', isViolation)
      // In a swap that is undone already, a word that does not fit may be taken either way.
      if (memory.swap === 'undo' && isWord(event) && !fits(memory, event, moment) && !isViolation)
        return does(moment, 'closeSession') + does(moment, 'recordUnexpected') === 1
      return exactly(moment, 'closeSession', isViolation || isUnfit || (isLate && memory.session))
    },
  },
  {
    id: 'IDLE',
    says: 'a session with nothing in flight has a clock, which every word restarts; without a session there is none',
    holds: (memory, moment, then) => {
      const isArmed = moment.clocks.includes('sessionIdleMs')
      if (isArmed !== (!isOver(moment) && isIdle(then) && then.session))
        return isArmed ? 'a needless clock' : 'no clock'
      const restarts = moment.effects.some(
        (effect) => effect.kind === 'armTimer' && effect.event.type.startsWith('xstate.after.sessionIdleMs'),
      )
      return !(isArmed && isWord(moment.event)) || restarts || !memory.session
    },
  },
  {
    id: 'PATH',
    says: 'a service whose control path was removed puts it back, and nobody else does',
    holds: (memory, moment) =>
      exactly(moment, 'republishControl', moment.event.type === 'process.pathLost' && isIdle(memory)),
  },
  {
    id: 'PROOF',
    says: 'a parked incumbent looks whether somebody else serves when the lock is held and no supervisor is left who could change that',
    holds: (memory, moment) => {
      const isRefused = isDone(moment, 'acquireLock') && !isHeld(moment) && memory.released
      return starts(moment).includes('probeControl') === (isRefused && !memory.session)
    },
  },
  {
    id: 'UNEXPECTED',
    says: 'a word that does not fit and changes nothing is recorded; every other is not',
    holds: (memory, moment) => {
      const { event } = moment
      if (!event.type.startsWith('supervisor.')) return does(moment, 'recordUnexpected') === 0
      if (event.type === 'supervisor.beat') return does(moment, 'recordUnexpected') === 0
      const isKnown = ['supervisor.disconnected', 'supervisor.violatedProtocol'].includes(event.type)
      if (isLeaving(memory)) return exactly(moment, 'recordUnexpected', !isKnown)
      const isRecorded =
        !fits(memory, event, moment) && event.type !== 'supervisor.violatedProtocol' && memory.swap === 'undo'
      return exactly(moment, 'recordUnexpected', isRecorded && does(moment, 'closeSession') === 0)
    },
  },
  {
    id: 'FATE',
    says: 'it ends exactly for a cause, and its status and its failure tell which',
    holds: (memory, moment) => {
      const end = fate(memory, moment)
      const told = moment.after.output as { status: ExitStatus; failure: FailureCode | null } | undefined
      if (end === null) return told === undefined ? does(moment, 'exitProcess') === 0 : 'ends without a cause'
      const [exit] = paramsOf(moment, 'exitProcess') as { status: ExitStatus }[]
      if (!exactly(moment, 'exitProcess', true)) return 'does not end'
      if (exit?.status !== end.status || told?.status !== end.status) return 'another status'
      return told.failure === end.failure ? true : `${told.failure} instead of ${end.failure}`
    },
  },
]

export const incumbentContract: RoleContract<typeof incumbentMachine, Memory> = {
  machine: incumbentMachine,
  alphabet: incumbentAlphabet,
  memory: { first, after },
  contracts,
  mayCome: (memory, { type }) => {
    // Only a process that serves greets, and it attends to one supervisor at a time.
    if (type === 'supervisor.attended') return isIdle(memory) && !memory.session
    if (type.startsWith('supervisor.')) return memory.session
    // The path is watched while clients are served.
    return type !== 'process.pathLost' || memory.accepting
  },
  silence: {
    says: 'silence ends by a limit: a hook by its budget, a supervisor by its own numbers and our slack',
    rests: (memory, { children, tags }) => isRest(memory, children, tags),
    limitMs: ({ drainBudgetMs, decisionBudgetMs }, { context }) => {
      const { policy } = context as { policy: Policy }
      const { copyMs, cutMs, deadlineSlackMs, hookCancelGraceMs, openBudgetMs, stopGraceMs } = policy
      const swap = copyMs + cutMs + Math.max(drainBudgetMs, decisionBudgetMs, stopGraceMs) + deadlineSlackMs
      return swap + 2 * hookCancelGraceMs + openBudgetMs
    },
  },
}

/** Serving, parked by the lock, or in a system call that ends by itself. */
const isRest = (_: Memory, children: readonly string[], tags: ReadonlySet<string>) =>
  tags.has('parked') || children.includes('publishControl') || (tags.has('accepting') && children.length === 0)

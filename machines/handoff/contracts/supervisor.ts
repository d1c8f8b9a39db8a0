/** What is demanded of a supervisor, whatever its processes, its disk and its operator do. */
import type { Contract, Moment, RoleContract } from '../../explore/index.js'
import { R, supervisorAlphabet } from '../alphabets.js'
import type { FailureCode } from '../failures.js'
import { type Policy, respawnPauseMs } from '../policy.js'
import { type Look, supervisorMachine } from '../supervisor.machine.js'
import type { SwapOutput } from '../swap.machine.js'
import { clockOf, common, does, endOf, exactly, isDone, isFailed, isOver, paramsOf, runs, starts } from './watch.js'

/**
 * Why somebody is looked for: after a start of our own, behind a taken address, in the place of a process that a
 * predecessor had just started, before a start, before a bad answer.
 */
type Search = 'recover' | 'holder' | 'begun' | 'respawn' | 'answer'

type Mode = 'recovering' | 'starting' | 'serving' | 'clearing' | 'swapping' | 'pausing' | 'looking' | 'stopping'

/** A build that is tried beside the one that serves: how far it has come. */
type Rehearsal = 'no' | 'starting' | 'awaited' | 'doubted' | 'aborted' | 'asked'

interface Memory {
  readonly rehearsal: Rehearsal
  readonly rehearsed: number | null
  readonly verdict: 'passed' | FailureCode | null
  /** Which of the limits in the alphabet hold: those it began with, or those it was given since. */
  readonly limits: 'first' | 'changed'
  readonly mode: Mode
  readonly search: Search
  readonly journaled: readonly number[]
  /** The journal tells of a start and not of its process, or who was found had processes beside it. */
  readonly begun: boolean
  /** How often who serves kept its listeners. */
  readonly refusals: number
  /** The process that serves, or is being started. */
  readonly primitive: number | null
  readonly retiring: readonly number[]
  readonly failures: number
  readonly failure: FailureCode | null
  /** A swap was asked for and not answered yet. */
  readonly asked: boolean
  /** Its build is to be started, since nobody serves that could be swapped. */
  readonly owed: boolean
  /** What is being started was killed to make room for that build. */
  readonly replaced: boolean
  readonly stop: boolean
  readonly leave: boolean
  /** The strongest signal that the primitive was sent. */
  readonly signalled: 'no' | 'SIGTERM' | 'SIGKILL'
}

const first: Memory = {
  rehearsal: 'no',
  rehearsed: null,
  verdict: null,
  limits: 'first',
  mode: 'recovering',
  search: 'recover',
  journaled: [],
  begun: false,
  refusals: 0,
  primitive: null,
  retiring: [],
  failures: 0,
  failure: null,
  asked: false,
  owed: false,
  replaced: false,
  stop: false,
  leave: false,
  signalled: 'no',
}

const changed = supervisorAlphabet.events.find(({ type }) => type === 'operator.reconfigured') as { policy: Policy }
const policyOf = ({ limits }: Pick<Memory, 'limits'>): Policy =>
  limits === 'changed' ? changed.policy : (supervisorAlphabet.inputs[0] as { policy: Policy }).policy

const lookOf = (moment: Moment): Look | null => (isDone(moment, 'lookAround') ? (moment.event.output as Look) : null)
const answering = (moment: Moment): number | null => lookOf(moment)?.answeringPid ?? null
const leftovers = (moment: Moment): number[] =>
  (lookOf(moment)?.livingPids ?? []).filter((pid) => pid !== answering(moment))
/** Somebody lives who may serve yet. */
const mayServe = (moment: Moment): boolean => answering(moment) === null && leftovers(moment).length > 0
const swapOutput = (moment: Moment): SwapOutput | null =>
  isDone(moment, 'swap') ? (moment.event.output as SwapOutput) : null
const isLook = (moment: Moment) => endOf(moment)?.id === 'lookAround'
const isRequest = ({ event }: Moment) => event.type === 'swap.requested'
const isStop = ({ event }: Moment) => event.type === 'operator.stopped'
const isLeave = ({ event }: Moment) => event.type === 'operator.left'
const isExitOf = (pid: number | null, { event }: Moment) => event.type === 'primitive.exited' && event.pid === pid

/** The primitive is gone, or did not come: who serves now is open. */
function failureOf(memory: Memory, moment: Moment): FailureCode | null {
  const { mode, primitive } = memory
  if (isFailed(moment, 'startPrimitive')) return 'ERR_HANDOFF_SPAWN'
  if (isGivenUp(memory, moment)) return 'ERR_HANDOFF_LISTENERS'
  if (isFailed(moment, 'confirmServing') || clockOf(moment) === 'openBudgetMs') return 'ERR_HANDOFF_START_TIMEOUT'
  if (isExitOf(primitive, moment) && memory.signalled === 'no' && ['starting', 'serving', 'clearing'].includes(mode))
    return 'ERR_HANDOFF_INCUMBENT_EXITED'
  const output = swapOutput(moment)
  return output?.result === 'nobodyServes' ? output.failure : null
}

/** Its address is taken by nobody that could be ours, by one that keeps it, or by one that has had as long as a start may take. */
function isGivenUp({ mode, search, begun, refusals }: Memory, moment: Moment): boolean {
  if (mode !== 'recovering') return false
  if (search === 'begun') return clockOf(moment) === 'openBudgetMs'
  if (search !== 'holder' || !isLook(moment)) return false
  // Once is no refusal.
  if (answering(moment) !== null) return refusals > 1
  return isFailed(moment, 'lookAround') || (!mayServe(moment) && !begun)
}

/** One start more in a row that did not last. */
const counts = (memory: Memory, moment: Moment) =>
  isFailed(moment, 'startPrimitive') ||
  swapOutput(moment)?.result === 'nobodyServes' ||
  (isExitOf(memory.primitive, moment) &&
    ['starting', 'serving', 'clearing'].includes(memory.mode) &&
    // A build that makes room for the one that was asked for is no failure more.
    !memory.replaced)

function verdictOf(memory: Memory, moment: Moment): Memory['verdict'] {
  const { event } = moment
  const clock = clockOf(moment)
  if (memory.rehearsal === 'no' || memory.verdict !== null) return memory.verdict
  if (isFailed(moment, 'startRehearsed')) return 'ERR_HANDOFF_SPAWN'
  if (memory.rehearsed !== null && isExitOf(memory.rehearsed, moment)) return 'ERR_HANDOFF_SUCCESSOR_EXITED'
  if (clock === 'successorBootMs') return 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT'
  if (clock === 'exitNoticeMs') return 'ERR_HANDOFF_SUCCESSOR_DISCONNECTED'
  if (memory.rehearsal !== 'awaited') return null
  if (event.type === 'rehearsed.violatedProtocol') return 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL'
  if (event.type !== 'rehearsed.greeted') return null
  return event.versionOk === true && event.pid === memory.rehearsed ? 'passed' : 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL'
}

/** Everything else goes on meanwhile, and whatever is more important ends it. */
function rehearsalAfter(memory: Memory, moment: Moment, mode: Mode): Rehearsal {
  const { rehearsal, rehearsed } = memory
  if (mode !== 'serving' || isOver(moment)) return 'no'
  if (rehearsal === 'no')
    return moment.event.type === 'rehearsal.requested' && memory.mode === 'serving' ? 'starting' : 'no'
  if (memory.mode !== 'serving' || isFailed(moment, 'startRehearsed')) return 'no'
  if (rehearsed !== null && isExitOf(rehearsed, moment)) return 'no'
  if (isDone(moment, 'startRehearsed')) return 'awaited'
  if (memory.verdict === null && verdictOf(memory, moment) !== null) return 'aborted'
  if (rehearsal === 'awaited' && moment.event.type === 'rehearsed.disconnected') return 'doubted'
  if (clockOf(moment) !== 'successorKillGraceMs') return rehearsal
  return rehearsal === 'aborted' ? 'asked' : 'no'
}

function nextMode(
  memory: Memory,
  moment: Moment,
  then: Omit<Memory, 'mode' | 'search' | 'rehearsal' | 'rehearsed' | 'verdict'>,
): Mode {
  const { mode, search } = memory
  const found = answering(moment)
  if (mode === 'stopping') return mode
  if (isStop(moment) && (mode === 'swapping' ? memory.stop : !isBound(memory, moment)) && mode !== 'recovering')
    return 'stopping'
  const settles = () => (then.stop ? 'stopping' : 'serving')
  switch (mode) {
    case 'recovering':
      if (isDone(moment, 'takeListeners')) return settles()
      return isDone(moment, 'bindListeners') || isDone(moment, 'rebindListeners') ? 'starting' : mode
    case 'starting':
      if (isDone(moment, 'startPrimitive')) return then.stop ? 'stopping' : mode
      if (isDone(moment, 'confirmServing')) return 'serving'
      return counts(memory, moment) ? afterFailure(then) : mode
    case 'serving':
      if (isRequest(moment)) return then.retiring.length > 0 ? 'clearing' : 'swapping'
      return counts(memory, moment) ? afterFailure(then) : mode
    case 'clearing':
      if (isExitOf(memory.primitive, moment)) return 'looking'
      return then.retiring.length > 0 ? mode : 'swapping'
    case 'swapping': {
      const output = swapOutput(moment)
      if (output === null) return mode
      return output.result === 'nobodyServes' ? afterFailure({ ...then, owed: false }) : settles()
    }
    case 'pausing':
      return isRequest(moment) || clockOf(moment) === 'respawnPauseMs' ? 'looking' : mode
    case 'looking':
      if (!isLook(moment)) return mode
      if (found !== null) {
        if (memory.owed) return then.retiring.length > 0 ? 'clearing' : 'swapping'
        return 'serving'
      }
      return search === 'answer' ? (then.stop ? 'stopping' : 'pausing') : 'starting'
    default:
      return mode
  }
}

const afterFailure = ({ stop, owed }: { stop: boolean; owed: boolean }): Mode =>
  stop ? 'stopping' : owed ? 'looking' : 'pausing'

/** A moment that must not be left: the order is obeyed afterwards. */
function isBound(memory: Memory, moment: Moment): boolean {
  const { before } = moment
  const busy = (id: string) => before?.children.includes(id) === true
  return (
    busy('startPrimitive') ||
    busy('swap') ||
    busy('takeListeners') ||
    (busy('lookAround') && memory.search === 'answer')
  )
}

function after(memory: Memory, moment: Moment): Memory {
  const { event } = moment
  const limits = event.type === 'operator.reconfigured' ? 'changed' : memory.limits
  const output = swapOutput(moment)
  const found = answering(moment)
  const isSearching = isLook(moment)
  const failure = failureOf(memory, moment)
  const stable = clockOf(moment) === 'stableMs'
  const isGone = isExitOf(memory.primitive, moment) && !(memory.mode === 'swapping')
  const primitive =
    found !== null && isSearching
      ? found
      : isDone(moment, 'startPrimitive')
        ? (event.output as { pid: number }).pid
        : output !== null
          ? output.servingPid
          : isGone && memory.mode !== 'recovering'
            ? null
            : // Who did not give its listeners is the service no more, unless it is found again.
              memory.search === 'holder' && isLook(moment) && !isGivenUp(memory, moment)
              ? null
              : memory.primitive
  const ended = event.type === 'primitive.exited' && !isExitOf(memory.primitive, moment) ? event.pid : found
  const joined = [
    ...memory.retiring,
    ...(memory.search === 'recover' && found !== null && memory.mode === 'recovering' ? leftovers(moment) : []),
    ...(output?.retiringPid == null ? [] : [output.retiringPid]),
  ]
  const retiring = [...new Set(joined)].filter((pid) => pid !== ended).sort()
  const isTaken = isRequest(moment) && does(moment, 'refuseSwap') === 0
  const isPaid = isSearching && memory.owed && (found !== null || memory.search === 'answer')
  const isConfirmed = isDone(moment, 'confirmServing') && memory.mode === 'starting'
  const signal = paramsOf(moment, 'signalPrimitive').map(
    (params) => (params as { signal: 'SIGTERM' | 'SIGKILL' }).signal,
  )
  const bound = isBound(memory, moment)
  const then = {
    limits,
    journaled: isDone(moment, 'readJournal')
      ? event.output.pids
      : isDone(moment, 'takeListeners') || isDone(moment, 'fence') || isBlank(memory, moment)
        ? []
        : memory.journaled,
    refusals: Math.min(memory.refusals + (isFailed(moment, 'takeListeners') ? 1 : 0), 2),
    begun: isDone(moment, 'readJournal')
      ? (event.output as { begun: boolean }).begun
      : memory.begun || isFailed(moment, 'takeListeners') || (isBlank(memory, moment) && memory.journaled.length > 0),
    primitive,
    retiring,
    failures: stable
      ? 0
      : Math.min(memory.failures + (counts(memory, moment) ? 1 : 0), policyOf({ limits }).crashLoopLimit),
    failure: stable ? null : (failure ?? memory.failure),
    asked: (memory.asked || isTaken) && does(moment, 'reportOutcome') === 0,
    owed:
      (memory.owed ||
        (isTaken && ['pausing', 'starting'].includes(memory.mode)) ||
        (memory.mode === 'clearing' && isGone)) &&
      !isPaid &&
      !isConfirmed,
    stop: memory.stop || (isStop(moment) && bound),
    leave: memory.leave || (isLeave(moment) && bound && !moment.before?.children.includes('takeListeners')),
    signalled: signal.at(-1) ?? (primitive === memory.primitive ? memory.signalled : 'no'),
    replaced:
      (memory.replaced || (isTaken && memory.mode === 'starting')) && !starts(moment).includes('startPrimitive'),
  } as const
  const mode = nextMode(memory, moment, then)
  const search: Search =
    mode === 'recovering'
      ? recoverySearch(memory, moment)
      : counts(memory, moment) && mode === 'looking' && memory.mode !== 'clearing'
        ? 'answer'
        : mode === 'looking' && memory.mode !== 'looking'
          ? 'respawn'
          : memory.search
  const rehearsal = rehearsalAfter(memory, moment, mode)
  const rehearsed = isDone(moment, 'startRehearsed') ? (event.output as { pid: number }).pid : memory.rehearsed
  return {
    ...then,
    ...(mode === 'recovering' ? {} : { begun: false, refusals: 0 }),
    mode,
    search,
    rehearsal,
    rehearsed: rehearsal === 'no' ? null : rehearsed,
    verdict: rehearsal === 'no' ? null : verdictOf(memory, moment),
  }
}

/** Nobody is left of whom the journal tells. */
const isBlank = ({ begun }: Memory, moment: Moment): boolean =>
  isDone(moment, 'lookAround') && starts(moment).includes('bindListeners') && !begun

function recoverySearch({ search, begun }: Memory, moment: Moment): Search {
  if (isFailed(moment, 'takeListeners') || isFailed(moment, 'bindListeners')) return 'holder'
  if (search !== 'holder' || !isLook(moment) || answering(moment) !== null) return search
  return mayServe(moment) ? 'recover' : begun ? 'begun' : search
}

const reports = (moment: Moment) => paramsOf(moment, 'reportOutcome') as SwapOutput[]
const pidsOf = (moment: Moment, type: string) => paramsOf(moment, type).map((params) => (params as { pid: number }).pid)

/** The process ends itself: told to leave, or nothing is left to stop. */
function isEnd(memory: Memory, moment: Moment, then: Memory): boolean {
  const { mode } = memory
  if (mode === 'recovering') {
    if (isGivenUp(memory, moment)) return true
    if (isLeave(moment)) return true
    return isStop(moment) && !isBound(memory, moment)
  }
  if (mode === 'stopping') return isExitOf(memory.primitive, moment)
  const isDueToLeave = (isLeave(moment) && !isBound(memory, moment)) || then.leave
  if (then.mode === 'stopping') return then.primitive === null
  if (!isDueToLeave) return false
  const hasCome = isDone(moment, 'startPrimitive') || isFailed(moment, 'startPrimitive') || isDone(moment, 'swap')
  return isLeave(moment) ? !isBound(memory, moment) : hasCome || (isLook(moment) && then.mode === 'pausing')
}

const contracts: Contract<Memory>[] = [
  ...common<Memory>(),
  {
    id: 'END',
    says: 'it ends exactly when it was told to leave, when nothing is left to stop, or when it cannot get its listeners',
    holds: (memory, moment, then) => {
      if (isOver(moment) !== isEnd(memory, moment, then)) return isOver(moment) ? 'ends' : 'does not end'
      return !isOver(moment) || (moment.after.output as { failure: FailureCode | null }).failure === then.failure
    },
  },
  {
    id: 'WHO',
    says: 'outsiders see who serves or is being started, and at the end who is left behind',
    holds: (_, moment, { primitive }) => {
      const { primitivePid } = moment.after.context as { primitivePid: number | null }
      return primitivePid === primitive ? true : `${primitivePid}, not ${primitive}`
    },
  },
  {
    id: 'LOOK',
    says: 'it looks before it binds, takes what it finds, and writes a start down before there is a process (INV-01, INV-07)',
    holds: (memory, moment, then) => {
      if (isOver(moment)) return starts(moment).length === 0
      const due = beginning(memory, moment, then)
      return starts(moment).join() === due ? true : `${starts(moment).join()}, not ${due}`
    },
  },
  {
    id: 'WHOM',
    says: 'each look asks for the processes in the journal, each start for the build that is due, each confirmation for its process',
    holds: (memory, moment, then) =>
      moment.effects.every((effect) => {
        if (effect.kind !== 'start') return true
        const input = effect.input as {
          pids?: number[]
          pid?: number
          build?: string
          policy?: Policy
          incumbentPid?: number
        }
        if (effect.src === 'lookAround')
          return (
            input.pids?.join() ===
            (then.mode === 'recovering' && then.search === 'recover' ? then.journaled.join() : '')
          )
        if (effect.src === 'fence') return input.pids?.join() === memory.journaled.join()
        if (effect.src === 'startPrimitive') return input.build === (then.owed ? 'requested' : 'current')
        if (effect.src === 'swap') return input.policy === policyOf(then) && input.incumbentPid === then.primitive
        return !['takeListeners', 'confirmServing'].includes(effect.src) || input.pid === then.primitive
      }),
  },
  {
    id: 'MODE',
    says: 'outsiders see whether somebody serves, whether a swap runs, and when it is a crash loop',
    holds: (_, moment, then) => {
      const { after: view } = moment
      if (isOver(moment)) return view.hasTag('ended')
      const { mode } = then
      const isServing = ['serving', 'clearing', 'swapping'].includes(mode)
      if (view.hasTag('serving') !== isServing) return 'serving'
      if (view.hasTag('swapping') !== (mode === 'clearing' || mode === 'swapping')) return 'swapping'
      if (view.hasTag('degraded') !== (mode === 'pausing' || mode === 'looking')) return 'degraded'
      const isLooping = mode === 'pausing' && then.failures >= policyOf(then).crashLoopLimit
      return view.matches({ pausing: 'crashLooping' }) === isLooping || moment.event.type === 'operator.reconfigured'
    },
  },
  {
    id: 'CLOCKS',
    says: 'a failed start is followed by a pause that grows, a start by its budget, a stop by its grace; a service that lasts forgets failures',
    holds: (memory, moment, then) => {
      if (isOver(moment)) return true
      const { mode, signalled, failures } = then
      const policy = policyOf(then)
      const isTaking = runs(moment, 'takeListeners')
      const isMute = mode === 'recovering' && moment.after.children.length === 0
      const isWatching = mode === 'recovering' && then.search === 'recover' && (isMute || runs(moment, 'lookAround'))
      const due: Record<string, number | null> = {
        respawnPauseMs: mode === 'pausing' ? respawnPauseMs(policy, failures) : null,
        openBudgetMs:
          runs(moment, 'confirmServing') || (mode === 'recovering' && then.search === 'begun' && !isTaking)
            ? policy.openBudgetMs
            : null,
        stopGraceMs:
          mode === 'stopping' && signalled === 'SIGTERM' ? policy.stopGraceMs + policy.deadlineSlackMs : null,
        settlePollMs: isMute ? policy.settlePollMs : null,
        settleMs: isWatching ? Math.max(policy.settleMs, policy.deadlineMs + 4 * policy.deadlineSlackMs) : null,
      }
      for (const [name, ms] of Object.entries(due)) {
        if (moment.clocks.includes(name) !== (ms !== null)) return `${name} ${ms}`
        if (ms === null) continue
        for (const effect of moment.effects) {
          const isIt = effect.kind === 'armTimer' && effect.event.type.startsWith(`xstate.after.${name}.`)
          if (isIt && effect.delayMs !== ms) return `${name} of ${effect.delayMs} ms`
        }
      }
      if (mode !== 'serving') return !moment.clocks.includes('stableMs')
      return memory.mode === 'serving' || moment.clocks.includes('stableMs')
    },
  },
  {
    id: 'SIGNALS',
    says: 'SIGTERM asks an orderly stop, SIGKILL follows a grace, a second stop, a start that failed or that makes room',
    holds: (memory, moment, then) => {
      const sent = paramsOf(moment, 'signalPrimitive').map((params) => (params as { signal: string }).signal)
      const isStopping = then.mode === 'stopping'
      const hasBegun = isStopping && memory.mode !== 'stopping' && !isOver(moment)
      const isSwapStop = hasBegun && memory.mode === 'swapping' && isStop(moment)
      const isStronger =
        memory.mode === 'stopping' &&
        memory.signalled === 'SIGTERM' &&
        (isStop(moment) || clockOf(moment) === 'stopGraceMs')
      const isBad =
        isFailed(moment, 'confirmServing') || (memory.mode === 'starting' && clockOf(moment) === 'openBudgetMs')
      const isReplaced = memory.mode === 'starting' && isRequest(moment) && does(moment, 'refuseSwap') === 0
      const due = isSwapStop || isStronger || isBad || isReplaced ? 'SIGKILL' : hasBegun ? 'SIGTERM' : ''
      return sent.join() === due ? true : `${sent.join()}, not ${due}`
    },
  },
  {
    id: 'SWAP',
    says: 'a request begins a swap, waits for its turn, or has its build started; whatever cannot be is refused at once',
    holds: (memory, moment) => {
      const { mode, failures } = memory
      const isConfirming = moment.before?.children.includes('confirmServing') === true && mode === 'starting'
      const isTaken = mode === 'serving' || mode === 'pausing' || (isConfirming && failures > 0)
      return exactly(moment, 'refuseSwap', isRequest(moment) && !isTaken)
    },
  },
  {
    id: 'CANCEL',
    says: 'an orderly stop cancels the swap that runs, once, and waits for its verdict; leaving waits only',
    holds: (memory, moment) =>
      exactly(moment, 'cancelSwap', memory.mode === 'swapping' && isStop(moment) && !memory.stop),
  },
  {
    id: 'OUTCOME',
    says: 'each request that was not refused is answered exactly once, with the truth (INV-12)',
    holds: (memory, moment, then) => {
      const told = reports(moment)
      if (told.length > 1 || (told.length === 1 && !memory.asked)) return 'answered twice'
      const due = answerDue(memory, moment, then)
      if (due === null) return told.length === 0 ? true : 'answered too early'
      const [outcome] = told
      return outcome !== undefined && JSON.stringify(outcome) === JSON.stringify(due) ? true : 'another answer'
    },
  },
  {
    id: 'WATCH',
    says: 'a process that was found is watched, one that was committed away is retired, so that each end is told (INV-10)',
    holds: (memory, moment, then) => {
      const adopted = isDone(moment, 'takeListeners') || (memory.mode === 'looking' && answering(moment) !== null)
      if (pidsOf(moment, 'watchPrimitive').join() !== (adopted ? `${then.primitive}` : '')) return 'watch'
      const retiringPid = swapOutput(moment)?.retiringPid
      if (pidsOf(moment, 'retireIncumbent').join() !== (retiringPid == null ? '' : `${retiringPid}`)) return 'retire'
      const isFound = memory.mode === 'recovering' && memory.search === 'recover' && answering(moment) !== null
      const left = paramsOf(moment, 'retireLeftovers').map((params) => (params as { pids: number[] }).pids)
      return isFound ? left.length === 1 && left[0]?.join() === leftovers(moment).join() : left.length === 0
    },
  },
  {
    id: 'REHEARSAL',
    says: 'a rehearsed build hears Abort and nothing else, then is asked by SIGTERM; however the rehearsal ends, it is ended, and its verdict told, once',
    holds: (memory, moment, then) => {
      const { rehearsal } = then
      const isNew = (at: Rehearsal) => rehearsal === at && memory.rehearsal !== at
      const pid = memory.rehearsed
      const told = (type: string) => JSON.stringify(paramsOf(moment, type))
      if (told('sendToRehearsed') !== JSON.stringify(isNew('aborted') ? [{ kind: 'Abort', pid }] : [])) return 'Abort'
      if (told('signalRehearsed') !== JSON.stringify(isNew('asked') ? [{ signal: 'SIGTERM', pid }] : []))
        return 'signal'
      const hasEnded = memory.rehearsal !== 'no' && rehearsal === 'no'
      if (told('endRehearsed') !== JSON.stringify(hasEnded ? [{ pid }] : [])) return 'end'
      const verdict = verdictOf(memory, moment) ?? 'ERR_HANDOFF_CANCELLED'
      const report = { failure: verdict === 'passed' ? null : verdict }
      if (told('reportRehearsal') !== JSON.stringify(hasEnded ? [report] : [])) return 'report'
      const names = moment.effects.map((effect) => (effect.kind === 'action' ? effect.type : ''))
      return names.indexOf('endRehearsed') <= names.indexOf('reportRehearsal')
    },
  },
  {
    id: 'REHEARSAL-CLOCKS',
    says: 'a rehearsal has the budgets that a swap gives its successor',
    holds: (_, moment, { rehearsal }) =>
      moment.clocks.includes('successorBootMs') === (rehearsal === 'awaited') &&
      moment.clocks.includes('exitNoticeMs') === (rehearsal === 'doubted') &&
      moment.clocks.includes('successorKillGraceMs') === (rehearsal === 'aborted' || rehearsal === 'asked'),
  },
  {
    id: 'JOURNAL',
    says: 'the journal goes when nothing in it is left to find, and not before',
    holds: (memory, moment, then) => {
      const { mode } = memory
      const isAdopted = isDone(moment, 'takeListeners') && !then.stop && then.retiring.length === 0
      const isFound = mode === 'looking' && answering(moment) !== null
      const isVerdict =
        swapOutput(moment) !== null &&
        swapOutput(moment)?.result !== 'nobodyServes' &&
        swapOutput(moment)?.retiringPid === null
      const isLast =
        mode === 'serving' &&
        memory.retiring.length === 1 &&
        then.retiring.length === 0 &&
        moment.event.type === 'primitive.exited' &&
        !isExitOf(memory.primitive, moment)
      const isStopped = isOver(moment) && then.mode === 'stopping'
      const isStarted = mode === 'starting' && isDone(moment, 'confirmServing')
      // What was written down before a start stands for nobody: none began, or it failed.
      const isUnstarted =
        isFailed(moment, 'startPrimitive') ||
        (moment.before?.children.includes('recordStart') === true && (isStop(moment) || isLeave(moment)))
      return exactly(
        moment,
        'clearJournal',
        isAdopted || isFound || isVerdict || isLast || isStopped || isStarted || isUnstarted || isBlank(memory, moment),
      )
    },
  },
]

/** The answer to the request that is open, if this moment settles it. */
function answerDue(memory: Memory, moment: Moment, then: Memory): SwapOutput | null {
  const none = { failover: false, retiringPid: null }
  const output = swapOutput(moment)
  if (output !== null) return output
  if (memory.mode === 'clearing' && (isStop(moment) || isLeave(moment)))
    return { result: 'rolledBack', failure: 'ERR_HANDOFF_CANCELLED', servingPid: memory.primitive, ...none }
  if (memory.mode === 'starting' && isDone(moment, 'confirmServing') && memory.owed)
    return { result: 'committed', failure: null, servingPid: then.primitive, failover: true, retiringPid: null }
  if (memory.mode === 'looking' && memory.search === 'answer' && isLook(moment) && answering(moment) === null)
    return { result: 'nobodyServes', failure: memory.failure, servingPid: null, ...none }
  return null
}

/** What begins now; '' is nothing. */
function beginning(memory: Memory, moment: Moment, then: Memory): string {
  const { mode, search } = memory
  const found = answering(moment)
  if (moment.event.type === 'start') return 'readJournal'
  if (then.mode === 'swapping' && mode !== 'swapping') return 'swap'
  if (then.rehearsal === 'starting' && memory.rehearsal === 'no') return 'startRehearsed'
  if (then.mode === 'stopping') return ''
  if (then.mode === 'looking' && mode !== 'looking') return 'lookAround'
  if (mode === 'recovering') {
    if (endOf(moment)?.id === 'readJournal' || endOf(moment)?.id === 'fence' || clockOf(moment) === 'settlePollMs')
      return 'lookAround'
    if (isFailed(moment, 'takeListeners') || isFailed(moment, 'bindListeners')) return 'lookAround'
    // Who is in no journal is not ended: it may be a stranger.
    if (clockOf(moment) === 'settleMs') return memory.journaled.length > 0 ? 'fence' : 'bindListeners'
    if (isDone(moment, 'bindListeners') || isDone(moment, 'rebindListeners')) return 'recordStart'
    if (!isDone(moment, 'lookAround')) return ''
    if (found !== null) return 'takeListeners'
    if (search === 'begun') return 'rebindListeners'
    if (search === 'holder') return mayServe(moment) ? 'lookAround' : ''
    return mayServe(moment) ? '' : 'bindListeners'
  }
  if (endOf(moment)?.id === 'recordStart') return 'startPrimitive'
  if (isDone(moment, 'startPrimitive') && mode === 'starting') return 'confirmServing'
  if (then.mode === 'starting' && mode === 'looking') return 'recordStart'
  // The build that was asked for takes the place of one that was killed for it.
  if (mode === 'starting' && then.mode === 'starting' && isExitOf(memory.primitive, moment)) return 'recordStart'
  return ''
}

export const supervisorContract: RoleContract<typeof supervisorMachine, Memory> = {
  machine: supervisorMachine,
  alphabet: supervisorAlphabet,
  memory: { first, after },
  contracts,
  // A swap is a machine: it ends with its verdict.
  mayCome: ({ rehearsed, rehearsal }, { type, pid }) => {
    if (type.startsWith('rehearsed.')) return rehearsed !== null && rehearsal !== 'doubted'
    if (type === 'primitive.exited' && pid === R) return rehearsed === R
    return type !== 'xstate.error.actor.swap'
  },
}

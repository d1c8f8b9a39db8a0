/** What is demanded of a swap, whatever the two processes, the disk and the operator do. */
import type { AnyEventObject } from 'xstate'
import type { Contract, Moment, RoleContract } from '../../explore/index.js'
import { N, O, swapAlphabet } from '../alphabets.js'
import type { FailureCode } from '../failures.js'
import { type Fingerprint, isNotBehind, isSameData, type Revisions } from '../messages.js'
import type { Policy } from '../policy.js'
import { type SwapOutput, swapMachine } from '../swap.machine.js'
import {
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
  starts,
} from './watch.js'

/** How far the exchange has come, by what was said and begun. */
type Phase =
  | 'journaling'
  | 'spawning'
  | 'booting'
  | 'recording'
  | 'dialling'
  | 'greeting'
  | 'draining'
  | 'sealing'
  | 'opening'
  | 'verifying'
  | 'probation'

type Undo = 'no' | 'looking' | 'ending' | 'resuming' | 'killing'

interface Memory {
  readonly phase: Phase
  readonly probation: boolean
  readonly incumbent: 'alive' | 'dead'
  readonly successor: 'none' | 'alive' | 'dead'
  /** Ends of the two streams that are open. */
  readonly session: boolean
  readonly channel: boolean
  readonly manySessions: boolean
  /** An end that was closed by the peer, and whose reason may be on its way. */
  readonly doubt: 'no' | 'incumbent' | 'successor'
  /** PrepareHandoff was said, at all, and it was not undone by the incumbent itself. */
  readonly disturbed: boolean
  readonly owesWord: boolean
  readonly sealed: { readonly revisions: Revisions; readonly fingerprint: Fingerprint } | null
  /** The first cause against the swap as it stands. */
  readonly failure: FailureCode | null
  readonly undo: Undo
  readonly asked: boolean
  readonly killed: boolean
}

const first: Memory = {
  phase: 'journaling',
  probation: false,
  incumbent: 'alive',
  successor: 'none',
  session: false,
  channel: false,
  manySessions: false,
  doubt: 'no',
  disturbed: false,
  owesWord: false,
  sealed: null,
  failure: null,
  undo: 'no',
  asked: false,
  killed: false,
}

const ATTEMPT: readonly Phase[] = ['booting', 'recording', 'dialling', 'greeting', 'draining', 'sealing', 'opening']
const isAttempt = ({ phase, undo }: Memory) => undo === 'no' && ATTEMPT.includes(phase)

/** An exit of the incumbent in mid-swap frees its lock: the successor is told to begin, as soon as it can be. */
const isFailover = (memory: Memory, { event }: Moment) =>
  event.type === 'incumbent.exited' &&
  isAttempt(memory) &&
  memory.doubt !== 'successor' &&
  !['booting', 'recording'].includes(memory.phase)

const fitsHello = (memory: Memory, { pid, versionOk }: AnyEventObject, of: 'incumbent' | 'successor') =>
  versionOk === true && pid === (of === 'incumbent' ? O : N) && memory.doubt === 'no'

/** Why this moment ends the swap, or null. */
function causeOf(memory: Memory, moment: Moment): FailureCode | null {
  const { phase, undo, doubt, sealed } = memory
  const { event } = moment
  const clock = clockOf(moment)
  if (undo !== 'no') return null
  if (event.type === 'operator.cancelled' && phase !== 'verifying') return 'ERR_HANDOFF_CANCELLED'
  if (event.type === 'successor.exited') return 'ERR_HANDOFF_SUCCESSOR_EXITED'
  if (phase === 'journaling') {
    if (isFailed(moment, 'writeJournal') || clock === 'greetingMs') return 'ERR_HANDOFF_JOURNAL_WRITE'
    return event.type === 'incumbent.exited' ? 'ERR_HANDOFF_INCUMBENT_EXITED' : null
  }
  if (phase === 'spawning') return isFailed(moment, 'spawnSuccessor') ? 'ERR_HANDOFF_SPAWN' : null
  if (phase === 'verifying')
    return isFailed(moment, 'confirmServing') || clock === 'confirmMs' ? 'ERR_HANDOFF_SUCCESSOR_NOT_SERVING' : null
  if (phase === 'probation')
    return event.type === 'successor.becameUnhealthy' ? 'ERR_HANDOFF_SUCCESSOR_UNHEALTHY' : null
  if (clock === 'deadlineMs') return 'ERR_HANDOFF_DEADLINE_TIMEOUT'
  if (clock === 'exitNoticeMs') {
    if (doubt === 'successor') return 'ERR_HANDOFF_SUCCESSOR_DISCONNECTED'
    return phase === 'dialling' ? 'ERR_HANDOFF_INCUMBENT_UNREACHABLE' : 'ERR_HANDOFF_INCUMBENT_DISCONNECTED'
  }
  switch (event.type) {
    case 'successor.violatedProtocol':
      return 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL'
    case 'incumbent.violatedProtocol':
      return 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL'
    case 'incumbent.sealFailed':
      return phase === 'draining' && doubt === 'no' ? 'ERR_HANDOFF_DRAIN_FAILED' : 'ERR_HANDOFF_SEAL_FAILED'
    case 'successor.greeted':
      if (phase === 'booting' && fitsHello(memory, event, 'successor')) return null
      return 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL'
    case 'incumbent.greeted':
      if (phase === 'greeting' && fitsHello(memory, event, 'incumbent')) return null
      return 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL'
    case 'incumbent.drained':
      if (doubt === 'successor') return null
      if (phase !== 'draining' || doubt !== 'no') return 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL'
      return event.acceptClosed === true ? null : 'ERR_HANDOFF_INCUMBENT_STILL_ACCEPTING'
    case 'incumbent.sealed':
      return (phase === 'sealing' && doubt === 'no') || doubt === 'successor'
        ? null
        : 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL'
    case 'successor.becameReady': {
      if (phase !== 'opening' || doubt !== 'no') return 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL'
      if (event.healthy !== true) return 'ERR_HANDOFF_SUCCESSOR_UNHEALTHY'
      if (sealed === null) return null
      if (!isNotBehind(event.revisions, sealed.revisions)) return 'ERR_HANDOFF_SUCCESSOR_BEHIND'
      return isSameData(event.fingerprint, sealed.fingerprint) ? null : 'ERR_HANDOFF_SUCCESSOR_FINGERPRINT'
    }
  }
  if (phase === 'booting' && clock === 'successorBootMs') return 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT'
  if (phase === 'recording' && (isFailed(moment, 'writeJournal') || clock === 'greetingMs'))
    return 'ERR_HANDOFF_JOURNAL_WRITE'
  if (clock === 'greetingMs') return 'ERR_HANDOFF_INCUMBENT_UNREACHABLE'
  if (clock === 'drainOverdueMs') return 'ERR_HANDOFF_DRAIN_FAILED'
  if (clock === 'livenessMs')
    return phase === 'opening' ? 'ERR_HANDOFF_SUCCESSOR_SILENT' : 'ERR_HANDOFF_INCUMBENT_SILENT'
  return null
}

const LATE: readonly (FailureCode | null)[] = [
  'ERR_HANDOFF_DEADLINE_TIMEOUT',
  'ERR_HANDOFF_SUCCESSOR_SILENT',
  'ERR_HANDOFF_SUCCESSOR_NOT_SERVING',
]

/** The swap is given up now: in `spawning` only when the child is known, or there is none. */
const givesUp = (memory: Memory, moment: Moment) =>
  memory.undo === 'no' &&
  (memory.phase === 'spawning'
    ? endOf(moment)?.id === 'spawnSuccessor' && (memory.failure ?? causeOf(memory, moment)) !== null
    : causeOf(memory, moment) !== null)

/** What the way back does next, by who lives. */
function wayBack(memory: Memory, moment: Moment, then: Omit<Memory, 'undo'>): Undo | 'over' {
  const { undo } = memory
  const decide = () =>
    then.successor === 'alive' ? 'ending' : then.incumbent === 'alive' ? ('resuming' as const) : ('over' as const)
  if (givesUp(memory, moment)) return then.successor === 'alive' && LATE.includes(then.failure) ? 'looking' : decide()
  if (undo === 'no') return 'no'
  if (moment.event.type === 'successor.exited') return decide()
  if (undo === 'looking') {
    if (isDone(moment, 'probeControl') && moment.event.output.answeredBy === 'successor') return 'over'
    return endOf(moment) !== null || clockOf(moment) === 'greetingMs' ? 'ending' : 'looking'
  }
  if (undo === 'resuming') {
    if (moment.event.type === 'incumbent.exited' || isDone(moment, 'confirmServing')) return 'over'
    if (isFailed(moment, 'confirmServing')) return 'killing'
    const clock = clockOf(moment)
    if (clock === 'confirmMs') return memory.disturbed ? 'resuming' : 'over'
    return clock === 'resumeBudgetMs' || clock === 'livenessMs' ? 'killing' : 'resuming'
  }
  if (undo === 'killing') return moment.event.type === 'incumbent.exited' ? 'over' : 'killing'
  return undo
}

const PHASES: readonly (readonly [phase: Phase, begins: (moment: Moment) => boolean])[] = [
  ['verifying', (moment) => kindsSent(moment, 'sendToSuccessor').includes('Commit')],
  ['opening', (moment) => kindsSent(moment, 'sendToSuccessor').includes('Begin')],
  ['sealing', (moment) => kindsSent(moment, 'sendToIncumbent').includes('SealRequest')],
  ['draining', (moment) => kindsSent(moment, 'sendToIncumbent').includes('PrepareHandoff')],
  ['greeting', (moment) => isDone(moment, 'dialIncumbent')],
  ['dialling', (moment) => starts(moment).includes('dialIncumbent')],
  ['recording', (moment) => kindsSent(moment, 'sendToSuccessor').includes('HelloAck')],
  ['booting', (moment) => isDone(moment, 'spawnSuccessor')],
  ['spawning', (moment) => starts(moment).includes('spawnSuccessor')],
  ['probation', (moment) => does(moment, 'watchSuccessor') > 0],
]

function after(memory: Memory, moment: Moment): Memory {
  const { event } = moment
  const { type } = event
  const phase = PHASES.find(([, begins]) => begins(moment))?.[0] ?? memory.phase
  const isGone = type === 'incumbent.disconnected' || type === 'incumbent.exited'
  const session =
    (memory.session || isDone(moment, 'dialIncumbent')) && !isGone && does(moment, 'closeIncumbentSession') === 0
  const failover = isFailover(memory, moment)
  const doubt =
    phase !== memory.phase || failover
      ? 'no'
      : isAttempt(memory) && type === 'successor.disconnected'
        ? 'successor'
        : isAttempt(memory) && memory.doubt !== 'successor' && type === 'incumbent.disconnected' && phase !== 'opening'
          ? 'incumbent'
          : isFailed(moment, 'dialIncumbent')
            ? 'incumbent'
            : memory.doubt
  const unreachable = isFailed(moment, 'dialIncumbent') ? 'ERR_HANDOFF_INCUMBENT_UNREACHABLE' : null
  const failure = failover ? null : (memory.failure ?? causeOf(memory, moment) ?? unreachable)
  const isSettled = isAttempt(memory) && (type === 'incumbent.sealFailed' || isGone)
  const then = {
    phase,
    probation: type === 'start' ? event.input.policy.probationMs > 0 : memory.probation,
    incumbent: type === 'incumbent.exited' ? 'dead' : memory.incumbent,
    successor: isDone(moment, 'spawnSuccessor') ? 'alive' : type === 'successor.exited' ? 'dead' : memory.successor,
    session,
    channel:
      isDone(moment, 'spawnSuccessor') ||
      (memory.channel && type !== 'successor.disconnected' && does(moment, 'closeSuccessorChannel') === 0),
    manySessions:
      memory.manySessions || (type === 'incumbent.greeted' && memory.phase === 'greeting' && event.session === 'many'),
    doubt,
    disturbed: memory.disturbed || phase === 'draining',
    owesWord: (memory.owesWord || (phase === 'draining' && memory.phase !== 'draining')) && !isGone && !isSettled,
    sealed:
      type === 'incumbent.sealed' && memory.phase === 'sealing' && memory.doubt === 'no' && memory.undo === 'no'
        ? { revisions: event.revisions, fingerprint: event.fingerprint }
        : memory.sealed,
    failure,
    asked: memory.asked || kindsSent(moment, 'sendToSuccessor').includes('Abort'),
    killed: memory.killed || does(moment, 'signalIncumbent') > 0,
  } as const
  const undo = wayBack(memory, moment, then)
  return { ...then, undo: undo === 'over' ? memory.undo : undo }
}

const names = ({ effects }: Moment) =>
  effects.flatMap((effect) => {
    if (effect.kind !== 'action') return []
    const said = effect.type.startsWith('sendTo') ? `.${(effect.params as { kind: string }).kind}` : ''
    return [`${effect.type}${said}`]
  })

/** Both are done, the one before the other. */
const inOrder = (moment: Moment, earlier: string, later: string) => {
  const list = names(moment)
  return list.includes(earlier) && list.indexOf(earlier) < list.indexOf(later)
}

const says = (moment: Moment, to: 'sendToIncumbent' | 'sendToSuccessor', kind: string) =>
  kindsSent(moment, to).filter((said) => said === kind).length

const word =
  (to: 'sendToIncumbent' | 'sendToSuccessor', kind: string, isDue: (memory: Memory, moment: Moment) => boolean) =>
  (memory: Memory, moment: Moment) =>
    says(moment, to, kind) === (isDue(memory, moment) ? 1 : 0)

const isFit = (memory: Memory, moment: Moment) => memory.undo === 'no' && causeOf(memory, moment) === null

const contracts: Contract<Memory>[] = [
  ...common<Memory>(),
  {
    id: 'ACTORS',
    says: 'each beginning has its reason: the journal first, then the successor, its pid in the journal, then the incumbent',
    holds: (memory, moment, then) => {
      const due =
        moment.event.type === 'start' || (then.phase === 'recording' && memory.phase === 'booting')
          ? ['writeJournal']
          : memory.undo === 'no' && memory.phase === 'journaling' && isDone(moment, 'writeJournal')
            ? ['spawnSuccessor']
            : memory.phase === 'recording' &&
                isDone(moment, 'writeJournal') &&
                memory.undo === 'no' &&
                then.incumbent === 'alive'
              ? ['dialIncumbent']
              : then.phase === 'verifying' && memory.phase === 'opening'
                ? ['confirmServing']
                : then.undo === 'looking' && memory.undo === 'no'
                  ? ['probeControl']
                  : then.undo === 'resuming' && memory.undo !== 'resuming'
                    ? ['confirmServing']
                    : []
      return isOver(moment) || starts(moment).join() === due.join()
        ? true
        : `${starts(moment).join()}, not ${due.join()}`
    },
  },
  {
    id: 'WHOM',
    says: 'who is to be confirmed is the one that was told to serve, and the journal names the phase',
    holds: (_, moment, then) =>
      moment.effects.every((effect) => {
        if (effect.kind !== 'start') return true
        const input = effect.input as { role?: string; pid?: number; phase?: string } | undefined
        if (effect.src === 'writeJournal') return input?.phase === 'negotiating'
        if (effect.src !== 'confirmServing') return true
        return then.undo === 'no'
          ? input?.role === 'successor' && input.pid === N
          : input?.role === 'incumbent' && input.pid === O
      }),
  },
  {
    id: 'HELLO-ACK',
    says: 'a Hello that fits is acknowledged, once, each side',
    holds: (memory, moment) =>
      word(
        'sendToSuccessor',
        'HelloAck',
        () => memory.phase === 'booting' && isFit(memory, moment) && moment.event.type === 'successor.greeted',
      )(memory, moment) &&
      word(
        'sendToIncumbent',
        'HelloAck',
        () => memory.phase === 'greeting' && isFit(memory, moment) && moment.event.type === 'incumbent.greeted',
      )(memory, moment),
  },
  {
    id: 'PREPARE',
    says: 'the incumbent is asked to drain right after its Hello, which is acknowledged first; it hears who comes',
    holds: (memory, moment) => {
      const isDue = says(moment, 'sendToIncumbent', 'HelloAck') === 1
      if (!word('sendToIncumbent', 'PrepareHandoff', () => isDue)(memory, moment)) return false
      if (!isDue) return true
      const said = paramsOf(moment, 'sendToIncumbent').find(
        (one) => (one as { kind: string }).kind === 'PrepareHandoff',
      )
      return (
        (said as { successorPid: number }).successorPid === N &&
        inOrder(moment, 'sendToIncumbent.HelloAck', 'sendToIncumbent.PrepareHandoff')
      )
    },
  },
  {
    id: 'SEAL',
    says: 'the incumbent is asked to seal exactly when it has drained and accepts nobody',
    holds: (memory, moment) =>
      word(
        'sendToIncumbent',
        'SealRequest',
        () =>
          isFit(memory, moment) &&
          memory.phase === 'draining' &&
          memory.doubt === 'no' &&
          moment.event.type === 'incumbent.drained',
      )(memory, moment),
  },
  {
    id: 'BEGIN',
    says: 'the successor is told to take the lock when the incumbent has sealed, or is dead: once it is in the journal',
    holds: (memory, moment) => {
      const isSealed =
        isFit(memory, moment) &&
        memory.phase === 'sealing' &&
        memory.doubt === 'no' &&
        moment.event.type === 'incumbent.sealed'
      const isRecorded =
        memory.undo === 'no' &&
        memory.phase === 'recording' &&
        isDone(moment, 'writeJournal') &&
        memory.incumbent === 'dead'
      const isDue = isSealed || isRecorded || isFailover(memory, moment)
      // A successor that was told already may be told again after an exit: it takes the second for no news.
      return says(moment, 'sendToSuccessor', 'Begin') === (isDue && memory.phase !== 'opening' ? 1 : 0)
    },
  },
  {
    id: 'COMMIT-N',
    says: 'the successor is told to go live exactly on a Ready that was checked (INV-13)',
    holds: (memory, moment) =>
      word(
        'sendToSuccessor',
        'Commit',
        () =>
          isFit(memory, moment) &&
          moment.event.type === 'successor.becameReady' &&
          memory.phase === 'opening' &&
          memory.doubt === 'no',
      )(memory, moment),
  },
  {
    id: 'COMMIT-O',
    says: 'the incumbent is committed exactly when the swap is, before its session closes',
    holds: (memory, moment) => {
      const isCommitted = isOver(moment) && (moment.after.output as SwapOutput).result === 'committed'
      return (
        word('sendToIncumbent', 'Commit', () => isCommitted)(memory, moment) &&
        (!isCommitted || inOrder(moment, 'sendToIncumbent.Commit', 'closeIncumbentSession'))
      )
    },
  },
  {
    id: 'PROBATION',
    says: 'a successor that serves is watched through its probation; then, or without one, the swap is committed',
    holds: (memory, moment) => {
      const isConfirmed = memory.phase === 'verifying' && memory.undo === 'no' && isDone(moment, 'confirmServing')
      if (!exactly(moment, 'watchSuccessor', isConfirmed && memory.probation)) return false
      if (memory.phase !== 'probation' || memory.undo !== 'no') return true
      return !(clockOf(moment) === 'probationMs' || moment.event.type === 'incumbent.exited') || isOver(moment)
    },
  },
  {
    id: 'WAY-BACK',
    says: 'a swap that is given up ends its successor first, word before signal, then brings the incumbent back; each step once',
    holds: (memory, moment, then) => {
      const back = wayBack(memory, moment, then)
      const isEnding = back === 'ending' && memory.undo !== 'ending'
      if (says(moment, 'sendToSuccessor', 'Abort') !== (isEnding ? 1 : 0)) return 'Abort'
      const signals = paramsOf(moment, 'signalSuccessor').map((params) => (params as { signal: string }).signal)
      const isLate = memory.undo === 'ending' && clockOf(moment) === 'successorKillGraceMs'
      if (signals.join() !== (isEnding ? 'SIGTERM' : isLate ? 'SIGKILL' : '')) return `signals ${signals.join()}`
      if (isEnding) {
        const abort = paramsOf(moment, 'sendToSuccessor').find((said) => (said as { kind: string }).kind === 'Abort')
        if ((abort as { failure?: string }).failure !== then.failure) return 'Abort with another cause'
        if (!inOrder(moment, 'sendToSuccessor.Abort', 'signalSuccessor')) return 'the signal first'
      }
      const isBack = back === 'resuming' && memory.undo !== 'resuming'
      if (says(moment, 'sendToIncumbent', 'ResumeAfterAbort') !== (isBack && then.owesWord ? 1 : 0)) return 'Resume'
      const kills = paramsOf(moment, 'signalIncumbent').map((params) => (params as { signal: string }).signal)
      return kills.join() === (back === 'killing' && memory.undo !== 'killing' ? 'SIGKILL' : '') ? true : 'kills'
    },
  },
  {
    id: 'CHANNEL',
    says: 'the channel of a successor is closed when it is dead, or serves and the swap is over; an EOF would tell it to go live',
    holds: (memory, moment, then) => {
      const isBack = then.undo === 'resuming' && memory.undo !== 'resuming'
      const result = isOver(moment) ? (moment.after.output as SwapOutput).result : null
      return exactly(moment, 'closeSuccessorChannel', isBack || result === 'committed' || result === 'nobodyServes')
    },
  },
  {
    id: 'SESSION',
    says: 'the session stays open while the incumbent may have to be told something, and is closed at the end',
    holds: (memory, moment, then) => {
      if (isOver(moment)) return does(moment, 'closeIncumbentSession') === 1
      const isBack = then.undo === 'resuming' && memory.undo !== 'resuming'
      const hears = then.owesWord && then.manySessions
      if (isBack) {
        if (hears) return does(moment, 'closeIncumbentSession') === 0
        const hasWord = says(moment, 'sendToIncumbent', 'ResumeAfterAbort') === 1
        return (
          !then.session && (!hasWord || inOrder(moment, 'sendToIncumbent.ResumeAfterAbort', 'closeIncumbentSession'))
        )
      }
      return memory.undo === 'resuming' || does(moment, 'closeIncumbentSession') === 0
    },
  },
  {
    id: 'LISTENING',
    says: 'only a peer that owes signs of life is counted silent; each sign counts anew',
    holds: (memory, moment, then) => {
      const { phase, undo, doubt } = then
      const isHeard =
        (undo === 'no' && doubt === 'no' && ['draining', 'sealing', 'opening'].includes(phase)) ||
        (undo === 'resuming' && then.owesWord && then.manySessions && then.session)
      const isArmed = moment.clocks.includes('livenessMs')
      if (isArmed !== (isHeard && !isOver(moment))) return isArmed ? 'counts the silence of nobody' : 'does not count'
      const isSign =
        undo === 'no' && phase === 'opening'
          ? moment.event.type === 'successor.progressed'
          : moment.event.type === 'incumbent.progressed'
      const restarts = moment.effects.some(
        (effect) => effect.kind === 'armTimer' && effect.event.type.startsWith('xstate.after.livenessMs'),
      )
      return !isArmed || memory.phase !== phase || memory.undo !== undo || restarts === isSign
    },
  },
  {
    id: 'DEADLINE',
    says: 'the deadline counts from the first phase to the last that it caps, the budgets of the drain, of a confirmation and of the way back while they last; no sign of life restarts them',
    holds: (memory, moment, then) => {
      const isDraining = ({ phase, undo, doubt }: Memory) => phase === 'draining' && undo === 'no' && doubt === 'no'
      const isResuming = ({ undo }: Memory) => undo === 'resuming'
      const isConfirming = (at: Memory) => isResuming(at) || (at.undo === 'no' && at.phase === 'verifying')
      const caps = [
        ['resumeBudgetMs', isResuming],
        ['deadlineMs', isAttempt],
        ['drainOverdueMs', isDraining],
        ['confirmMs', isConfirming],
      ] as const
      return caps.every(([name, isCapped]) => {
        const isArmed = moment.clocks.includes(name)
        if (isArmed !== (isCapped(then) && !isOver(moment))) return false
        const arms = moment.effects.some(
          (effect) => effect.kind === 'armTimer' && effect.event.type.startsWith(`xstate.after.${name}.`),
        )
        const isNew = !isCapped(memory) || (name === 'confirmMs' && memory.undo !== then.undo)
        return !isArmed || arms === isNew
      })
    },
  },
  {
    id: 'DOUBT',
    says: 'a closed stream is doubted for as long as the news of an exit may take',
    holds: (memory, moment, then) =>
      moment.clocks.includes('exitNoticeMs') === (then.doubt !== 'no' && isAttempt(then) && !isOver(moment)) ||
      memory === then,
  },
  {
    id: 'JOURNAL',
    says: 'each phase is recorded as it begins: before the word to the incumbent, and in the gap after it; the record goes when nothing is left to tell',
    holds: (memory, moment, then) => {
      const recorded = paramsOf(moment, 'recordJournal').map((params) => (params as { phase: string }).phase)
      const isGivenUp = givesUp(memory, moment)
      const isBack = then.undo === 'resuming' && memory.undo !== 'resuming'
      const due =
        isDone(moment, 'spawnSuccessor') && !isGivenUp
          ? 'negotiating'
          : isBack
            ? 'resumingAfterAbort'
            : memory.phase === then.phase
              ? ''
              : ((
                  {
                    draining: 'draining',
                    sealing: 'sealing',
                    opening: 'awaitingReady',
                    verifying: 'committed',
                  } as Record<string, string>
                )[then.phase] ?? '')
      if (recorded.join() !== due) return `${recorded.join()}, not ${due}`
      const inGap = {
        sealing: 'sendToIncumbent.SealRequest',
        awaitingReady: 'sendToSuccessor.Begin',
        committed: 'sendToSuccessor.Commit',
      }[due]
      if (inGap !== undefined && !inOrder(moment, inGap, 'recordJournal')) return 'the journal holds up the gap'
      if (due === 'draining' && !inOrder(moment, 'recordJournal', 'sendToIncumbent.PrepareHandoff'))
        return 'the word first'
      const isLeft = isOver(moment) && (moment.after.output as SwapOutput).result !== 'committed'
      return exactly(moment, 'clearJournal', isLeft)
    },
  },
  {
    id: 'OUTCOME',
    says: 'the outcome is the truth, and gives the first cause (INV-12)',
    holds: (memory, moment, then) => {
      const told = moment.after.output as SwapOutput | undefined
      const back = wayBack(memory, moment, then)
      const isServing = memory.phase === 'verifying' && isDone(moment, 'confirmServing') && !memory.probation
      const isProven =
        memory.phase === 'probation' && (clockOf(moment) === 'probationMs' || moment.event.type === 'incumbent.exited')
      const isFound = memory.undo === 'looking' && back === 'over' && isDone(moment, 'probeControl')
      const isCommitted = (memory.undo === 'no' && (isServing || isProven)) || isFound
      if (told === undefined) return isCommitted || back === 'over' ? 'the swap is not over' : true
      const isRolledBack =
        memory.undo === 'resuming' && (isDone(moment, 'confirmServing') || clockOf(moment) === 'confirmMs')
      const result = isCommitted ? 'committed' : isRolledBack ? 'rolledBack' : back === 'over' ? 'nobodyServes' : null
      if (told.result !== result) return `${told.result}, not ${result}`
      if (told.failure !== then.failure) return `${told.failure}, not ${then.failure}`
      if (told.servingPid !== (result === 'committed' ? N : result === 'rolledBack' ? O : null))
        return 'another process'
      if (told.failover !== (result === 'committed' && then.sealed === null)) return 'failover'
      return told.retiringPid === (result === 'committed' && then.incumbent === 'alive' ? O : null) ? true : 'retiring'
    },
  },
  {
    id: 'UNEXPECTED',
    says: 'what a peer says out of turn is a cause while it can be one, and is recorded afterwards',
    holds: (memory, moment) => {
      const { type } = moment.event
      const isWord = /^(incumbent|successor)\./.test(type) && !/\.(exited|disconnected|progressed)$/.test(type)
      const isDecided = memory.undo !== 'no' || memory.phase === 'verifying' || memory.phase === 'probation'
      const isLate = memory.undo === 'resuming' && /^incumbent\.(drained|sealed|sealFailed)$/.test(type)
      const isCause = type === 'successor.becameUnhealthy'
      return exactly(moment, 'recordUnexpected', isWord && isDecided && !isLate && !isCause)
    },
  },
]

export const swapContract: RoleContract<typeof swapMachine, Memory> = {
  machine: swapMachine,
  alphabet: swapAlphabet,
  memory: { first, after },
  contracts,
  mayCome: (memory, { type }) => {
    if (type === 'successor.exited') return memory.successor === 'alive'
    if (type === 'successor.becameUnhealthy') return memory.phase === 'probation' && memory.undo === 'no'
    if (type.startsWith('successor.')) return memory.channel && memory.successor === 'alive'
    if (type === 'incumbent.exited') return memory.incumbent === 'alive'
    return !type.startsWith('incumbent.') || memory.session
  },
  silence: {
    says: 'silence ends by a limit: a peer’s by liveness, a phase by its budget, the whole by the deadline',
    // A child that was signalled with SIGKILL ends; so does a spawn.
    rests: (memory, { children }) =>
      children.includes('spawnSuccessor') || memory.killed || memory.asked || memory.undo === 'resuming',
    limitMs: (memory, { context }) => limitMs(memory, (context as { policy: Policy }).policy),
  },
}

/** The longest a phase may last in silence, with the look that may follow it. */
function limitMs(memory: Memory, policy: Policy): number {
  const { greetingMs, livenessMs, exitNoticeMs, successorBootMs, confirmMs, deadlineMs, probationMs } = policy
  if (memory.undo !== 'no') return greetingMs
  if (memory.doubt !== 'no') return exitNoticeMs
  switch (memory.phase) {
    case 'booting':
      return successorBootMs
    case 'draining':
    case 'sealing':
      return livenessMs
    case 'opening':
      return livenessMs + greetingMs
    case 'verifying':
      return confirmMs + greetingMs + probationMs
    case 'probation':
      return probationMs
    case 'journaling':
    case 'recording':
    case 'dialling':
    case 'greeting':
      return greetingMs
    default:
      return deadlineMs
  }
}

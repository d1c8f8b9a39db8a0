/** What is demanded of a successor, whatever its supervisor, its daemon and the kernel do. */
import type { AnyEventObject } from 'xstate'
import type { Contract, Moment, RoleContract } from '../../explore/index.js'
import { successorAlphabet } from '../alphabets.js'
import { EXIT, type ExitStatus, type FailureCode } from '../failures.js'
import type { Policy } from '../policy.js'
import { type OpenReport, successorMachine } from '../successor.machine.js'
import {
  abandons,
  clockOf,
  common,
  does,
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
  readonly deadlineKnown: boolean
  readonly helloSent: boolean
  readonly acknowledged: boolean
  readonly begun: boolean
  /** The channel ended, or may not be read any more. */
  readonly orphaned: boolean
  readonly locked: boolean
  readonly report: OpenReport | null
  readonly staged: boolean
  readonly readySent: boolean
  /** It publishes already. */
  readonly going: boolean
  readonly beating: boolean
}

const first: Memory = {
  deadlineKnown: false,
  helloSent: false,
  acknowledged: false,
  begun: false,
  orphaned: false,
  locked: false,
  report: null,
  staged: false,
  readySent: false,
  going: false,
  beating: false,
}

const output = ({ event }: Moment) => event.output as never

function after(memory: Memory, moment: Moment): Memory {
  const { event } = moment
  const { type } = event
  return {
    deadlineKnown: type === 'start' ? event.input.deadlineKnown : memory.deadlineKnown,
    helloSent: memory.helloSent || kindsSent(moment, 'sendToSupervisor').includes('Hello'),
    acknowledged: memory.acknowledged || (memory.helloSent && type === 'supervisor.acknowledged' && event.versionOk),
    begun: memory.begun || (memory.acknowledged && type === 'supervisor.began'),
    orphaned: memory.orphaned || type === 'supervisor.disconnected' || type === 'supervisor.violatedProtocol',
    locked: memory.locked || (isDone(moment, 'acquireLock') && (output(moment) as { held: boolean }).held),
    report: isDone(moment, 'openState') ? output(moment) : memory.report,
    staged: memory.staged || isDone(moment, 'stageTakeover'),
    readySent: memory.readySent || kindsSent(moment, 'sendToSupervisor').includes('Ready'),
    going: memory.going || starts(moment).includes('publishControl'),
    beating: does(moment, 'startHeartbeat') > 0 || (memory.beating && does(moment, 'stopHeartbeat') === 0),
  }
}

/** How this process ends, by its cause; null: this is no cause to end. */
function fate(memory: Memory, moment: Moment): { status: ExitStatus; failure: FailureCode | null } | null {
  const { event } = moment
  const end = (status: ExitStatus, failure: FailureCode | null = null) => ({ status, failure })
  const isOwnDeadline = clockOf(moment) === 'ownDeadlineMs'
  if (event.type === 'process.stopRequested') return end(EXIT.failed)
  if (event.type === 'supervisor.aborted') return end(EXIT.aborted)
  if (isFailed(moment, 'publishControl')) return end(EXIT.controlSocket, 'ERR_HANDOFF_CONTROL_SOCKET')
  if (!memory.begun) {
    const isUnfit = event.type === 'supervisor.acknowledged' && memory.helloSent && !memory.acknowledged
    const isEarly = event.type === 'supervisor.began' && !memory.acknowledged
    if (event.type === 'supervisor.disconnected') return end(EXIT.aborted)
    if (['supervisor.violatedProtocol', 'supervisor.committed'].includes(event.type) || isEarly)
      return end(EXIT.protocol, 'ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL')
    if (isUnfit && event.versionOk === false) return end(EXIT.protocol, 'ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL')
    if (isFailed(moment, 'prepare')) return end(EXIT.prepareFailed, 'ERR_HANDOFF_PREPARE_FAILED')
    if (clockOf(moment) === 'prepareMs') return end(EXIT.hookTimeout, 'ERR_HANDOFF_HOOK_TIMEOUT')
    if (clockOf(moment) === 'greetingMs' || isOwnDeadline) return end(EXIT.failed, 'ERR_HANDOFF_DEADLINE_TIMEOUT')
    return null
  }
  if (isFailed(moment, 'acquireLock') || isFailed(moment, 'openState'))
    return end(EXIT.openFailed, 'ERR_HANDOFF_OPEN_FAILED')
  if (isFailed(moment, 'stageTakeover')) return end(EXIT.controlSocket, 'ERR_HANDOFF_CONTROL_SOCKET')
  if (isDone(moment, 'probeControl') && (output(moment) as { answeredBy: string }).answeredBy === 'other')
    return end(EXIT.lockHeld, 'ERR_HANDOFF_LOCK_HELD')
  if (isOwnDeadline && !memory.staged) return end(EXIT.hookTimeout, 'ERR_HANDOFF_DEADLINE_TIMEOUT')
  return null
}

const isLoss = ({ event }: Moment) =>
  event.type === 'supervisor.disconnected' || event.type === 'supervisor.violatedProtocol'

const HOOKS = ['prepare', 'openState']

/** May this word of a supervisor come now? What may not is recorded; what does harm ends the process ({@link fate}). */
function isDue(memory: Memory, { type }: AnyEventObject): boolean {
  switch (type) {
    case 'supervisor.acknowledged':
      return memory.helloSent && !memory.acknowledged
    case 'supervisor.began':
      return memory.acknowledged && !memory.begun
    case 'supervisor.committed':
      return memory.readySent && !memory.going
    case 'supervisor.violatedProtocol':
      return !memory.going
    default:
      return true
  }
}

const contracts: Contract<Memory>[] = [
  ...common<Memory>(),
  {
    id: 'HELLO',
    says: 'Hello is said once, when the daemon is prepared and connections were copied or not',
    holds: (memory, moment) => {
      const hellos = kindsSent(moment, 'sendToSupervisor').filter((kind) => kind === 'Hello').length
      const isCopied = isDone(moment, 'fetchConnections') || isFailed(moment, 'fetchConnections')
      return hellos === (isCopied || clockOf(moment) === 'copyMs' ? 1 : 0) && !(hellos > 0 && memory.helloSent)
    },
  },
  {
    id: 'PREPARE',
    says: 'the daemon prepares first, connections are copied next, and nothing else is done before Begin',
    holds: (memory, moment) => {
      const due =
        moment.event.type === 'start'
          ? ['prepare']
          : isDone(moment, 'prepare')
            ? ['fetchConnections']
            : ([] as string[])
      const isWaiting = !memory.begun && !(memory.acknowledged && moment.event.type === 'supervisor.began')
      return !isWaiting || starts(moment).join() === due.join()
    },
  },
  {
    id: 'TAKE',
    says: 'at Begin the lock is tried for at once; an answer that it is held leads to the opening (INV-05)',
    holds: (memory, moment) => {
      const isBegin = memory.acknowledged && !memory.begun && moment.event.type === 'supervisor.began'
      const isGranted = isDone(moment, 'acquireLock') && (output(moment) as { held: boolean }).held
      if (isBegin && !runs(moment, 'acquireLock')) return 'Begin is not followed'
      if (isGranted !== starts(moment).includes('openState')) return 'opened without the lock, or not opened with it'
      if (isGranted && runs(moment, 'acquireLock')) return 'tries on'
      const hasOpened = isDone(moment, 'openState')
      if (hasOpened !== starts(moment).includes('stageTakeover')) return 'not staged after the opening'
      return !(memory.locked && starts(moment).includes('acquireLock'))
    },
  },
  {
    id: 'RETRY',
    says: 'the lock held by another is tried for again, after a look at the path when the supervisor is gone',
    holds: (memory, moment) => {
      const isRefused = isDone(moment, 'acquireLock') && !(output(moment) as { held: boolean }).held
      if (starts(moment).includes('probeControl') !== (isRefused && memory.orphaned)) return 'looks at the wrong time'
      if (isRefused && !memory.orphaned) return moment.clocks.includes('lockPollMs')
      const hasLooked = isDone(moment, 'probeControl') || isFailed(moment, 'probeControl')
      if (hasLooked && !isOver(moment)) return moment.clocks.includes('lockPollMs')
      return clockOf(moment) !== 'lockPollMs' || starts(moment).join() === 'acquireLock'
    },
  },
  {
    id: 'READY',
    says: 'Ready is the last thing that can fail: said once, when all is staged, with what the opening reported',
    holds: (memory, moment) => {
      const sent = paramsOf(moment, 'sendToSupervisor').filter((said) => (said as { kind: string }).kind === 'Ready')
      if (sent.length !== (isDone(moment, 'stageTakeover') ? 1 : 0)) return 'not said once'
      return sent.length === 0 || JSON.stringify(sent[0]) === JSON.stringify({ kind: 'Ready', ...memory.report })
    },
  },
  {
    id: 'LIVE',
    says: 'it publishes on Commit, on the loss of its supervisor, or on its own deadline, once it is ready; never before',
    holds: (memory, moment, then) => {
      const { type } = moment.event
      const isTold = type === 'supervisor.committed' || isLoss(moment)
      const isAlone = then.orphaned && isDone(moment, 'stageTakeover')
      const isLate = clockOf(moment) === 'ownDeadlineMs'
      const isDueNow = !ran(moment, 'publishControl') && ((memory.readySent && (isTold || isLate)) || isAlone)
      if (starts(moment).includes('publishControl') !== isDueNow) return 'published at the wrong time'
      const isLive = isDone(moment, 'publishControl')
      return (moment.after.output as { live: boolean } | undefined)?.live === true ? isLive : !isLive
    },
  },
  {
    id: 'ALONE',
    says: 'after Begin it goes on without its supervisor, and knows that it is alone',
    holds: (memory, moment) => {
      return (
        !(memory.begun && !memory.going && isLoss(moment)) ||
        (!isOver(moment) && does(moment, 'recordUnexpected') === 0)
      )
    },
  },
  {
    id: 'FATE',
    says: 'it ends exactly for a cause, and its status and its failure tell which',
    holds: (memory, moment) => {
      const end = fate(memory, moment)
      const told = moment.after.output as { status: ExitStatus; failure: FailureCode | null; live: boolean } | undefined
      if (end === null)
        return told === undefined || told.live ? does(moment, 'exitProcess') === 0 : 'ends without a cause'
      const [exit] = paramsOf(moment, 'exitProcess') as { status: ExitStatus }[]
      if (!exactly(moment, 'exitProcess', true)) return 'does not end'
      return exit?.status === end.status && told?.status === end.status && told.failure === end.failure && !told.live
    },
  },
  {
    id: 'LIVE-STATUS',
    says: 'one that went live has failed in nothing',
    holds: (_, { after: { output: told } }) => {
      const end = told as { status: ExitStatus; live: boolean; failure: FailureCode | null } | undefined
      return end?.live !== true || (end.status === EXIT.done && end.failure === null)
    },
  },
  {
    id: 'HEARTBEAT',
    says: 'from Begin until its state is open it gives signs of life, and only then',
    holds: (memory, moment, then) => {
      if (does(moment, 'startHeartbeat') > 0 && memory.beating && does(moment, 'stopHeartbeat') === 0) return 'twice'
      if (does(moment, 'stopHeartbeat') > 0 && !memory.beating) return 'stopped twice'
      if (isOver(moment)) return !then.beating
      const isOpening = then.begun && then.report === null
      return then.beating === isOpening
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
    id: 'UNEXPECTED',
    says: 'a word that may not come now is recorded; one that may, is not',
    holds: (memory, moment) => {
      if (!moment.event.type.startsWith('supervisor.')) return does(moment, 'recordUnexpected') === 0
      const isRecorded = !isDue(memory, moment.event) && fate(memory, moment) === null
      return exactly(moment, 'recordUnexpected', isRecorded)
    },
  },
  {
    id: 'HOOKS',
    says: 'a hook is left without its end only by the end of the process',
    holds: (_, moment) => isOver(moment) || !abandons(moment).some((id) => HOOKS.includes(id)),
  },
]

export const successorContract: RoleContract<typeof successorMachine, Memory> = {
  machine: successorMachine,
  alphabet: successorAlphabet,
  memory: { first, after },
  contracts,
  // Nothing more comes from a channel that has ended.
  mayCome: ({ orphaned }, { type }) => !orphaned || !type.startsWith('supervisor.'),
  silence: {
    says: 'silence ends by a limit: a hook by its budget, a supervisor by the own deadline',
    // What is one system call ends by itself.
    rests: (_, { children }) => children.includes('publishControl'),
    limitMs: ({ deadlineKnown, begun }, { children, context }) => {
      const { policy } = context as { policy: Policy }
      const own = policy.successorDeadlineMs + 2 * policy.deadlineSlackMs
      if (begun) return own
      const prepare = deadlineKnown ? policy.successorBootMs : policy.prepareAloneMs
      const copy = deadlineKnown ? policy.copyMs : policy.copyAloneMs
      if (children.includes('prepare')) return Math.min(prepare, own)
      return children.includes('fetchConnections') ? copy + policy.greetingMs : own
    },
  },
}

/**
 * The closed world of the broker protocol: the real connection, backend and client machines, the kernel between them, and
 * SIGKILL, silence, refusal and every timer at any moment.
 *
 * One request of the client is the measure: it must be answered, and served exactly once, whatever breaks on the way.
 * T1: the backend's go timer is longer than the broker's handoff budget, so it fires only under a broker that hangs
 * outside the two system calls between ACK and release. Without that order no protocol of one round trip is safe.
 */
import type { AnyEventObject } from 'xstate'
import type { Effect } from '../explore/effects.js'
import { restOf } from '../explore/effects.js'
import { createMachineStepper, type MachineStepper, type Stepped } from '../explore/machine-stepper.js'
import type { Step, StepKind, World } from '../explore/world.js'
import { backendMachine } from './backend.machine.js'
import { clientMachine } from './client.machine.js'
import { connectionMachine } from './connection.machine.js'
import {
  type BrokerWorldState,
  type Call,
  clientReadsEnd,
  closeClientEnd,
  closeHandoffOfBackend,
  closeHandoffOfBroker,
  emptyConnection,
  emptyHandoff,
  ghost,
  idle,
  kill,
  type Proc,
  type Reply,
  type Role,
  type ToClient,
  writeToClient,
} from './kernel.js'
import { DEFAULT_BROKER_POLICY } from './policy.js'

export interface BrokerWorldOptions {
  /** How many things may break. Default 1. */
  readonly faults?: number
  /** The service greets first, as SMTP or MySQL do (W3). Default false. */
  readonly serverSpeaksFirst?: boolean
  /** The client sends its request right behind Hello. Default false. */
  readonly pipelines?: boolean
  /** Calls that may block for ever, one at a time; null is none. Default: none. See {@link CALLS}. */
  readonly stalls?: readonly (Call | null)[]
  /** Roles that may be killed. Default: all. */
  readonly mortal?: readonly Role[]
  /** Changed machines, to see what a decision is good for. */
  readonly machines?: {
    readonly connection?: typeof connectionMachine
    readonly backend?: typeof backendMachine
    readonly client?: typeof clientMachine
  }
}

type State = BrokerWorldState
type Steps = Generator<Step<State>>
type Result = { readonly state: State; readonly event?: AnyEventObject; readonly covers?: readonly string[] }

const STOP_BROKER = { type: 'broker.stopped' }
const STOP_BACKEND = { type: 'backend.stopped' }
const ABORT = { type: 'caller.aborted' }
export const CALLS: readonly Call[] = [
  'dialCached',
  'dialBroker',
  'dialHandoff',
  'dialPipe',
  'reply',
  'transfer',
  'ack',
]
const ROLES: readonly Role[] = ['client', 'broker', 'backend']
const NONE: readonly string[] = []
const OTHER_REPLIES: readonly Reply[] = ['plain', 'nameless', 'tokenOnly', 'refusal', 'garbled']

export interface BrokerWorld extends World<State> {
  readonly steppers: Steppers
}
interface Steppers {
  readonly client: MachineStepper<typeof clientMachine>
  readonly broker: MachineStepper<typeof connectionMachine>
  readonly backend: MachineStepper<typeof backendMachine>
}

export function createBrokerWorld(options: BrokerWorldOptions = {}): BrokerWorld {
  const {
    faults = 1,
    serverSpeaksFirst = false,
    pipelines = false,
    mortal = ROLES,
    machines = {},
    stalls = [null],
  } = options
  const steppers: Steppers = {
    client: createMachineStepper(machines.client ?? clientMachine, { name: 'client' }),
    broker: createMachineStepper(machines.connection ?? connectionMachine, { name: 'connection' }),
    backend: createMachineStepper(machines.backend ?? backendMachine, { name: 'offer' }),
  }
  const policy = DEFAULT_BROKER_POLICY

  const begin = (role: 'broker' | 'backend'): Stepped => {
    return role === 'broker' ? steppers.broker.start({ policy, id: 0 }) : steppers.backend.start({ policy, id: 0 })
  }
  const isIn = (state: State, role: Role, value: string | object): boolean => {
    const { machine } = state[role]
    return machine !== null && steppers[role].view(machine).matches(value as never)
  }
  const hasTag = (state: State, role: Role, tag: string): boolean => {
    const { machine } = state[role]
    return machine !== null && steppers[role].view(machine).hasTag(tag)
  }

  /** Takes a machine's effects over: timers at once, the rest one by one. */
  function absorb(proc: Proc, stepped: Stepped): Proc {
    let { timers } = proc
    const outbox: Effect[] = [...proc.outbox]
    for (const effect of stepped.effects) {
      if (effect.kind === 'armTimer') timers = [...timers, { id: effect.id, event: effect.event }]
      else if (effect.kind === 'disarmTimer') timers = timers.filter(({ id }) => id !== effect.id)
      else outbox.push(effect)
    }
    return { ...proc, machine: stepped.snapshot, outbox, timers }
  }

  function deliver(state: State, role: Role, event: AnyEventObject): [State, readonly string[]] {
    const proc = state[role]
    if (!proc.alive || proc.machine === null) return [state, NONE]
    const stepped = (steppers[role] as MachineStepper<never>).send(proc.machine, event as never)
    return [{ ...state, [role]: absorb(proc, stepped) }, stepped.covers]
  }

  function step(label: string, kind: StepKind, state: State, role: Role, event?: AnyEventObject): Step<State> {
    if (event === undefined) return { label, kind, next: state }
    const [next, covers] = deliver(state, role, event)
    return { label, kind, next, covers }
  }

  // ---- what each process does, one system call a step ----

  function execute(state: State, role: Role, action: string): Result {
    if (role === 'client') return executeClient(state, action)
    return role === 'broker' ? executeBroker(state, action) : executeBackend(state, action)
  }

  function executeClient(state: State, action: string): Result {
    switch (action) {
      case 'dialCached': {
        // What was remembered may be out of date while the broker knows better: unreachable is no error.
        if (state.stalled === 'dialCached') return { state }
        if (!state.backend.alive) return { state, event: { type: 'cache.unreachable' } }
        return { state: { ...state, plain: { ...state.plain, dialled: true } }, event: { type: 'cache.dialled' } }
      }
      case 'dialBroker': {
        if (state.stalled === 'dialBroker') return { state }
        if (!state.broker.alive)
          return { state: ghost(state, { excused: true }), event: { type: 'broker.unreachable' } }
        const conn = { ...state.conn, clientOpen: true, brokerHolds: true }
        const started = begin('broker')
        const accepted = { ...state, conn, broker: absorb(state.broker, started) }
        return { state: accepted, event: { type: 'broker.dialled' }, covers: started.covers }
      }
      case 'sendHello': {
        const sent = pipelines ? (['hello', 'request'] as const) : (['hello'] as const)
        return { state: { ...state, conn: { ...state.conn, toServer: sent } } }
      }
      case 'dropConnection':
        return { state: closeClientEnd(state) }
      case 'dialBackend': {
        if (state.stalled === 'dialPipe') return { state }
        if (state.reply === 'tokenOnly') {
          return { state: ghost(state, { excused: true }), event: { type: 'backend.unnamed' } }
        }
        if (!state.backend.alive) {
          return { state: ghost(state, { excused: true }), event: { type: 'backend.unreachable' } }
        }
        return { state: { ...state, plain: { ...state.plain, dialled: true } }, event: { type: 'backend.dialled' } }
      }
      case 'deliverConnection':
        return { state: sendRequest(state) }
      default:
        return { state }
    }
  }

  function sendRequest(state: State): State {
    if (state.plain.dialled) return { ...state, plain: { ...state.plain, asked: true } }
    if (pipelines) return state
    return { ...state, conn: { ...state.conn, toServer: [...state.conn.toServer, 'request'] } }
  }

  function executeBroker(state: State, action: string): Result {
    switch (action) {
      case 'sendReply': {
        if (state.stalled === 'reply') return { state }
        const written = writeToClient(state, state.reply)
        return written === null
          ? { state, event: { type: 'reply.failed' } }
          : { state: written, event: { type: 'reply.sent' } }
      }
      case 'screenHandoff': {
        const looked = ghost(state, { screened: true })
        return state.conn.clientOpen
          ? { state: looked, event: { type: 'handoff.cleared' } }
          : { state: looked, event: { type: 'handoff.declined', reason: 'hungUp' } }
      }
      case 'dialBackend': {
        if (state.stalled === 'dialHandoff') return { state }
        if (!state.backend.alive) return { state, event: { type: 'backend.unreachable', reason: 'unreachable' } }
        const handoff = { ...emptyHandoff, dialled: true, brokerOpen: true, backendOpen: true }
        const started = begin('backend')
        return {
          state: { ...state, handoff, backend: absorb(state.backend, started) },
          event: { type: 'backend.dialled' },
          covers: started.covers,
        }
      }
      case 'transferConnection': {
        if (state.stalled === 'transfer') return { state }
        if (!state.handoff.backendOpen) return { state, event: { type: 'transfer.failed', reason: 'sendFailed' } }
        return withNext(state, 'broker', 'transferConnection.offer', {
          handoff: { ...state.handoff, toBackend: [...state.handoff.toBackend, 'connection'] },
        })
      }
      case 'transferConnection.offer': {
        if (!state.handoff.backendOpen) return { state, event: { type: 'transfer.failed', reason: 'sendFailed' } }
        const handoff = { ...state.handoff, toBackend: [...state.handoff.toBackend, 'offer' as const] }
        return { state: { ...state, handoff }, event: { type: 'transfer.done' } }
      }
      case 'commitHandoff': {
        const { handoff, conn } = state
        if (state.overdue) return { state, event: { type: 'commit.impossible', reason: 'timeout' } }
        if (!conn.clientOpen) return { state, event: { type: 'commit.impossible', reason: 'hungUp' } }
        if (!handoff.backendOpen) return { state, event: { type: 'commit.impossible', reason: 'backendLeft' } }
        const taken = { handoff: { ...handoff, toBroker: [] } }
        const consumed = ghost(state, { tokensConsumed: state.ghosts.tokensConsumed + 1 })
        return withNext(consumed, 'broker', 'commitHandoff.event', taken)
      }
      case 'commitHandoff.event': {
        const written = writeToClient(state, 'ready')
        return written === null
          ? { state, event: { type: 'commit.impossible', reason: 'hungUp' } }
          : { state: ghost(written, { readyWritten: true }), event: { type: 'event.written' } }
      }
      case 'cutConnection': {
        const cut = cancel({ ...state, conn: { ...state.conn, cut: true } })
        return { state: ghost(closeHandoffOfBroker(cut), { withdrawn: true }) }
      }
      case 'revokeToken':
        return { state: ghost(state, { tokenRevoked: true }) }
      case 'releaseBackend':
        return { state: closeHandoffOfBroker(state) }
      case 'closeHandles':
        return { state: closeHandoffOfBroker({ ...state, conn: { ...state.conn, brokerHolds: false } }) }
      case 'reportOutcome':
        return {
          state: ghost(state, { brokerReport: hasTag(state, 'broker', 'adopted') ? 'adopted' : 'fellBack' }),
        }
      default:
        return { state }
    }
  }

  /** An ACK that is already taken can no longer make the closing a reset: a CANCEL frame says the same. */
  function cancel(state: State): State {
    const { handoff, ghosts } = state
    if (ghosts.tokensConsumed === 0 || !handoff.backendOpen) return state
    return { ...state, handoff: { ...handoff, toBackend: [...handoff.toBackend, 'cancel'] } }
  }

  function executeBackend(state: State, action: string): Result {
    switch (action) {
      case 'sendAcceptance':
      case 'sendRejection': {
        if (state.stalled === 'ack') return { state }
        if (!state.handoff.brokerOpen) return { state, event: { type: 'ack.failed' } }
        const answer = action === 'sendAcceptance' ? ('accepted' as const) : ('rejected' as const)
        const handoff = { ...state.handoff, toBroker: [...state.handoff.toBroker, answer] }
        return { state: { ...state, handoff }, event: { type: 'ack.sent' } }
      }
      case 'dropConnection':
        return { state: { ...state, conn: { ...state.conn, backendHolds: false } } }
      case 'closeHandoff':
        return { state: closeHandoffOfBackend(state) }
      case 'adoptConnection':
        return { state: serverSpeaksFirst ? speak(state, 'greeting') : state }
      case 'reportOffer':
        return { state: ghost(state, { backendReport: hasTag(state, 'backend', 'serving') ? 'adopted' : 'dropped' }) }
      default:
        return { state }
    }
  }

  function speak(state: State, item: 'greeting' | 'answer'): State {
    const written = writeToClient(state, item)
    if (written === null) return state
    return state.broker.alive && !state.ghosts.readyWritten ? ghost(written, { spokeTooEarly: true }) : written
  }

  function withNext(state: State, role: Role, action: string, change: Partial<State>): Result {
    const proc = state[role]
    const next: Effect = { kind: 'action', type: action }
    return { state: { ...state, ...change, [role]: { ...proc, outbox: [next, ...proc.outbox] } } }
  }

  // ---- what can arrive at each process ----

  const hears = (item: ToClient): AnyEventObject => {
    switch (item) {
      case 'offer':
      case 'tokenOnly':
        return { type: 'broker.offeredHandoff' }
      case 'plain':
        return { type: 'broker.negotiated' }
      case 'nameless':
        return { type: 'broker.namedNothing' }
      case 'refusal':
        return { type: 'broker.refused' }
      default:
        return { type: 'broker.violatedProtocol' }
    }
  }
  /** Refused, or answered with something no client can use: that is the broker's word and no failed handoff. */
  const heard = (state: State, item: ToClient): State =>
    item === 'offer' || item === 'plain' ? state : ghost(state, { excused: true })

  function* clientReads(state: State): Steps {
    const [first, ...rest] = state.conn.toClient
    const took = { ...state, conn: { ...state.conn, toClient: rest } }
    const end = clientReadsEnd(state)
    if (isIn(state, 'client', 'negotiating')) {
      if (first !== undefined)
        yield step(`client:reads ${first}`, 'progress', heard(took, first), 'client', hears(first))
      else if (end) {
        const excused = ghost(state, { excused: true })
        yield step('client:reads end before reply', 'progress', excused, 'client', { type: 'broker.left' })
      }
    } else if (isIn(state, 'client', 'awaitingReady')) {
      if (first === 'ready') yield step('client:reads EVENT', 'progress', took, 'client', { type: 'broker.handedOver' })
      else if (first !== undefined) {
        yield step('client:reads junk', 'progress', took, 'client', { type: 'broker.violatedProtocol' })
      } else if (end) yield step('client:reads end', 'progress', state, 'client', { type: 'broker.left' })
    } else if (hasTag(state, 'client', 'connected') && !state.ghosts.answered && !state.ghosts.orphaned) {
      yield* applicationReads(state, first, took, end)
    }
  }

  function* applicationReads(state: State, first: string | undefined, took: State, end: boolean): Steps {
    if (state.plain.dialled) {
      if (state.plain.answered) yield step('client:is answered', 'progress', ghost(state, { answered: true }), 'client')
      else if (!state.backend.alive) {
        yield step('client:loses backend', 'progress', ghost(state, { orphaned: true, excused: true }), 'client')
      }
    } else if (first === 'answer')
      yield step('client:is answered', 'progress', ghost(took, { answered: true }), 'client')
    else if (first !== undefined) yield step('client:reads greeting', 'progress', took, 'client')
    else if (end) {
      const excused = state.ghosts.excused || !state.backend.alive
      yield step('client:loses connection', 'progress', ghost(state, { orphaned: true, excused }), 'client')
    }
  }

  function* brokerReads(state: State): Steps {
    const { conn, handoff } = state
    if (isIn(state, 'broker', 'readingHello')) {
      if (conn.toServer[0] === 'hello') {
        const read = { ...state, conn: { ...conn, toServer: conn.toServer.slice(1) } }
        yield step('broker:reads Hello', 'progress', read, 'broker', { type: 'client.askedForHandoff' })
        for (const reply of OTHER_REPLIES) {
          const type = reply === 'tokenOnly' ? 'client.askedForHandoff' : 'client.asked'
          yield step(`broker:decides on ${reply}`, 'progress', { ...read, reply }, 'broker', { type })
        }
        if (state.faultsLeft > 0) {
          const spent = { ...ghost(state, { excused: true }), faultsLeft: state.faultsLeft - 1 }
          yield step('broker:cannot read Hello', 'fault', spent, 'broker', { type: 'client.unreadable' })
        }
      } else if (!conn.clientOpen)
        yield step('broker:sees hang-up', 'progress', state, 'broker', { type: 'client.left' })
      return
    }
    if (isIn(state, 'broker', { handingOff: 'awaitingAck' })) {
      const [answer] = handoff.toBroker
      // Peeked, not taken: until EVENT is due the ACK stays unread, so that closing is a withdrawal (W9).
      if (answer === 'accepted')
        yield step('broker:sees ACK', 'progress', state, 'broker', { type: 'backend.accepted' })
      else if (answer === 'rejected') {
        yield step('broker:sees rejection', 'progress', state, 'broker', { type: 'backend.rejected' })
      } else if (answer === 'junk') {
        yield step('broker:sees junk', 'progress', state, 'broker', { type: 'backend.answeredWrongly' })
      } else if (!handoff.backendOpen) {
        yield step('broker:sees backend gone', 'progress', state, 'broker', { type: 'backend.left' })
      }
    }
    if (!conn.clientOpen && hasTag(state, 'broker', 'handingOff')) {
      const proc = state.broker
      if (proc.machine !== null && steppers.broker.handles(proc.machine, { type: 'client.left' })) {
        yield step('broker:sees hang-up', 'progress', state, 'broker', { type: 'client.left' })
      }
    }
  }

  function* backendReads(state: State): Steps {
    if (!state.mute) yield* offerReads(state)
    yield* serviceReads(state)
  }

  function* offerReads(state: State): Steps {
    const { handoff, conn } = state
    if (state.backend.machine === null || hasTag(state, 'backend', 'ended')) return
    const [first, ...rest] = handoff.toBackend
    const took = { ...state, handoff: { ...handoff, toBackend: rest } }
    if (isIn(state, 'backend', { receiving: 'connection' }) && first === 'connection') {
      const held = { ...took, conn: { ...conn, backendHolds: true } }
      yield step('backend:receives connection', 'progress', held, 'backend', { type: 'connection.received' })
      if (state.faultsLeft > 0) {
        const event = { type: 'connection.malformed', fault: 'notAStreamSocket' }
        yield step('backend:receives junk', 'fault', { ...held, faultsLeft: state.faultsLeft - 1 }, 'backend', event)
      }
    } else if (isIn(state, 'backend', { receiving: 'offer' }) && first === 'offer') {
      yield step('backend:accepts offer', 'progress', took, 'backend', { type: 'offer.sound' })
      yield step('backend:rejects offer', 'progress', took, 'backend', { type: 'offer.unacceptable' })
      if (state.faultsLeft > 0) {
        const spent = { ...took, faultsLeft: state.faultsLeft - 1 }
        yield step('backend:cannot read offer', 'fault', spent, 'backend', { type: 'offer.malformed' })
        const junk = { ...spent, handoff: { ...spent.handoff, toBroker: ['junk' as const] }, mute: true }
        yield step('backend:answers junk', 'fault', junk, 'backend')
      }
    } else if (first === 'cancel' && isIn(state, 'backend', 'awaitingGo')) {
      yield step('backend:reads CANCEL', 'progress', took, 'backend', { type: 'broker.withdrew' })
    } else if (first === undefined && !handoff.brokerOpen) {
      const waits = isIn(state, 'backend', 'awaitingGo')
      const type = !waits ? 'broker.left' : handoff.reset ? 'broker.withdrew' : 'broker.released'
      yield step(`backend:reads ${type.slice(7)}`, 'progress', state, 'backend', { type })
    }
  }

  function* serviceReads(state: State): Steps {
    const { conn, plain, ghosts } = state
    if (hasTag(state, 'backend', 'serving') && conn.backendHolds) {
      if (conn.toServer.includes('request')) {
        const read = { ...state, conn: { ...conn, toServer: [] } }
        const answered = speak(ghost(read, { served: ghosts.served + 1 }), 'answer')
        yield step('backend:serves adopted client', 'progress', answered, 'backend')
      } else if (!conn.clientOpen || conn.cut) {
        const closed = { ...state, conn: { ...conn, backendHolds: false } }
        yield step('backend:closes adopted client', 'progress', closed, 'backend')
      }
    }
    if (plain.asked && !plain.answered && plain.dialled) {
      const answered = { ...ghost(state, { served: ghosts.served + 1 }), plain: { ...plain, answered: true } }
      yield step('backend:serves reconnected client', 'progress', answered, 'backend')
    }
  }

  // ---- time and faults ----

  function mayFire(state: State, role: Role, id: string): boolean {
    if (role === 'backend' && id.includes('goTimeoutMs')) {
      // T1, and the driver looks at the socket once more before it believes this timer.
      return (
        state.handoff.brokerOpen && !isIn(state, 'broker', { handingOff: 'ready' }) && !isIn(state, 'broker', 'done')
      )
    }
    // T2: a living broker's budget ends before a client's patience, so its EVENT is there first.
    if (pipelines && role === 'client' && isIn(state, 'client', 'awaitingReady')) {
      return !state.conn.toClient.includes('ready') && !(state.broker.alive && hasTag(state, 'broker', 'handingOff'))
    }
    return true
  }

  function* timers(state: State, role: Role): Steps {
    for (const { id, event } of state[role].timers) {
      if (!mayFire(state, role, id)) continue
      const without = state[role].timers.filter((timer) => timer.id !== id)
      let fired: State = { ...state, [role]: { ...state[role], timers: without } }
      if (id.includes('goTimeoutMs')) fired = { ...fired, overdue: true }
      // A broker or backend that is too slow even for the baseline path is no handoff failure.
      if (role === 'client' && !isIn(state, 'client', 'awaitingReady')) fired = ghost(fired, { excused: true })
      yield step(`${role}:timer ${id.split('.')[2]}`, 'timer', fired, role, event)
    }
  }

  function* breakings(state: State): Steps {
    if (state.faultsLeft === 0) return
    const spent = { ...state, faultsLeft: state.faultsLeft - 1 }
    for (const role of mortal) {
      if (!state[role].alive) continue
      const excused = role === 'broker' ? !repliedTo(state) : role === 'backend'
      const killed = kill(excused ? ghost(spent, { excused: true }) : spent, role)
      yield { label: `kill:${role}`, kind: 'fault', next: killed }
    }
    const busy = state.backend.outbox.length > 0
    // A backend that hangs after its promise hangs on the baseline path too: that is no failed handoff.
    if (!state.mute && state.backend.alive && !hasTag(state, 'backend', 'promised') && !busy) {
      yield { label: 'backend:falls silent', kind: 'fault', next: { ...spent, mute: true } }
    }
  }

  /** Orderly ends, at any moment: of the broker, of the backend's handoff side, of the caller's patience. */
  function* stops(state: State): Steps {
    if (state.faultsLeft === 0) return
    const spent = { ...state, faultsLeft: state.faultsLeft - 1 }
    const asked = (role: Role, event: AnyEventObject) => {
      const { machine } = state[role]
      return (
        machine !== null &&
        state[role].alive &&
        state[role].outbox.length === 0 &&
        (steppers[role] as MachineStepper<never>).handles(machine, event as never)
      )
    }
    const excused = repliedTo(state) ? spent : ghost(spent, { excused: true })
    if (asked('broker', STOP_BROKER)) yield step('broker:is stopped', 'fault', excused, 'broker', STOP_BROKER)
    if (asked('backend', STOP_BACKEND)) yield step('backend:is stopped', 'fault', spent, 'backend', STOP_BACKEND)
    if (asked('client', ABORT))
      yield step('client:is aborted', 'fault', ghost(spent, { excused: true }), 'client', ABORT)
  }

  const repliedTo = (state: State) =>
    state.conn.toClient.includes('offer') ||
    !(isIn(state, 'client', 'diallingBroker') || isIn(state, 'client', 'negotiating'))

  function* processSteps(state: State, role: Role): Steps {
    const proc = state[role]
    if (!proc.alive) return
    const [effect] = proc.outbox
    if (effect !== undefined) {
      const action = effect.kind === 'action' ? effect.type : effect.kind
      const shorter: State = { ...state, [role]: { ...proc, outbox: restOf(proc.outbox) } }
      const { state: done, event, covers = NONE } = execute(shorter, role, action)
      const next = step(`${role}:${action}`, 'progress', done, role, event)
      yield covers === NONE ? next : { ...next, covers: [...covers, ...(next.covers ?? NONE)] }
      return
    }
    yield* timers(state, role)
    if (role === 'client') yield* clientReads(state)
    else if (role === 'broker') yield* brokerReads(state)
    else yield* backendReads(state)
  }

  return {
    steppers,
    coverable: [steppers.client, steppers.broker, steppers.backend].flatMap(({ parts }) => [
      ...parts.states,
      ...parts.transitions.map(({ id }) => id),
    ]),
    initial() {
      const state: State = {
        client: idle,
        broker: idle,
        backend: idle,
        conn: emptyConnection,
        handoff: emptyHandoff,
        plain: { dialled: false, asked: false, answered: false },
        ghosts: {
          tokensConsumed: 0,
          tokenRevoked: false,
          readyWritten: false,
          withdrawn: false,
          brokerReport: 'none',
          backendReport: 'none',
          screened: false,
          served: 0,
          answered: false,
          orphaned: false,
          spokeTooEarly: false,
          excused: false,
        },
        faultsLeft: faults,
        mute: false,
        stalled: null,
        reply: 'offer',
        overdue: false,
      }
      const starting = (cached: boolean) => absorb(idle, steppers.client.start({ id: 0, policy, cached }))
      return stalls.flatMap((stalled) => [
        { ...state, stalled, client: starting(false) },
        { ...state, stalled, client: starting(true) },
      ])
    },
    *steps(state) {
      for (const role of ROLES) yield* processSteps(state, role)
      yield* breakings(state)
      yield* stops(state)
    },
    key: (state) => [
      state.client,
      state.broker,
      state.backend,
      state.conn,
      state.handoff,
      state.plain,
      state.ghosts,
      state.faultsLeft,
      state.mute,
      state.stalled,
      state.reply,
      state.overdue,
    ],
    describe: (state) => ({
      ...state,
      ...Object.fromEntries(
        ROLES.map((role) => {
          const { machine, ...proc } = state[role]
          return [role, { ...proc, value: machine === null ? null : steppers[role].view(machine).value }]
        }),
      ),
    }),
  }
}

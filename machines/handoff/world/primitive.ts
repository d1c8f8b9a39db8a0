/** A primitive at work: its next effect, or, when nothing is decided any more, whatever it may take next. */
import {
  type Change,
  doneEvent,
  errorEvent,
  type LaterRule,
  type Rule,
  type StepKind,
  type Stepped,
} from '../../explore/index.js'
import type { FromIncumbent, FromSuccessor, ToIncumbent, ToSuccessor } from '../messages.js'
import type { Policy } from '../policy.js'
import type { OpenReport } from '../successor.machine.js'
import { toIncumbentEvent, toSuccessorEvent } from '../translate.js'
import type { Job, Players } from './cast.js'
import * as connections from './connections.js'
import { Draft, pidOf, slotOf } from './draft.js'
import { canBeAsked, end, exit, isTaken, tryLock, whoAnswers, whoGreets } from './kernel.js'
import type { FaultKind, Settings } from './options.js'
import { NONE, type Slot } from './slot.js'
import { ADMITTED, BACKLOG, CLOSED, type Frames, type HandoffState, OPEN, type Pools, type Primitive } from './state.js'
import { behind, DEAF, isHeard, isStrange, primitiveOutbursts, type StrangeFrame } from './strange.js'

/** Hooks belong to the daemon and may take long; everything else is a system call or two. */
const HOOKS = new Set(['prepare', 'openState', 'drain', 'seal', 'resume', 'closeState', 'finishConnections'])

export const SEALED = { revisions: ['5'], fingerprint: null } as const
const BEHIND = { revisions: ['4'], fingerprint: null } as const

export interface Makers {
  readonly players: Players
  readonly pools: Pools
  readonly settings: Settings
}

export const nameOf = (slot: Slot): string => String.fromCharCode(65 + slot)

/** What a primitive can do now. */
export function primitiveRules(slot: Slot, makers: Makers): readonly Rule<HandoffState>[] {
  const { faultKinds } = makers.settings
  const signals = (label: string): readonly string[] => (isSlow(label) ? [WORK] : [WORK, nameOf(slot)])
  const rule =
    (ask: (steps: PrimitiveSteps) => void, isFor: (primitive: Primitive) => boolean): Rule<HandoffState> =>
    (state) => {
      const primitive = state.primitives[slot]
      if (primitive?.life !== 'running' || primitive.blocked || !isFor(primitive)) return []
      const steps = new PrimitiveSteps(state, slot, primitive, makers)
      ask(steps)
      return steps.taken.map((change) => signalling(change, signals(change.label)))
    }
  const isIdle = ({ outbox }: Primitive) => outbox === 0
  return [
    rule(
      (steps) => steps.effect(),
      ({ outbox }) => outbox !== 0,
    ),
    rule((steps) => steps.greet(), isIdle),
    rule((steps) => steps.hear(), isIdle),
    rule((steps) => steps.stop(), isIdle),
    rule((steps) => steps.finishJob(), isIdle),
    rule((steps) => steps.failJob(), isIdle),
    ...(faultKinds.has('strange') ? [rule((steps) => steps.burstOut(), isIdle)] : []),
    ...(faultKinds.has('meddling') ? [rule((steps) => steps.meddle(), isIdle)] : []),
  ]
}

/** What may happen to it when time passes. */
export const primitiveTimers =
  (slot: Slot, makers: Makers): LaterRule<HandoffState> =>
  (state, hears) => {
    const primitive = state.primitives[slot]
    if (primitive?.life !== 'running' || primitive.blocked || primitive.outbox !== 0) return []
    if (makers.settings.timers !== 'reckless' && hears(nameOf(slot))) return []
    const steps = new PrimitiveSteps(state, slot, primitive, makers)
    steps.timers(timingOf(makers.settings, hears))
    return steps.taken
  }

/** Somebody has something to do. */
export const WORK = 'work'

/** Progress tells later rules that there is something to do. */
export const signalling = (change: Change<HandoffState>, signals: readonly string[]): Change<HandoffState> =>
  // A restart is somebody else's pace: nobody's limits wait for it.
  change.kind === 'progress' && change.label !== 'restart:S' && signals.length > 0 ? { ...change, signals } : change

/** `due`: time passes. `early`: somebody still has something to do, so a limit that passes now is a fault. */
export type Timing = 'due' | 'early'

export const timingOf = ({ timers }: Settings, hears: (signal: string) => boolean): Timing =>
  timers === 'patient' && hears(WORK) ? 'early' : 'due'

/** Limits of a primitive that are the supervisor's own numbers plus slack (assumption T1). */
const SUPERVISED = new Set(['ownDeadlineMs', 'drainOverdueMs', 'decisionOverdueMs'])

/** Pauses far below every limit: they may end whenever their process is idle. */
export const POLLS = new Set(['lockPollMs', 'settlePollMs'])

class PrimitiveSteps {
  readonly taken: Change<HandoffState>[] = []
  private readonly name: string

  constructor(
    private readonly state: HandoffState,
    private readonly slot: Slot,
    private readonly primitive: Primitive,
    private readonly makers: Makers,
  ) {
    this.name = nameOf(slot)
  }

  stop(): void {
    if (!this.primitive.stopRequested) return
    this.add(`${this.name}<SIGTERM`, 'progress', (draft) => {
      draft.setPrimitive(this.slot, { stopRequested: false, broken: true })
      this.tell(draft, { type: 'process.stopRequested' })
    })
  }

  timers(timing: Timing): void {
    const { primitive, makers, name } = this
    for (const timer of makers.players.playerOf(primitive).facts(primitive.machine).timers) {
      if (makers.settings.t1 && SUPERVISED.has(timer.delay) && this.isSupervised()) continue
      this.timer(`${name}~${timer.name}`, this.timingOf(timer.delay, timing), (draft) => {
        this.tell(draft, timer.event)
      })
    }
    primitive.sessions.forEach(({ greeting, primitiveEnd }, at) => {
      if (greeting < 0 || primitiveEnd === CLOSED) return
      for (const timer of makers.players.greeting.facts(greeting).timers)
        this.timer(`${name}.greeting~${timer.name}#${at}`, timing, (draft) => this.greeting(draft, at, timer.event))
    })
  }

  private timer(label: string, timing: Timing, change: (draft: Draft) => void): void {
    if (timing === 'due') this.add(label, 'timer', change)
    else this.fault('early', `early:${label}`, change)
  }

  private add(label: string, kind: StepKind, change: (draft: Draft) => void): void {
    const draft = new Draft(this.state, this.makers.players, this.makers.pools)
    change(draft)
    this.taken.push(draft.finish(label, kind))
  }

  private mayBreak(kind: FaultKind): boolean {
    return this.state.budgets.faults > 0 && this.makers.settings.faultKinds.has(kind)
  }

  /** A fault is offered while there is a budget for it, and spends it. */
  private fault(kind: FaultKind, label: string, change: (draft: Draft) => void): void {
    if (!this.mayBreak(kind)) return
    this.add(label, 'fault', (draft) => {
      draft.spend('faults')
      change(draft)
    })
  }

  /**
   * Where timers are free, one that passes while a hook of its own process still runs is the hook's fault, as `hookHang` is:
   * hooks keep their budgets unless they break.
   */
  private timingOf(delay: string, timing: Timing): Timing {
    if (POLLS.has(delay)) return 'due'
    const { players, settings } = this.makers
    const isHookRunning = !this.primitive.hung && HOOKS.has(players.job(this.primitive.job)?.src ?? '')
    return isHookRunning && settings.timers !== 'patient' ? 'early' : timing
  }

  /** T1: a supervisor that runs and holds our stream decides first. */
  private isSupervised(): boolean {
    const { channel, sessions, role } = this.primitive
    const stream = role === 'successor' ? channel : sessions.find(({ greeting }) => greeting === ADMITTED)
    return this.state.supervisor.life === 'running' && stream?.supervisorEnd === OPEN
  }

  private tell(draft: Draft, event: { readonly type: string }): void {
    const { players } = this.makers
    const before = draft.primitive(this.slot)
    const player = players.playerOf(before)
    take(draft, players, this.slot, player.stepper.send(before.machine, event))
    if (!player.facts(draft.primitive(this.slot).machine).live) return
    // Published: its door lets go of the channel and goes on with the incumbent's machine.
    draft.setChannel(this.slot, { primitiveEnd: CLOSED, toPrimitive: [] })
    draft.setPrimitive(this.slot, { role: 'incumbent' })
    const input = { policy: players.policy, start: 'live', canResume: this.makers.settings.canResume }
    take(draft, players, this.slot, players.playerOf(draft.primitive(this.slot)).stepper.start(input))
  }

  effect(): void {
    const { players } = this.makers
    const { slot, name, primitive } = this
    const effect = players.firstOf(primitive.outbox)
    if (effect?.kind !== 'action') throw new TypeError(`${name} cannot do ${JSON.stringify(effect)}`)
    const said = effect.type === 'sendToSupervisor' ? (effect.params as FromIncumbent | FromSuccessor) : null
    const label = said === null ? `${name}!${effect.type}` : `${name}!${said.kind}`
    this.add(label, 'progress', (draft) => {
      draft.setPrimitive(slot, { outbox: players.restOf(primitive.outbox) })
      if (said !== null) {
        this.say(draft, said)
        return
      }
      switch (effect.type) {
        case 'startAccepting':
          draft.setPrimitive(slot, { accepting: true })
          connections.readOn(draft, slot)
          draft.setKernel({ served: true })
          draft.primitives.forEach((other, at) => {
            if (at !== slot && other?.life === 'running' && !other.stale) draft.setPrimitive(at, { stale: true })
          })
          return
        case 'stopAccepting':
          draft.setPrimitive(slot, { accepting: false, owesResume: true })
          this.dismissGreeted(draft)
          connections.park(draft, slot)
          return
        case 'takeConnectionsBack':
          connections.takeBack(draft, slot)
          return
        case 'adoptConnections':
          connections.adopt(draft, slot)
          return
        case 'releaseLock':
          draft.setKernel({ lock: draft.kernel.lock === slot ? NONE : draft.kernel.lock })
          return
        case 'closeSession':
          this.closeSession(draft)
          return
        case 'closeChannel':
          draft.setChannel(slot, { primitiveEnd: CLOSED, toPrimitive: [] })
          return
        case 'exitProcess':
          exit(draft, slot, primitive.broken)
          return
        case 'cancelHook':
          draft.setPrimitive(slot, { cancelled: true })
          return
        case 'republishControl':
          draft.setKernel({ path: slot })
          return
        default:
          throw new TypeError(`the world knows no effect '${effect.type}'`)
      }
    })
  }

  private say(draft: Draft, said: FromIncumbent | FromSuccessor): void {
    const { players } = this.makers
    const { slot } = this
    const message = players.messageId(said)
    if (this.primitive.role === 'successor') {
      const { channel } = draft.primitive(slot)
      if (channel?.supervisorEnd === OPEN && channel.primitiveEnd === OPEN)
        draft.setChannel(slot, { toSupervisor: behind(channel.toSupervisor, message) })
      return
    }
    const at = this.primitive.sessions.findIndex(({ greeting }) => greeting === ADMITTED)
    const session = this.primitive.sessions[at]
    // Nothing is said on a connection that this process has closed.
    if (session?.supervisorEnd === OPEN && session.primitiveEnd === OPEN)
      draft.setSession(slot, at, { toSupervisor: behind(session.toSupervisor, message) })
  }

  private closeSession(draft: Draft): void {
    const at = draft.primitive(this.slot).sessions.findIndex(({ greeting }) => greeting === ADMITTED)
    if (at !== -1) draft.setSession(this.slot, at, { primitiveEnd: CLOSED, toPrimitive: [], greeting: ADMITTED })
  }

  // --- connections on the control socket, before one of them is the session ---

  private serves(draft: Draft): boolean {
    const primitive = draft.primitive(this.slot)
    const facts = this.makers.players.playerOf(primitive).facts(primitive.machine)
    if (facts.oneSession) return facts.greets
    return primitive.role === 'incumbent' && primitive.accepting && facts.accepting
  }

  /** Who was greeted and not heard yet was promised too much. */
  private dismissGreeted(draft: Draft): void {
    for (let at = draft.primitive(this.slot).sessions.length - 1; at >= 0; at--) {
      const session = draft.primitive(this.slot).sessions[at]
      if (session !== undefined && session.greeting >= 0 && session.primitiveEnd === OPEN)
        this.greeting(draft, at, { type: 'incumbent.stoppedServing' })
    }
  }

  greet(): void {
    const { players } = this.makers
    const { slot, name, primitive } = this
    if (primitive.role !== 'incumbent') return
    const facts = players.playerOf(primitive).facts(primitive.machine)
    const isOneSession = facts.oneSession
    primitive.sessions.forEach(({ greeting, toPrimitive, supervisorEnd, primitiveEnd }, at) => {
      if (greeting === ADMITTED || primitiveEnd === CLOSED) return
      if (greeting === BACKLOG) {
        if (canBeAsked(this.state, players, slot) && (!isOneSession || (facts.greets && !isTaken(primitive))))
          this.add(`${name}.accept#${at}`, 'progress', (draft) => {
            // Whoever asks a process that does not serve must not take silence for service.
            if (this.serves(draft)) this.greeting(draft, at, players.greeting.stepper.start({ policy: players.policy }))
            else draft.setSession(slot, at, { primitiveEnd: CLOSED })
          })
        return
      }
      if (!isHeard(toPrimitive)) return
      const [message] = toPrimitive
      if (message !== undefined) {
        const said = players.message(message)
        this.add(`${name}.greeting<${said.kind}#${at}`, 'progress', (draft) => {
          draft.setSession(slot, at, { toPrimitive: toPrimitive.slice(1) })
          this.greeting(draft, at, greetingEvent(said))
        })
      } else if (supervisorEnd === CLOSED) {
        this.add(`${name}.greeting<EOF#${at}`, 'progress', (draft) => {
          this.greeting(draft, at, { type: 'supervisor.disconnected' })
        })
      }
    })
  }

  private greeting(draft: Draft, at: number, next: Stepped | { readonly type: string }): void {
    const { players } = this.makers
    const { slot } = this
    const session = draft.primitive(slot).sessions[at]
    if (session === undefined) return
    const stepped = 'effects' in next ? next : players.greeting.stepper.send(session.greeting, next)
    draft.cover(stepped.covers)
    const isGreeted = stepped.effects.some((effect) => effect.kind === 'action' && effect.type === 'sendHello')
    const hello = isGreeted && session.supervisorEnd === OPEN ? [players.messageId({ kind: 'Hello' })] : []
    if (
      session.supervisorEnd === OPEN &&
      stepped.effects.some((effect) => effect.kind === 'action' && effect.type === 'sendHeartbeat')
    )
      hello.push(players.messageId({ kind: 'Heartbeat' }))
    const view = players.greeting.stepper.view(stepped.snapshot)
    if (view.status === 'active') {
      draft.setSession(slot, at, { greeting: stepped.snapshot, toSupervisor: [...session.toSupervisor, ...hello] })
      return
    }
    const isAttended = (view.output as { attended: boolean }).attended
    if (isAttended && this.admits(draft)) {
      draft.setSession(slot, at, { greeting: ADMITTED })
      this.tell(draft, { type: 'supervisor.attended' })
    } else draft.setSession(slot, at, { primitiveEnd: CLOSED, toPrimitive: [] })
  }

  /** One session, and only with a process that serves. */
  private admits(draft: Draft): boolean {
    const { sessions } = draft.primitive(this.slot)
    const isTaken = sessions.some(({ greeting, primitiveEnd }) => greeting === ADMITTED && primitiveEnd === OPEN)
    return !isTaken && this.serves(draft)
  }

  // --- what the supervisor says ---

  hear(): void {
    const { players } = this.makers
    const { slot, name, primitive } = this
    if (primitive.role === 'successor') {
      const { channel } = primitive
      if (channel === null) return
      if (!isHeard(channel.toPrimitive)) return
      const [message] = channel.toPrimitive
      if (message !== undefined) {
        const said = players.message(message) as ToSuccessor | StrangeFrame
        this.add(`${name}<${said.kind}`, 'progress', (draft) => {
          draft.setChannel(slot, { toPrimitive: restOf(said, channel.toPrimitive) })
          this.tell(draft, isStrange(said) ? said.means : toSuccessorEvent(said.kind))
        })
      } else if (channel.supervisorEnd === CLOSED) {
        this.add(`${name}<EOF`, 'progress', (draft) => {
          draft.setPrimitive(slot, { channel: null })
          this.tell(draft, { type: 'supervisor.disconnected' })
        })
      }
      return
    }
    primitive.sessions.forEach(({ greeting, toPrimitive, supervisorEnd, primitiveEnd }, at) => {
      if (greeting !== ADMITTED || primitiveEnd === CLOSED || !isHeard(toPrimitive)) return
      const [message] = toPrimitive
      if (message !== undefined) {
        const said = players.message(message) as ToIncumbent | StrangeFrame
        this.add(`${name}<${said.kind}`, 'progress', (draft) => {
          draft.setSession(slot, at, { toPrimitive: restOf(said, toPrimitive) })
          this.tell(draft, sessionEvent(said, players.policy))
        })
      } else if (supervisorEnd === CLOSED) {
        this.add(`${name}<EOF`, 'progress', (draft) => {
          draft.setSession(slot, at, { primitiveEnd: CLOSED })
          this.tell(draft, { type: 'supervisor.disconnected' })
        })
      }
    })
  }

  // --- what no protocol foresees ---

  burstOut(): void {
    if (!this.mayBreak('strange')) return
    const { players } = this.makers
    const { slot, name, primitive } = this
    const { channel } = primitive
    if (channel?.supervisorEnd === OPEN && channel.primitiveEnd === OPEN) {
      for (const [what, said] of primitiveOutbursts('successor')) {
        this.fault('strange', `strange:${name}!${what}`, (draft) => {
          draft.setChannel(slot, { toSupervisor: behind(channel.toSupervisor, players.messageId(said)) })
        })
      }
      this.fault('strange', `strange:${name}.hangsUp`, (draft) => {
        draft.setChannel(slot, { primitiveEnd: CLOSED, toPrimitive: [] })
        this.tell(draft, { type: 'supervisor.disconnected' })
      })
    }
    primitive.sessions.forEach((session, at) => {
      if (session.supervisorEnd === CLOSED || session.primitiveEnd === CLOSED) return
      for (const [what, said] of primitiveOutbursts('incumbent')) {
        this.fault('strange', `strange:${name}!${what}#${at}`, (draft) => {
          draft.setSession(slot, at, { toSupervisor: behind(session.toSupervisor, players.messageId(said)) })
        })
      }
      this.fault('strange', `strange:${name}.hangsUp#${at}`, (draft) => {
        if (session.greeting >= 0) {
          this.greeting(draft, at, { type: 'supervisor.disconnected' })
          return
        }
        draft.setSession(slot, at, { primitiveEnd: CLOSED, toPrimitive: [] })
        if (session.greeting === ADMITTED) this.tell(draft, { type: 'supervisor.disconnected' })
      })
    })
  }

  meddle(): void {
    if (!this.mayBreak('meddling')) return
    const { slot, name, primitive } = this
    if (!primitive.stopRequested)
      this.fault('meddling', `meddling:SIGTERM:${name}`, (draft) => draft.setPrimitive(slot, { stopRequested: true }))
    if (this.state.kernel.path !== slot) return
    this.fault('meddling', `meddling:unlink:${name}`, (draft) => {
      draft.setKernel({ path: NONE })
      // Told once, by the watch on the directory.
      if (primitive.role === 'incumbent') this.tell(draft, { type: 'process.pathLost' })
    })
  }

  // --- hooks and system calls ---

  finishJob(): void {
    const { slot, name } = this
    const job = this.endingJob()
    if (job === null) return
    const { id, src } = job
    if (this.isTellingCut(job)) {
      this.add(`${name}:parkConnections:told`, 'progress', (draft) => connections.tellCut(draft, slot))
      return
    }
    this.add(`${name}:${src}`, 'progress', (draft) => {
      const answer = this.perform(draft, job)
      this.settle(draft, 'error' in answer ? errorEvent(id, answer.error) : doneEvent(id, answer.output))
    })
  }

  /** Its job ends otherwise than well, or never. */
  failJob(): void {
    const { slot, name, primitive } = this
    const job = this.endingJob()
    if (job === null) return
    const { id, src } = job
    if (this.isTellingCut(job)) {
      this.fault('io', `${name}:parkConnections:fails`, (draft) => {
        connections.giveUp(draft, slot)
        this.settle(draft, errorEvent(id, 'EPIPE'))
      })
      return
    }
    const isHook = HOOKS.has(src)
    const fail = (error: string) => (draft: Draft) => this.settle(draft, errorEvent(id, error))
    if (isHook && primitive.cancelled) this.add(`${name}:${src}:aborted`, 'progress', fail('AbortError'))
    else {
      this.fault(isHook ? 'hookError' : 'io', `${name}:${src}:fails`, (draft) => {
        draft.setPrimitive(slot, { broken: true })
        if (src === 'openState') draft.setPrimitive(slot, { open: false })
        if (src === 'copyConnections' || src === 'parkConnections') connections.giveUp(draft, slot)
        fail('EIO')(draft)
      })
    }
    if (src === 'fetchConnections' && this.state.traffic.connections.length > 0) {
      this.fault('io', `${name}:fetchConnections:no room`, (draft) => {
        this.fetch(draft, true)
        this.settle(draft, doneEvent(id))
      })
    }
    if (isHook) {
      this.fault('hookHang', `${name}:${src}:hangs`, (draft) => draft.setPrimitive(slot, { hung: true, broken: true }))
      this.fault('hookBlock', `${name}:${src}:blocks`, (draft) =>
        draft.setPrimitive(slot, { hung: true, blocked: true, broken: true }),
      )
    }
    if (src === 'openState' && primitive.role === 'successor') {
      for (const [what, report] of [
        ['unhealthy', { healthy: false, ...SEALED }],
        ['behind', { healthy: true, ...BEHIND }],
      ] as const) {
        this.fault('badReady', `${name}:openState:${what}`, (draft) => {
          draft.setPrimitive(slot, { report: 'bad', stale: false, broken: true })
          this.settle(draft, doneEvent(id, report))
        })
      }
    }
  }

  /** What runs, and can end now. */
  private endingJob(): Job | null {
    const { players } = this.makers
    const job = players.job(this.primitive.job)
    if (job === null || this.primitive.hung) return null
    if (job.src === 'probeControl') {
      const { path } = this.state.kernel
      if (path !== NONE && !canBeAsked(this.state, players, path)) return null
    }
    // It ends when the last connection does.
    return job.src === 'finishConnections' && !connections.hasNone(this.state, this.slot) ? null : job
  }

  private isTellingCut({ src }: Job): boolean {
    return src === 'parkConnections' && connections.hasCut(this.state, this.slot)
  }

  /** A job's own end: what its state stops afterwards is not abandoned. */
  private settle(draft: Draft, event: { readonly type: string }): void {
    draft.setPrimitive(this.slot, { job: NONE, hung: false, cancelled: false })
    this.tell(draft, event)
  }

  private fetch(draft: Draft, full: boolean): void {
    const incumbent = whoAnswers(draft, this.makers.players)
    if (incumbent !== NONE && draft.traffic.connections.length > 0) connections.fetch(draft, this.slot, incumbent, full)
  }

  /** What a system call or a hook does to the world when it goes well, and what it answers. */
  private perform(draft: Draft, { src, input }: Job): { readonly output?: unknown } | { readonly error: string } {
    const { slot } = this
    const { players, settings } = this.makers
    switch (src) {
      case 'acquireLock':
        return { output: { held: tryLock(draft, slot) } }
      case 'openState': {
        const { role } = this.primitive
        draft.setPrimitive(slot, { stale: false, sealed: false, owesResume: false, report: 'good' })
        return { output: role === 'successor' ? { healthy: true, ...SEALED } : { canResume: settings.canResume } }
      }
      case 'publishControl': {
        const owner = whoGreets(draft, players)
        // A cold start must not rename over the socket of a daemon that serves other data.
        if (!this.primitive.published && this.primitive.role === 'incumbent' && owner !== NONE && owner !== slot)
          return { error: 'EADDRINUSE' }
        draft.setKernel({ path: slot })
        draft.setPrimitive(slot, { published: true })
        return {}
      }
      case 'drain':
        return { output: { openConnections: 0 } }
      case 'seal':
        draft.setPrimitive(slot, { open: false, sealed: true })
        return { output: SEALED }
      case 'closeState':
        draft.setPrimitive(slot, { open: false })
        return {}
      case 'resume':
        draft.setPrimitive(slot, { owesResume: false })
        // In memory, although it had sealed: it writes again (X2). Ours opens anew then.
        if (this.primitive.sealed) draft.setPrimitive(slot, { open: true, sealed: false })
        return {}
      case 'sayReady': {
        const { channel } = draft.primitive(slot)
        if (channel?.supervisorEnd !== OPEN) return { error: 'EPIPE' }
        const ready = players.messageId({ kind: 'Ready', ...(input as OpenReport) } as { readonly kind: string })
        draft.setChannel(slot, { toSupervisor: behind(channel.toSupervisor, ready) })
        return {}
      }
      case 'unlinkControl':
        draft.setKernel({ path: NONE })
        return {}
      case 'probeControl': {
        const owner = whoGreets(draft, players)
        return { output: { answeredBy: owner === NONE ? 'nobody' : owner === slot ? 'self' : 'other' } }
      }
      case 'fetchConnections':
        this.fetch(draft, false)
        return {}
      case 'copyConnections': {
        const { successorPid } = input as { successorPid: number | null }
        connections.copy(draft, slot, slotOf(successorPid ?? 0))
        return {}
      }
      case 'parkConnections':
        connections.agreeOnCut(draft, slot)
        return {}
      case 'prepare':
      case 'stageTakeover':
      case 'finishConnections':
        return {}
      default:
        throw new TypeError(`the world knows no actor '${src}'`)
    }
  }
}

/** What is left to read behind a frame. */
export const restOf = (said: { readonly kind: string }, frames: Frames): Frames =>
  isStrange(said) && said.deafens ? [DEAF] : frames.slice(1)

/** The session knows all but HelloAck, which belongs before it. */
function sessionEvent(said: ToIncumbent | StrangeFrame, policy: Policy): { readonly type: string } {
  if (said.kind === 'HelloAck' || said.kind === 'HelloAck.otherVersion') return { type: 'supervisor.violatedProtocol' }
  return isStrange(said) ? said.means : toIncumbentEvent(said as Exclude<ToIncumbent, { kind: 'HelloAck' }>, policy)
}

/** A greeting knows HelloAck and Heartbeat. */
function greetingEvent(said: { readonly kind: string }): { readonly type: string } {
  if (said.kind === 'HelloAck') return { type: 'supervisor.acknowledged', versionOk: true } as { readonly type: string }
  const isKnown = isStrange(said) && (said.kind === 'Heartbeat' || said.kind === 'HelloAck.otherVersion')
  return isKnown ? said.means : { type: 'supervisor.violatedProtocol' }
}

const isSlow = (label: string): boolean => HOOKS.has(label.slice(2).split(':')[0] ?? '')

/** Takes over a machine's step: what is noticed goes to the outbox, what is not happens now. */
export function take(draft: Draft, players: Players, slot: Slot, stepped: Parameters<Players['turnOf']>[0]): void {
  const turn = players.turnOf(stepped)
  draft.cover(turn.covers)
  draft.setPrimitive(slot, { machine: turn.snapshot, outbox: turn.outbox })
  for (const effect of turn.local) {
    if (effect.kind === 'start') {
      const { id, src, input } = effect
      draft.setPrimitive(slot, { job: players.jobId({ id, src, input }), hung: false, cancelled: false })
      if (src === 'openState') draft.setPrimitive(slot, { open: true })
      if (src === 'finishConnections') connections.linger(draft, slot)
    } else if (effect.kind === 'stop') {
      const job = players.job(draft.primitive(slot).job)
      if (job?.id !== effect.id) continue
      draft.setPrimitive(slot, { job: NONE, hung: false, cancelled: false })
      if (job.src === 'copyConnections' || job.src === 'parkConnections') connections.giveUp(draft, slot)
    } else if (effect.kind === 'action' && effect.type === 'cancelHook') draft.setPrimitive(slot, { cancelled: true })
  }
}

/** SIGKILL from outside, at any moment. */
export function killStep(state: HandoffState, slot: Slot, { players, pools }: Makers): Change<HandoffState> {
  const draft = new Draft(state, players, pools)
  draft.spend('faults')
  end(draft, slot, true)
  return draft.finish(`kill:${nameOf(slot)}`, 'fault')
}

export const pidsOf = (bits: number): number[] =>
  [0, 1, 2, 3, 4, 5, 6, 7].filter((slot) => (bits & (1 << slot)) !== 0).map(pidOf)

/** The supervisor at work: two machines in one process, their effects one by one, then whatever comes next. */
import type { AnyEventObject } from 'xstate'
import { type Change, doneEvent, type Effect, errorEvent, type StepKind } from '../../explore/index.js'
import type { FromIncumbent, FromSuccessor, ToIncumbent, ToSuccessor } from '../messages.js'
import type { SwapOutput } from '../swap.machine.js'
import { fromIncumbent, fromRehearsed, fromSuccessor } from '../translate.js'
import type { Job, Players, Stepper } from './cast.js'
import { Draft, pidOf, slotOf } from './draft.js'
import { canBeAsked, end, endSupervisor, fork, greets, signal, whoGreets } from './kernel.js'
import type { FaultKind } from './options.js'
import { type Makers, nameOf, POLLS, pidsOf, restOf, type Timing } from './primitive.js'
import { NONE, type Slot } from './slot.js'
import { BACKLOG, BEGUN, CLOSED, type HandoffState, OPEN, type Supervisor } from './state.js'
import { behind, isHeard, isStrange, type StrangeFrame, supervisorOutbursts } from './strange.js'

/** What the swap machine knows of the two processes it is about. */
export interface SwapPids {
  readonly incumbentPid: number
  readonly successorPid: number | null
}

const BIRTHS = new Set(['startPrimitive', 'coldStart', 'spawnSuccessor', 'startRehearsed'])

type Whose = 'supervisor' | 'swap'
type Answer = { readonly output?: unknown } | { readonly error: string }

/** Questions to the supervisor, one at a time; what it would do is in `taken`. */
export class SupervisorSteps {
  readonly taken: Change<HandoffState>[] = []
  private readonly supervisor: Supervisor
  private readonly players: Players

  constructor(
    private readonly state: HandoffState,
    private readonly makers: Makers,
  ) {
    this.supervisor = state.supervisor
    this.players = makers.players
  }

  goOn(): void {
    const { life } = this.supervisor
    if (life === 'stopped') return
    if (life === 'dead') {
      if (this.state.budgets.restarts > 0) this.restart()
      return
    }
    if (life === 'stalled') {
      this.add('cont:S', 'trigger', (draft) => draft.setSupervisor({ life: 'running' }))
      return
    }
    const { swapOutbox, outbox } = this.supervisor
    if (swapOutbox !== 0) this.effect('swap', swapOutbox)
    else if (outbox !== 0) this.effect('supervisor', outbox)
  }

  stall(): void {
    if (this.supervisor.life === 'running')
      this.fault('stall', 'stall:S', (draft) => draft.setSupervisor({ life: 'stalled' }))
  }

  isIdle(): boolean {
    const { supervisor } = this
    return supervisor.life === 'running' && supervisor.outbox === 0 && supervisor.swapOutbox === 0
  }

  timers(timing: Timing): void {
    for (const { event, name, delay } of this.players.supervisor.facts(this.supervisor.machine).timers)
      this.timer(`S~${name}`, POLLS.has(delay) ? 'due' : timing, (draft) => this.tell(draft, 'supervisor', event))
  }

  swapTimers(timing: Timing): void {
    const { swap } = this.supervisor
    if (swap === NONE) return
    for (const { event, name } of this.players.swap.facts(swap).timers)
      this.timer(`S~swap.${name}`, timing, (draft) => this.tell(draft, 'swap', event))
  }

  private timer(label: string, timing: Timing, change: (draft: Draft) => void): void {
    if (timing === 'due') this.add(label, 'timer', change)
    else this.fault('early', `early:${label}`, change)
  }

  private add(label: string, kind: StepKind, change: (draft: Draft) => void): void {
    const draft = new Draft(this.state, this.players, this.makers.pools)
    change(draft)
    this.settle(draft)
    this.taken.push(draft.finish(label, kind))
  }

  private fault(kind: FaultKind, label: string, change: (draft: Draft) => void): void {
    if (this.state.budgets.faults === 0 || !this.makers.settings.faultKinds.has(kind)) return
    this.add(label, 'fault', (draft) => {
      draft.spend('faults')
      change(draft)
    })
  }

  // --- machines ---

  private tell(draft: Draft, whose: Whose, event: AnyEventObject): void {
    const machine = whose === 'swap' ? draft.supervisor.swap : draft.supervisor.machine
    if (machine === NONE) return
    this.take(draft, whose, this.players[whose].stepper.send(machine, event))
  }

  private take(draft: Draft, whose: Whose, stepped: ReturnType<Stepper['send']>): void {
    const { players } = this
    const { snapshot, outbox, local, covers } = players.turnOf(stepped)
    draft.cover(covers)
    if (whose === 'swap') draft.setSupervisor({ swap: snapshot, swapOutbox: outbox })
    else draft.setSupervisor({ machine: snapshot, outbox })
    for (const effect of local) this.doLocally(draft, whose, effect)
  }

  private doLocally(draft: Draft, whose: Whose, effect: Effect): void {
    const { players } = this
    const job = whose === 'swap' ? 'swapJob' : 'job'
    if (effect.kind === 'start' && effect.src === 'swap') {
      this.take(draft, 'swap', players.swap.stepper.start(effect.input))
    } else if (effect.kind === 'start') {
      draft.setSupervisor({ [job]: players.jobId({ id: effect.id, src: effect.src, input: effect.input }) })
    } else if (effect.kind === 'stop' && effect.id === 'swap') {
      draft.setSupervisor({ swap: NONE, swapOutbox: 0, swapJob: NONE })
    } else if (effect.kind === 'stop') {
      if (players.job(draft.supervisor[job])?.id === effect.id) draft.setSupervisor({ [job]: NONE })
    } else if (effect.kind === 'action') {
      this.keep(draft, effect.type, effect.params)
    }
  }

  /** What the process only notes for itself: lost with it, seen by nobody. */
  private keep(draft: Draft, type: string, params: unknown): void {
    const bit = () => 1 << slotOf((params as { pid: number }).pid)
    switch (type) {
      case 'watchPrimitive':
        draft.setSupervisor({
          known: draft.supervisor.known | bit(),
          retiring: draft.supervisor.retiring & ~bit(),
          asked: draft.supervisor.asked & ~bit(),
        })
        return
      case 'retireIncumbent':
        // It is watched too: one that has ended already is told at once.
        draft.setSupervisor({
          known: draft.supervisor.known | bit(),
          retiring: draft.supervisor.retiring | bit(),
        })
        return
      case 'retireLeftovers':
        for (const pid of (params as { pids: readonly number[] }).pids) this.keep(draft, 'retireIncumbent', { pid })
        return
      case 'recordJournal':
        draft.setSupervisor({ journalling: this.record(draft) })
        return
      case 'clearJournal':
        draft.setSupervisor({ journalling: draft.kernel.journal === 0 ? NONE : 0 })
    }
  }

  private record(draft: Draft): number {
    const { incumbentPid, successorPid } = this.swapPids(draft.supervisor.swap)
    return (1 << slotOf(incumbentPid)) | (successorPid === null ? 0 : 1 << slotOf(successorPid))
  }

  private swapPids(swap: number): SwapPids {
    return this.players.swap.stepper.view(swap).context as SwapPids
  }

  /** A finished swap answers its parent in the same turn; a finished supervisor is a process that ends. */
  private settle(draft: Draft): void {
    const { players } = this
    // What this step has not moved was settled before.
    if (draft.hasSet('swap', 'swapOutbox')) {
      const { life, swap, swapOutbox } = draft.supervisor
      if (life === 'running' && swap !== NONE && swapOutbox === 0 && !players.swap.facts(swap).active) {
        const output = players.swap.stepper.view(swap).output as SwapOutput
        this.tell(draft, 'supervisor', doneEvent('swap', output))
      }
    }
    if (!draft.hasSet('machine', 'outbox')) return
    const { life, machine, outbox } = draft.supervisor
    if (life === 'running' && outbox === 0 && !players.supervisor.facts(machine).active) {
      const { matches, context } = players.supervisor.stepper.view(machine)
      // One that leaves nobody behind to serve takes all that it knows with it, retired ones too (INV-10).
      if ((context as { primitivePid: number | null }).primitivePid === null) this.endAll(draft)
      endSupervisor(draft, matches('stopped') ? 'stopped' : 'dead')
    }
  }

  private endAll(draft: Draft): void {
    const { known } = draft.supervisor
    for (let slot = 0; slot < draft.primitives.length; slot++)
      if ((known & (1 << slot)) !== 0 && draft.isAlive(slot)) end(draft, slot, false)
  }

  private restart(): void {
    const { players } = this
    this.add('restart:S', 'progress', (draft) => {
      draft.spend('restarts')
      draft.setSupervisor({ life: 'running' })
      this.take(draft, 'supervisor', players.supervisor.stepper.start({ policy: players.policy }))
    })
  }

  // --- effects ---

  private effect(whose: Whose, outbox: number): void {
    const { players } = this
    const effect = players.firstOf(outbox)
    if (effect?.kind !== 'action') throw new TypeError(`the supervisor cannot do ${JSON.stringify(effect)}`)
    const kind = effect.type.startsWith('sendTo') ? `.${(effect.params as { kind: string }).kind}` : ''
    this.add(`S!${effect.type}${kind}`, 'progress', (draft) => {
      draft.setSupervisor(whose === 'swap' ? { swapOutbox: 0 } : { outbox: 0 })
      this.perform(draft, effect.type, effect.params)
      // What nobody sees follows at once.
      let rest = players.restOf(outbox)
      for (let next = players.firstOf(rest); next !== undefined && players.isOwnBusiness(next); ) {
        this.doLocally(draft, whose, next)
        rest = players.restOf(rest)
        next = players.firstOf(rest)
      }
      if (rest !== 0) draft.setSupervisor(whose === 'swap' ? { swapOutbox: rest } : { outbox: rest })
    })
  }

  private perform(draft: Draft, type: string, params: unknown): void {
    const { players } = this
    const { incumbentPid, successorPid } =
      draft.supervisor.swap === NONE ? { incumbentPid: 0, successorPid: null } : this.swapPids(draft.supervisor.swap)
    switch (type) {
      case 'sendToIncumbent': {
        const [slot, at] = this.session(draft)
        const session = draft.primitives[slot]?.sessions[at]
        if (session?.primitiveEnd !== OPEN) return
        const message = players.messageId(params as ToIncumbent)
        draft.setSession(slot, at, { toPrimitive: behind(session.toPrimitive, message) })
        return
      }
      case 'sendToSuccessor': {
        const slot = slotOf(successorPid ?? 0)
        const channel = draft.primitives[slot]?.channel
        if (channel?.primitiveEnd !== OPEN || channel.supervisorEnd !== OPEN) return
        draft.setChannel(slot, { toPrimitive: behind(channel.toPrimitive, players.messageId(params as ToSuccessor)) })
        return
      }
      case 'closeIncumbentSession': {
        const [slot, at] = this.session(draft)
        if (slot !== NONE) draft.setSession(slot, at, { supervisorEnd: CLOSED, toSupervisor: [] })
        return
      }
      case 'closeSuccessorChannel': {
        const slot = slotOf(successorPid ?? 0)
        if (draft.primitives[slot]?.channel?.supervisorEnd === OPEN)
          draft.setChannel(slot, { supervisorEnd: CLOSED, toSupervisor: [] })
        return
      }
      case 'signalSuccessor':
        signal(draft, slotOf(successorPid ?? 0), (params as { signal: 'SIGTERM' }).signal)
        return
      case 'signalIncumbent':
        signal(draft, slotOf(incumbentPid), (params as { signal: 'SIGTERM' }).signal)
        return
      case 'signalPrimitive': {
        const { primitivePid } = players.supervisor.stepper.view(draft.supervisor.machine).context as {
          primitivePid: number | null
        }
        signal(draft, slotOf(primitivePid ?? 0), (params as { signal: 'SIGTERM' }).signal)
        return
      }
      case 'sendToRehearsed': {
        const slot = slotOf((params as { pid: number }).pid)
        const channel = draft.primitives[slot]?.channel
        if (channel?.primitiveEnd !== OPEN || channel.supervisorEnd !== OPEN) return
        draft.setChannel(slot, { toPrimitive: behind(channel.toPrimitive, players.messageId({ kind: 'Abort' })) })
        return
      }
      case 'signalRehearsed':
        signal(draft, slotOf((params as { pid: number }).pid), 'SIGTERM')
        return
      case 'endRehearsed': {
        const { pid } = params as { pid: number | null }
        // One that is only being born ends as soon as its pid is known.
        const slot = pid === null ? draft.supervisor.forked : slotOf(pid)
        if (slot === NONE) return
        if (pid === null) draft.setSupervisor({ forked: NONE })
        signal(draft, slot, 'SIGKILL')
        if (draft.primitives[slot]?.channel?.supervisorEnd === OPEN)
          draft.setChannel(slot, { supervisorEnd: CLOSED, toSupervisor: [] })
        return
      }
      case 'cancelSwap':
        this.tell(draft, 'swap', { type: 'operator.cancelled' })
        return
      case 'reportOutcome':
        return
      default:
        throw new TypeError(`the world knows no effect '${type}'`)
    }
  }

  /** The one session this supervisor holds open: place and position. */
  private session(draft: Draft): readonly [Slot, number] {
    for (const [slot, primitive] of draft.primitives.entries()) {
      const at = primitive?.sessions.findIndex(({ supervisorEnd }) => supervisorEnd === OPEN) ?? -1
      if (at !== -1) return [slot, at]
    }
    return [NONE, NONE]
  }

  // --- what comes in ---

  hear(slot: Slot): void {
    const primitive = this.state.primitives[slot]
    if (primitive == null) return
    const { channel, sessions } = primitive
    if (channel === null && sessions.length === 0) return
    if (!this.isIdle()) return
    const { players } = this
    const name = nameOf(slot)
    if (channel?.supervisorEnd === OPEN && isHeard(channel.toSupervisor) && this.supervisor.forked !== slot) {
      const [message] = channel.toSupervisor
      if (message !== undefined) {
        const said = players.message(message) as FromSuccessor | StrangeFrame
        this.add(`S<${name}.${said.kind}`, 'progress', (draft) => {
          draft.setChannel(slot, { toSupervisor: restOf(said, channel.toSupervisor) })
          if (this.isRehearsed(slot)) this.tellOfRehearsed(draft, said, pidOf(slot))
          else this.tell(draft, 'swap', isStrange(said) ? said.means : fromSuccessor(said, pidOf(slot)))
        })
      } else if (channel.primitiveEnd === CLOSED) {
        this.add(`S<${name}.channelEOF`, 'progress', (draft) => {
          draft.setChannel(slot, { supervisorEnd: CLOSED })
          if (this.isRehearsed(slot)) this.tell(draft, 'supervisor', { type: 'rehearsed.disconnected' })
          else this.tell(draft, 'swap', { type: 'successor.disconnected' })
        })
      }
    }
    sessions.forEach((session, at) => {
      if (session.supervisorEnd !== OPEN || !isHeard(session.toSupervisor)) return
      const [message] = session.toSupervisor
      // One session at a time; only a mutant dials twice, and its labels must still tell the two apart.
      const which = at === 0 ? '' : `#${at}`
      if (message !== undefined) {
        const said = players.message(message) as FromIncumbent | StrangeFrame
        this.add(`S<${name}.${said.kind}${which}`, 'progress', (draft) => {
          draft.setSession(slot, at, { toSupervisor: restOf(said, session.toSupervisor) })
          // From Hello's capabilities: whether it greets others while our session is open.
          const isOne = players.playerOf(primitive).facts(primitive.machine).oneSession
          const means = isStrange(said) ? said.means : fromIncumbent(said, pidOf(slot), isOne ? 'one' : 'many')
          this.tell(draft, 'swap', means)
        })
      } else if (session.primitiveEnd === CLOSED) {
        this.add(`S<${name}.sessionEOF${which}`, 'progress', (draft) => {
          draft.setSession(slot, at, { supervisorEnd: CLOSED })
          this.tell(draft, 'swap', { type: 'incumbent.disconnected' })
        })
      }
    })
  }

  private tellOfRehearsed(draft: Draft, said: FromSuccessor | StrangeFrame, pid: number): void {
    const means = isStrange(said)
      ? { ...said.means, type: said.means.type.replace('successor', 'rehearsed') }
      : fromRehearsed(said, pid)
    if (means !== null) this.tell(draft, 'supervisor', means)
  }

  private isRehearsed(slot: Slot): boolean {
    const { rehearsedPid } = this.players.supervisor.stepper.view(this.supervisor.machine).context as {
      rehearsedPid: number | null
    }
    return rehearsedPid === pidOf(slot)
  }

  /** What a process said last is heard before its end, and its end after the machine knows its pid. */
  noticeEnd(slot: Slot): void {
    const primitive = this.state.primitives[slot]
    if (primitive?.life !== 'dead') return
    const { known, forked } = this.supervisor
    if ((known & (1 << slot)) === 0 || forked === slot || !this.isIdle()) return
    const streams = primitive.channel === null ? primitive.sessions : [primitive.channel, ...primitive.sessions]
    const isUnread = ({ supervisorEnd, toSupervisor }: (typeof streams)[number]) =>
      supervisorEnd === OPEN && toSupervisor.length > 0 && isHeard(toSupervisor)
    if (streams.some(isUnread)) return
    this.add(`S<${nameOf(slot)}.exit`, 'progress', (draft) => {
      const { swap, retiring, asked } = draft.supervisor
      const bit = 1 << slot
      draft.setSupervisor({ known: known & ~bit, retiring: retiring & ~bit, asked: asked & ~bit })
      this.tell(draft, 'supervisor', { type: 'primitive.exited', pid: pidOf(slot) })
      if (swap === NONE) return
      const { incumbentPid, successorPid } = this.swapPids(swap)
      if (incumbentPid === pidOf(slot)) this.tell(draft, 'swap', { type: 'incumbent.exited' })
      else if (successorPid === pidOf(slot)) this.tell(draft, 'swap', { type: 'successor.exited' })
    })
  }

  flushJournal(): void {
    const { journalling, life } = this.supervisor
    if (journalling === NONE || life !== 'running') return
    this.add('S:journal', 'progress', (draft) => {
      draft.setSupervisor({ journalling: NONE })
      draft.setKernel({ journal: journalling })
    })
    this.fault('io', 'S:journal:fails', (draft) => {
      draft.setSupervisor({ journalling: NONE })
      draft.setKernel({ journalFailed: true })
    })
  }

  /** To whom it holds a connection, it may say what it may not say now. */
  burstOut(slot: Slot): void {
    const primitive = this.state.primitives[slot]
    if (this.state.budgets.faults === 0 || primitive == null || !this.isIdle()) return
    const { players } = this
    const name = nameOf(slot)
    const { channel, sessions } = primitive
    if (channel?.supervisorEnd === OPEN && channel.primitiveEnd === OPEN && this.supervisor.forked !== slot) {
      for (const [what, said] of supervisorOutbursts('successor', 0)) {
        this.fault('strange', `strange:S!${name}.${what}`, (draft) => {
          draft.setChannel(slot, { toPrimitive: behind(channel.toPrimitive, players.messageId(said)) })
        })
      }
      this.fault('strange', `strange:S.hangsUp.${name}`, (draft) => {
        draft.setChannel(slot, { supervisorEnd: CLOSED, toSupervisor: [] })
        this.tell(draft, 'swap', { type: 'successor.disconnected' })
      })
    }
    sessions.forEach((session, at) => {
      if (session.supervisorEnd === CLOSED || session.primitiveEnd === CLOSED) return
      const successorPid = this.supervisor.swap === NONE ? null : this.swapPids(this.supervisor.swap).successorPid
      for (const [what, said] of supervisorOutbursts('incumbent', successorPid ?? 0)) {
        this.fault('strange', `strange:S!${name}.${what}#${at}`, (draft) => {
          draft.setSession(slot, at, { toPrimitive: behind(session.toPrimitive, players.messageId(said)) })
        })
      }
      this.fault('strange', `strange:S.hangsUp.${name}#${at}`, (draft) => {
        draft.setSession(slot, at, { supervisorEnd: CLOSED, toSupervisor: [] })
        this.tell(draft, 'swap', { type: 'incumbent.disconnected' })
      })
    })
  }

  // --- actors ---

  finishJob(whose: Whose): void {
    const job = this.endingJob(whose)
    if (job === null) return
    if (!BIRTHS.has(job.src)) {
      this.add(`S:${job.src}`, 'progress', (draft) => {
        const answer = this.answer(draft, job)
        this.tell(draft, whose, 'error' in answer ? errorEvent(job.id, answer.error) : doneEvent(job.id, answer.output))
      })
      return
    }
    const { forked } = this.supervisor
    if (forked === NONE) this.add(`S:${job.src}`, 'progress', (draft) => this.give(draft, job))
    else {
      this.add(`S:${job.src}:pid`, 'progress', (draft) => {
        draft.setSupervisor({ forked: NONE })
        this.tell(draft, whose, doneEvent(job.id, { pid: pidOf(forked) }))
      })
    }
  }

  failJob(whose: Whose): void {
    const job = this.endingJob(whose)
    if (job === null || (BIRTHS.has(job.src) && this.supervisor.forked !== NONE)) return
    this.fault('io', `S:${job.src}:fails`, (draft) => {
      if (job.src === 'readJournal' || job.src === 'recordStart') draft.setKernel({ journalFailed: true })
      this.tell(draft, whose, errorEvent(job.id, 'EIO'))
    })
  }

  private endingJob(whose: Whose): Job | null {
    const job = this.players.job(whose === 'swap' ? this.supervisor.swapJob : this.supervisor.job)
    return job !== null && this.isIdle() && this.canFinish(job) ? job : null
  }

  /** A look takes as long as who is asked needs; a confirmation goes on looking until the named process answers. */
  private canFinish({ src, input }: Job): boolean {
    if (src === 'confirmServing' || src === 'lookAround' || src === 'probeControl') {
      const { path } = this.state.kernel
      if (path !== NONE && !canBeAsked(this.state, this.players, path)) return false
    }
    return src !== 'confirmServing' || greets(this.state, this.players, slotOf((input as { pid: number }).pid))
  }

  private give(draft: Draft, { src }: Job): void {
    const { players, makers } = this
    if (!draft.supervisor.holdsListeners) throw new TypeError('a primitive is started without the listeners')
    const role = src === 'startPrimitive' || src === 'coldStart' ? 'incumbent' : 'successor'
    const input =
      role === 'incumbent'
        ? { policy: players.policy, start: 'cold', canResume: makers.settings.canResume }
        : { policy: players.policy, deadlineKnown: true }
    const build = src === 'spawnSuccessor' && makers.settings.alternates ? 1 - this.incumbentBuild(draft) : 0
    const slot = fork(draft, players, role, input, build)
    draft.setSupervisor({ forked: slot, known: draft.supervisor.known | (1 << slot) })
    if (src === 'startPrimitive') draft.setSupervisor({ journalling: 1 << slot })
  }

  private incumbentBuild(draft: Draft): number {
    return draft.primitives[slotOf(this.swapPids(draft.supervisor.swap).incumbentPid)]?.build ?? 0
  }

  private answer(draft: Draft, { src, input }: Job): Answer {
    const { players } = this
    switch (src) {
      case 'readJournal':
        return { output: { pids: pidsOf(draft.kernel.journal), begun: draft.kernel.journal === BEGUN } }
      case 'lookAround': {
        const { pids } = input as { pids: readonly number[] }
        const answering = whoGreets(draft, players)
        const { path } = draft.kernel
        const holder = path === NONE ? [] : [pidOf(path)]
        return {
          output: {
            answeringPid: answering === NONE ? null : pidOf(answering),
            livingPids: [...new Set([...pids, ...holder])].filter((pid) => draft.isAlive(slotOf(pid))).sort(),
          },
        }
      }
      case 'takeListeners':
        if (!draft.isAlive(slotOf((input as { pid: number }).pid))) return this.bind(draft)
        draft.setSupervisor({ holdsListeners: true })
        return {}
      case 'bindListeners':
      case 'rebindListeners':
        return this.bind(draft)
      case 'fence':
        for (const pid of (input as { pids: readonly number[] }).pids) {
          if (draft.isAlive(slotOf(pid))) end(draft, slotOf(pid), false)
        }
        return {}
      case 'recordStart':
        draft.setKernel({ journal: BEGUN })
        draft.setSupervisor({ journalling: NONE })
        return {}
      case 'writeJournal':
        // Records reach the disk in their order: what was on its way has arrived before.
        draft.setKernel({ journal: this.record(draft) })
        draft.setSupervisor({ journalling: NONE })
        return {}
      case 'dialIncumbent':
        return this.dial(draft)
      case 'confirmServing':
        return {}
      case 'probeControl': {
        const slot = whoGreets(draft, players)
        const { incumbentPid, successorPid } = this.swapPids(draft.supervisor.swap)
        const answeredBy =
          slot === NONE
            ? 'nobody'
            : pidOf(slot) === incumbentPid
              ? 'incumbent'
              : pidOf(slot) === successorPid
                ? 'successor'
                : 'other'
        return { output: { answeredBy } }
      }
      default:
        throw new TypeError(`the world knows no actor '${src}'`)
    }
  }

  /** An address is free when nobody holds its socket any more. */
  private bind(draft: Draft): Answer {
    const isHeld = draft.primitives.some((primitive) => primitive?.life === 'running')
    if (isHeld) return { error: 'EADDRINUSE' }
    draft.setSupervisor({ holdsListeners: true })
    draft.setKernel({ bound: true })
    return {}
  }

  private dial(draft: Draft): Answer {
    const slot = draft.kernel.path
    if (slot === NONE) return { error: 'ENOENT' }
    const owner = draft.primitives[slot]
    if (owner?.life !== 'running') return { error: 'ECONNREFUSED' }
    const session = draft.stream({
      toPrimitive: [],
      toSupervisor: [],
      supervisorEnd: OPEN,
      primitiveEnd: OPEN,
      greeting: BACKLOG,
    })
    draft.setPrimitive(slot, { sessions: [...owner.sessions, session] })
    return {}
  }

  // --- time and operators ---

  /** In probation the door looks on; three misses are a finding of its own, not a timer of the machine's. */
  watchSuccessor(timing: Timing): void {
    const { swap } = this.supervisor
    const { players } = this
    if (swap === NONE || !players.swap.stepper.view(swap).matches('probation')) return
    const { successorPid } = this.swapPids(swap)
    if (successorPid === null || greets(this.state, players, slotOf(successorPid))) return
    this.timer('S:watchSuccessor:misses', timing, (draft) => {
      this.tell(draft, 'swap', { type: 'successor.becameUnhealthy' })
    })
  }

  /** Commit, its grace, SIGTERM, its grace, SIGKILL. */
  retire(timing: Timing): void {
    const { retiring, asked } = this.supervisor
    for (let slot = 0; slot < this.state.primitives.length; slot++) {
      const bit = 1 << slot
      if ((retiring & bit) !== 0) {
        this.timer(`S:retire.${nameOf(slot)}.SIGTERM`, timing, (draft) => {
          draft.setSupervisor({ retiring: retiring & ~bit, asked: asked | bit })
          signal(draft, slot, 'SIGTERM')
        })
      } else if ((asked & bit) !== 0) {
        this.timer(`S:retire.${nameOf(slot)}.SIGKILL`, timing, (draft) => {
          draft.setSupervisor({ asked: asked & ~bit })
          signal(draft, slot, 'SIGKILL')
        })
      }
    }
  }

  obey(): void {
    const { swaps, orders, rehearsals } = this.state.budgets
    if (swaps + orders + rehearsals === 0 || !this.isIdle()) return
    const { machine } = this.supervisor
    const supervisor = this.players.supervisor.stepper
    const isNews = (type: string) => supervisor.send(machine, { type }).changed
    if (swaps > 0 && isNews('swap.requested')) {
      this.add('swap.requested', 'trigger', (draft) => {
        draft.spend('swaps')
        this.tell(draft, 'supervisor', { type: 'swap.requested' })
      })
    }
    if (rehearsals > 0 && isNews('rehearsal.requested')) {
      this.add('rehearsal.requested', 'trigger', (draft) => {
        draft.spend('rehearsals')
        this.tell(draft, 'supervisor', { type: 'rehearsal.requested' })
      })
    }
    if (orders === 0) return
    for (const type of ['operator.stopped', 'operator.left']) {
      if (!isNews(type)) continue
      this.add(type, 'trigger', (draft) => {
        draft.spend('orders')
        this.tell(draft, 'supervisor', { type })
      })
    }
    const { swap } = this.supervisor
    if (swap === NONE || !this.players.swap.stepper.send(swap, { type: 'operator.cancelled' }).changed) return
    this.add('operator.cancelled', 'trigger', (draft) => {
      draft.spend('orders')
      this.tell(draft, 'swap', { type: 'operator.cancelled' })
    })
  }
}

/**
 * Leads real processes along a path of the model, label by label: each step is done for real (a hook runs, a frame arrives,
 * a limit passes, a process is killed), and after it the machines' states and the world's facts are compared with the model's.
 */
import { rmSync } from 'node:fs'
import type { FromIncumbent, FromSuccessor, ToIncumbent, ToSuccessor } from '../../machines/handoff/messages.js'
import type { SwapOutput } from '../../machines/handoff/swap.machine.js'
import {
  fromIncumbent,
  fromRehearsed,
  fromSuccessor,
  toIncumbentEvent,
  toSuccessorEvent,
} from '../../machines/handoff/translate.js'
import type { HandoffState, HandoffWorld } from '../../machines/handoff/world/index.js'
import { ADMITTED } from '../../machines/handoff/world/state.js'
import { isStrange } from '../../machines/handoff/world/strange.js'
import { stateText } from '../../src/channel/state-text.js'
import { ask } from '../../src/cli/trigger-client.js'
import { tryKill } from '../supervisor/rig.js'
import type { Puppet } from './puppets.js'
import { isEnded, isStopped, Stage } from './stage.js'
import { busyOne, isAtOnce } from './stepwise.js'
import { NO_ID, wordOf } from './words.js'

const NONE = -1

export interface Run {
  /** The first thing that was not as the model says; null when all of it was. */
  readonly wrong: string | null
  /** Labels done. */
  readonly steps: number
  /** Where the trace of all its processes lies, until the end. */
  readonly trace: string
  /** Ends what still runs, and removes the directory. */
  end(): Promise<void>
}

/** A path on which one thing happens otherwise than in the world, and leads to the same state for another reason. */
export interface Variant {
  readonly label: string
  /** `otherData`: the successor has opened other data. `otherHello`: somebody else greets on the control path. */
  readonly happens: 'otherData' | 'otherHello'
  /** The reason that the model gives, and the one that is due. */
  readonly failure: readonly [model: string, real: string]
  /** The transition that is taken instead of the model's. */
  readonly takes: string
}

export interface Course {
  readonly world: HandoffWorld
  readonly labels: readonly string[]
  readonly variant?: Variant
}

export class Walk {
  readonly #world: HandoffWorld
  readonly #stage: Stage
  readonly #variant: Variant | null
  /** By place in the model. */
  readonly #pids: (number | undefined)[] = []
  readonly #outcomes: Promise<string | null>[] = []
  #state: HandoffState
  #reported = 0
  /** Actors that were started before their label, because the label is their being stopped. */
  readonly #begun = new Set<string>()

  private constructor(world: HandoffWorld, stage: Stage, variant: Variant | null) {
    this.#world = world
    this.#variant = variant
    this.#stage = stage
    this.#state = world.initial() as HandoffState
  }

  /** @param patienceMs longest that anything may take which must come */
  static async along({ world, labels, variant }: Course, patienceMs = 60_000): Promise<Run> {
    const stage = await Stage.create(world.settings, patienceMs)
    const walk = new Walk(world, stage, variant ?? null)
    let steps = 0
    let wrong: string | null = null
    try {
      const states = walk.#statesAlong(labels)
      for (const [at, label] of labels.entries()) {
        await walk.#step(label, at, labels, states)
        steps += 1
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      wrong = `at ${steps} ${labels[steps] ?? 'rest'}: ${text}\n${stage.told()}`
    }
    return { wrong, steps, trace: stage.trace, end: () => stage.end() }
  }

  #statesAlong(labels: readonly string[]): HandoffState[] {
    let state = this.#state
    return labels.map((label) => {
      const step = [...this.#world.steps(state)].find((one) => one.label === label)
      if (step === undefined) throw new Error(`the model has no ${label} here`)
      state = step.next
      return state
    })
  }

  async #step(label: string, at: number, labels: readonly string[], states: readonly HandoffState[]): Promise<void> {
    const before = this.#state
    const after = states[at] as HandoffState
    // What a record or a removal of the journal meets must be so before it is asked for.
    if (labels.slice(at + 1).find((next) => !/^S!/.test(next)) === 'S:journal:fails') this.#stage.spoilJournal()
    await this.#commit(label, before, after)
    this.#state = after
    if (busyOne(after) !== null || isAtOnce(labels[at + 1] ?? '')) return
    await this.#compare(after)
    await this.#beginDoomed(at, labels, states)
  }

  // --- steps ---

  async #commit(label: string, before: HandoffState, after: HandoffState): Promise<void> {
    if (label === this.#variant?.label) return await this.#happenOtherwise(label, before)
    const [, limit] = /^(?:early:)?(.*~.*|S:watchSuccessor:misses|S:retire\..*)$/.exec(label) ?? []
    if (limit !== undefined) return await this.#pass(limit, before)
    if (label.startsWith('kill:')) return await this.#kill(label.slice(5))
    if (label.startsWith('strange:')) return await this.#burstOut(label.slice('strange:'.length), before)
    if (label.startsWith('meddling:')) return await this.#meddle(label.slice('meddling:'.length), before)
    const [, whose, kind, rest] = /^([A-HS])([.!<:])(.*)$/.exec(label) ?? []
    if (whose === undefined || rest === undefined) return await this.#order(label)
    if (kind === '!') return await this.#effect(whose, rest, before)
    if (kind === '<') return whose === 'S' ? await this.#hear(rest, before) : await this.#listen(whose, rest, before)
    if (kind === '.') return await this.#greeting(whose, rest)
    if (whose === 'S') return await this.#superviseJob(rest, before, after)
    return await this.#primitiveJob(whose, rest, before)
  }

  async #happenOtherwise(label: string, before: HandoffState): Promise<void> {
    if (this.#variant?.happens === 'otherHello')
      return await this.#release(this.#supervisor(), 'swap', 'incumbent.greeted')
    const [whose = '', what = ''] = label.split(/:(.*)/)
    return await this.#primitiveJob(whose, `${what.split(':')[0]}:otherData`, before)
  }

  /** It happened with the machine's step; what others see of it may take a moment. */
  async #effect(whose: string, effect: string, before: HandoffState): Promise<void> {
    if (whose !== 'S') {
      if (effect === 'closeSession')
        await this.#of(whose).ask('discard', { machine: 'incumbent', prefix: 'supervisor.' })
      return
    }
    const puppet = this.#supervisor()
    if (effect === 'closeIncumbentSession') await puppet.ask('discard', { machine: 'swap', prefix: 'incumbent.' })
    if (effect === 'closeSuccessorChannel') await puppet.ask('discard', { machine: 'swap', prefix: 'successor.' })
    if (effect !== 'reportOutcome') return
    const { players } = this.#world
    const said = players.firstOf(before.supervisor.outbox) as { readonly params: SwapOutput } | undefined
    const outcome = await this.#outcomes[this.#reported++]
    if (outcome !== said?.params.result) throw new Error(`it reports ${outcome}, the model ${said?.params.result}`)
  }

  async #order(label: string): Promise<void> {
    const stage = this.#stage
    switch (label) {
      case 'restart:S':
        await stage.startSupervisor()
        return
      case 'stall:S':
        tryKill(this.#supervisor().pid, 'SIGSTOP')
        await stage.until(() => isStopped(stage.supervisorPid), 'the supervisor does not stop')
        return
      case 'cont:S':
        tryKill(this.#supervisor().pid, 'SIGCONT')
        return
      case 'swap.requested':
        this.#outcomes.push(outcomeOf(ask(stage.rig.trigger, { cmd: 'swap' })))
        await this.#release(this.#supervisor(), 'supervisor', label)
        return
      case 'swap.requested:inVain':
        // Its promise would be refused before; who drives the door's actor is told by the machine.
        await this.#supervisor().ask('send', { machine: 'supervisor', event: { type: 'swap.requested' } })
        return
      case 'operator.reconfigured:inVain':
        tryKill(stage.supervisorPid, 'SIGHUP')
        await this.#release(this.#supervisor(), 'supervisor', 'operator.reconfigured')
        return
      case 'rehearsal.requested':
        void outcomeOf(ask(stage.rig.trigger, { cmd: 'rehearse' }))
        await this.#release(this.#supervisor(), 'supervisor', label)
        return
      case 'operator.left':
        void outcomeOf(ask(stage.rig.trigger, { cmd: 'leave' }))
        await this.#release(this.#supervisor(), 'supervisor', label)
        return
      case 'operator.stopped': {
        const puppet = this.#supervisor()
        // After a leaving that waits the first signal says nothing new, the second one ends at once.
        await stage.untilWith(
          () => tryKill(puppet.pid, 'SIGTERM'),
          () => puppet.holds('supervisor', label),
          'the supervisor hears no SIGTERM',
        )
        await this.#release(puppet, 'supervisor', label)
        return
      }
      default:
        throw new Error(`nobody knows how to do ${label}`)
    }
  }

  async #kill(whose: string): Promise<void> {
    const pid = whose === 'S' ? this.#stage.supervisorPid : this.#of(whose).pid
    tryKill(pid, 'SIGKILL')
    await this.#stage.until(() => isEnded(pid), `${whose} does not die`)
  }

  /** A limit passes. */
  async #pass(label: string, before: HandoffState): Promise<void> {
    const { players } = this.#world
    const stage = this.#stage
    if (label === 'S:watchSuccessor:misses')
      return await this.#release(this.#supervisor(), 'swap', 'successor.becameUnhealthy')
    const retire = /^S:retire\.[A-H]\.(SIGTERM|SIGKILL)$/.exec(label)
    if (retire) return await this.#supervisor().ask('pass', { ms: stage.pauseBefore(retire[1] as 'SIGTERM') })
    const [, whose = '', greeting, swap, name, at] =
      /^([A-HS])(\.greeting)?~(swap\.)?([^#]*)(?:#(\d+))?$/.exec(label) ?? []
    const slot = slotOf(whose)
    if (whose === 'S') {
      const machine = swap === undefined ? 'supervisor' : 'swap'
      const snapshot = swap === undefined ? before.supervisor.machine : before.supervisor.swap
      return await this.#fire(this.#supervisor(), machine, players[machine].facts(snapshot).timers, name)
    }
    const primitive = before.primitives[slot]
    if (primitive == null) throw new Error(`nobody lives at ${whose}`)
    if (greeting !== undefined) {
      const session = primitive.sessions[Number(at)]
      return await this.#fire(this.#of(whose), 'greeting', players.greeting.facts(session?.greeting ?? 0).timers, name)
    }
    await this.#fire(this.#of(whose), primitive.role, players[primitive.role].facts(primitive.machine).timers, name)
  }

  async #fire(
    puppet: Puppet,
    machine: string,
    timers: readonly { readonly name: string; readonly event: { readonly type: string } }[],
    name: string | undefined,
  ): Promise<void> {
    const timer = timers.find((one) => one.name === name)
    if (timer === undefined) throw new Error(`the model has no timer ${name}`)
    await puppet.ask('timer', { machine, type: timer.event.type })
  }

  async #release(puppet: Puppet, machine: string, type: string, pid?: number): Promise<void> {
    await this.#stage.puppets.until(
      () => puppet.holds(machine, type, pid),
      () => `${puppet.pid} never gets ${type}`,
    )
    await puppet.ask('release', { machine, type, ...(pid === undefined ? {} : { pid }) })
  }

  /** `B.Hello`, `A.sessionEOF`, `B.channelEOF`, `A.exit`. */
  async #hear(what: string, before: HandoffState): Promise<void> {
    const whose = what[0] as string
    const said = what.slice(2).replace(/#\d+$/, '')
    const slot = slotOf(whose)
    const primitive = before.primitives[slot]
    const { swap } = before.supervisor
    const supervisor = this.#supervisor()
    if (said === 'exit') {
      const pid = this.#pids[slot] as number
      await this.#release(supervisor, 'supervisor', 'primitive.exited', pid)
      if (swap === NONE || this.#state.supervisor.swap === NONE) return
      const { incumbentPid, successorPid } = this.#world.players.swap.stepper.view(swap).context as Pids
      if (incumbentPid === slot + 1) await this.#release(supervisor, 'swap', 'incumbent.exited')
      else if (successorPid === slot + 1) await this.#release(supervisor, 'swap', 'successor.exited')
      return
    }
    const isRehearsed = this.#rehearsed(before) === slot
    if ((swap === NONE && !isRehearsed) || primitive == null) return
    let type: string
    if (said === 'channelEOF') type = 'successor.disconnected'
    else if (said === 'sessionEOF') type = 'incumbent.disconnected'
    else {
      // Both streams of one process never have something to say at the same time: one ends before the other begins.
      const isChannel = primitive.channel?.toSupervisor[0] !== undefined
      const queue = isChannel
        ? primitive.channel
        : primitive.sessions.find(({ toSupervisor }) => toSupervisor.length > 0)
      const message = this.#world.players.message(queue?.toSupervisor[0] ?? 0)
      if (isStrange(message)) type = message.means.type
      else if (isRehearsed) type = fromRehearsed(message as FromSuccessor, 0)?.type ?? 'successor.progressed'
      else if (isChannel) type = fromSuccessor(message as FromSuccessor, 0).type
      else type = fromIncumbent(message as FromIncumbent, 0).type
    }
    if (isRehearsed && type === 'successor.progressed') return
    await this.#release(
      supervisor,
      isRehearsed ? 'supervisor' : 'swap',
      isRehearsed ? type.replace('successor', 'rehearsed') : type,
    )
  }

  /** Place of the process that is only rehearsed. */
  #rehearsed({ supervisor }: HandoffState): number {
    const { rehearsedPid } = this.#world.players.supervisor.stepper.view(supervisor.machine).context as {
      readonly rehearsedPid: number | null
    }
    return rehearsedPid === null ? NONE : rehearsedPid - 1
  }

  /** What a primitive hears: a message, EOF, a signal. */
  async #listen(whose: string, said: string, before: HandoffState): Promise<void> {
    const role = before.primitives[slotOf(whose)]?.role ?? 'incumbent'
    let type: string
    if (said === 'EOF') type = 'supervisor.disconnected'
    else if (said === 'SIGTERM') type = 'process.stopRequested'
    else {
      const { channel, sessions } = before.primitives[slotOf(whose)] as NonNullable<(typeof before.primitives)[number]>
      const queue = role === 'successor' ? channel : sessions.find(({ greeting }) => greeting === ADMITTED)
      const message = this.#world.players.message(queue?.toPrimitive[0] ?? 0)
      if (role === 'incumbent' && message.kind.startsWith('HelloAck')) type = 'supervisor.violatedProtocol'
      else if (isStrange(message)) type = message.means.type
      else if (role === 'successor') type = toSuccessorEvent(message.kind as ToSuccessor['kind']).type
      else
        type = toIncumbentEvent(message as Exclude<ToIncumbent, { kind: 'HelloAck' }>, this.#world.players.policy).type
    }
    const puppet = this.#of(whose)
    // The signal found the successor, which has become the incumbent before it took notice: it is sent to who runs now.
    if (said === 'SIGTERM' && role === 'incumbent' && puppet.holds('successor', type)) {
      await puppet.ask('discard', { machine: 'successor', prefix: type })
      tryKill(puppet.pid, 'SIGTERM')
    }
    await this.#release(puppet, role, type)
  }

  /** `S!A.SealRequest#0`, `B!Ready`, `A.hangsUp#0`, `S.hangsUp.B`. */
  async #burstOut(what: string, before: HandoffState): Promise<void> {
    const whose = what[0] as string
    const isHangUp = what.includes('.hangsUp')
    const [to = '', said = ''] =
      whose === 'S'
        ? (/^S(?:!|\.hangsUp\.)([A-H])\.?([^#]*)/.exec(what)?.slice(1) ?? [])
        : ['S', /^[A-H](?:!|\.hangsUp)([^#]*)/.exec(what)?.[1] ?? '']
    const speaker = whose === 'S' ? this.#supervisor() : this.#of(whose)
    const other = whose === 'S' ? to : whose
    const { channel, role } = before.primitives[slotOf(other)] ?? {}
    // A successor is spoken to on its channel, an incumbent in the session.
    const isChannel = channel != null && role === 'successor'
    const isRehearsed = this.#rehearsed(before) === slotOf(other)
    const born = isRehearsed ? 'startRehearsed' : 'spawnSuccessor'
    const end = whose === 'S' ? (isChannel ? born : 'dialIncumbent') : isChannel ? 'channel' : 'session'
    if (isHangUp) {
      const own =
        whose === 'S'
          ? isRehearsed
            ? 'supervisor'
            : 'swap'
          : isChannel
            ? 'successor'
            : this.#isGreeting(before, other)
              ? 'greeting'
              : 'incumbent'
      const peer = whose === 'S' ? (isRehearsed ? 'rehearsed' : isChannel ? 'successor' : 'incumbent') : 'supervisor'
      await speaker.ask('discard', { machine: own, prefix: `${peer}.` })
      await speaker.ask('hangUp', { end })
      return await this.#release(speaker, own, `${peer}.disconnected`)
    }
    if (said === 'Heartbeat') {
      // One is answered by another.
      await this.#of(other).ask('passBeat')
      await this.#supervisor().ask('passBeat')
    }
    const frame = wordOf(said, {
      handoffId: (await this.#stage.rig.status()).swap?.handoffId ?? NO_ID,
      role: isChannel ? 'successor' : 'incumbent',
      pid: speaker.pid,
      bySupervisor: whose === 'S',
    })
    await speaker.ask('say', { end, hex: Buffer.from(frame).toString('hex') })
  }

  #isGreeting(state: HandoffState, whose: string): boolean {
    return state.primitives[slotOf(whose)]?.sessions.some(({ greeting }) => greeting >= 0) ?? false
  }

  /** `SIGTERM:A`, `unlink:A`. */
  async #meddle(what: string, before: HandoffState): Promise<void> {
    const [how, whose = ''] = what.split(':')
    const puppet = this.#of(whose)
    if (how === 'SIGTERM') {
      tryKill(puppet.pid, 'SIGTERM')
      return
    }
    rmSync(this.#stage.rig.controlSocket)
    const { role, machine } = before.primitives[slotOf(whose)] ?? {}
    // Only who serves watches its path.
    if (role === 'incumbent' && this.#world.players.incumbent.facts(machine ?? 0).accepting)
      await this.#release(puppet, 'incumbent', 'process.pathLost')
  }

  /** `accept#0`, `greeting<HelloAck#0`, `greeting<EOF#0`. */
  async #greeting(whose: string, what: string): Promise<void> {
    // It was accepted, or turned away, and what was said then heard, as it came.
    if (what.startsWith('accept') || !what.startsWith('greeting<EOF')) return
    await this.#release(this.#of(whose), 'greeting', 'supervisor.disconnected')
  }

  async #superviseJob(what: string, before: HandoffState, after: HandoffState): Promise<void> {
    const stage = this.#stage
    const supervisor = this.#supervisor()
    const [src = '', how] = what.split(':')
    if (src === 'journal') return await stage.journalDone(how === 'fails', this.#pidsIn(after.kernel.journal))
    const { players } = this.#world
    const machine = players.job(before.supervisor.swapJob)?.src === src ? 'swap' : 'supervisor'
    const isBirth = src === 'spawnSuccessor' || src === 'startPrimitive' || src === 'startRehearsed'
    if (how === 'pid') return await supervisor.ask('deliver', { machine, job: src })
    if (how === 'fails') return await stage.failing(src, (mode) => this.#run(supervisor, machine, src, mode))
    if (src === 'dialIncumbent') {
      const { path } = before.kernel
      const owner = path === NONE ? undefined : this.#find(path)
      const other = { handoffId: NO_ID, role: 'incumbent', pid: 1, bySupervisor: false } as const
      const instead = Buffer.from(wordOf('Hello.otherPid', other)).toString('hex')
      const how = this.#variant?.happens === 'otherHello' ? { instead } : {}
      if (owner !== undefined && !before.primitives[path]?.blocked) await owner.ask('holdGreeting', how)
    }
    await this.#run(supervisor, machine, src, undefined, isBirth)
    if (isBirth) await this.#born(after.supervisor.forked, src === 'startPrimitive' ? 'incumbent' : 'successor')
  }

  async #run(puppet: Puppet, machine: string, job: string, mode?: string, withhold = false): Promise<void> {
    await this.#stage.puppets.until(
      () => puppet.hasJob(machine, job),
      () => `${puppet.pid}: the ${machine} does not ask for ${job}`,
    )
    const how = { machine, job, ...(mode && { mode }), ...(withhold && { withhold }) }
    if (mode === 'block') puppet.order('run', how)
    else await puppet.ask('run', how)
  }

  async #born(slot: number, role: string): Promise<void> {
    const { puppets, supervisorPid } = this.#stage
    const known = new Set(this.#pids)
    const child = await puppets.until(
      () => puppets.all.find(({ pid, machines }) => !known.has(pid) && pid !== supervisorPid && machines.has(role)),
      () => `no ${role} comes up`,
    )
    this.#pids[slot] = child.pid
  }

  async #primitiveJob(whose: string, what: string, before: HandoffState): Promise<void> {
    const [src = '', how] = what.split(':')
    const role = before.primitives[slotOf(whose)]?.role ?? 'incumbent'
    const puppet = this.#of(whose)
    if (how === 'aborted') {
      await this.#stage.puppets.until(
        () => puppet.hasResult(role, src),
        () => `${src} of ${whose} does not end, though it was asked to`,
      )
      this.#begun.delete(`${whose}.${src}`)
      return await puppet.ask('deliver', { machine: role, job: src })
    }
    // A path that leads here already is put aside by nobody but its owner.
    const isOwn = src === 'publishControl' && before.kernel.path === slotOf(whose)
    if (how === 'fails' && isOwn) return await this.#run(puppet, role, src, 'fail')
    if (how === 'fails') return await this.#stage.failing(src, (mode) => this.#run(puppet, role, src, mode))
    const mode = { hangs: 'hang', blocks: 'block' }[how ?? ''] ?? how
    await this.#run(puppet, role, src, mode)
  }

  /** A hook that the path stops by its signal has to run when the signal comes. */
  async #beginDoomed(at: number, labels: readonly string[], states: readonly HandoffState[]): Promise<void> {
    const { players } = this.#world
    const state = states[at] as HandoffState
    for (const [slot, primitive] of state.primitives.entries()) {
      if (primitive?.life !== 'running' || primitive.job === NONE || primitive.hung) continue
      const { src } = players.job(primitive.job) as { readonly src: string }
      const whose = String.fromCharCode(65 + slot)
      if (this.#begun.has(`${whose}.${src}`)) continue
      const end = labels.findIndex(
        (label, index) => index > at && label.startsWith(`${whose}:${src}`) && isSame(states, slot, at, index - 1),
      )
      if (labels[end] !== `${whose}:${src}:aborted`) continue
      this.#begun.add(`${whose}.${src}`)
      await this.#run(this.#of(whose), primitive.role, src, 'untilAborted', true)
    }
  }

  // --- what must be so now ---

  async #compare(model: HandoffState): Promise<void> {
    const { supervisor } = model
    const stage = this.#stage
    if (supervisor.life === 'dead' || supervisor.life === 'stopped') {
      await stage.until(() => isEnded(stage.supervisorPid), 'the supervisor does not end')
    } else if (supervisor.life === 'running') {
      await this.#isAt(this.#supervisor(), 'supervisor', supervisor.machine)
      if (supervisor.swap !== NONE) await this.#isAt(this.#supervisor(), 'swap', supervisor.swap)
    }
    for (const [slot, primitive] of model.primitives.entries()) {
      const pid = this.#pids[slot]
      if (primitive === null) continue
      if (primitive.life === 'dead') await stage.until(() => isEnded(pid as number), `${pid} does not end`)
      else if (!primitive.blocked)
        await this.#isAt(this.#of(String.fromCharCode(65 + slot)), primitive.role, primitive.machine)
    }
    const pidAt = (slot: number) => (slot === NONE ? null : (this.#pids[slot] ?? null))
    await stage.lockHeldBy(pidAt(model.kernel.lock))
    await stage.pathLeadsTo(pidAt(model.kernel.path))
    const accepting = model.primitives.findIndex((one) => one?.accepting)
    if (accepting === NONE || model.primitives[accepting]?.blocked) stage.nobodyAccepts()
    else await stage.acceptedBy(this.#pids[accepting] as number)
  }

  async #isAt(puppet: Puppet, machine: 'supervisor' | 'swap' | 'incumbent' | 'successor', id: number): Promise<void> {
    const { players } = this.#world
    const view = players[machine].stepper.view(id)
    const expected = { state: stateText(view.value), ...this.#comparable(view.context, (pid) => this.#pids[pid - 1]) }
    const [model, due] = this.#variant?.failure ?? ['', '']
    const text = JSON.stringify(expected).replace(`"${model}"`, `"${due}"`)
    const real = () => {
      const told = puppet.machines.get(machine)
      if (told === undefined) return 'nothing'
      return JSON.stringify({ state: stateText(told.value), ...this.#comparable(told.context, (pid) => pid) })
    }
    await this.#stage.puppets.until(
      () => real() === text,
      () => `the ${machine} of ${puppet.pid} should be\n    ${text}, is\n    ${real()}`,
    )
  }

  #comparable(context: unknown, pidOf: (pid: number) => number | undefined): object {
    const given = context as Readonly<Record<string, unknown>>
    const entries = Object.entries(given).flatMap(([name, value]): [string, unknown][] => {
      if (NOT_COMPARED.has(name)) return []
      if (name.endsWith('Pid')) return [[name, typeof value === 'number' ? (pidOf(value) ?? null) : null]]
      if (name === 'retiring') return [[name, (value as number[]).map((pid) => pidOf(pid) ?? 0).sort()]]
      return [[name, value]]
    })
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  #pidsIn(bits: number): number[] {
    return this.#pids.flatMap((pid, slot) => ((bits & (1 << slot)) !== 0 && pid !== undefined ? [pid] : []))
  }

  #find(slot: number): Puppet | undefined {
    const pid = this.#pids[slot]
    return this.#stage.puppets.all.find((one) => one.pid === pid && !one.ended)
  }

  #of(whose: string): Puppet {
    const puppet = this.#stage.puppets.all.find(({ pid }) => pid === this.#pids[slotOf(whose)])
    if (puppet === undefined) throw new Error(`no process plays ${whose}`)
    return puppet
  }

  #supervisor(): Puppet {
    const { puppets, supervisorPid } = this.#stage
    const puppet = puppets.all.find(({ pid }) => pid === supervisorPid)
    if (puppet === undefined) throw new Error('no supervisor runs')
    return puppet
  }
}

interface Pids {
  readonly incumbentPid: number
  readonly successorPid: number | null
}

/** What differs between the model's processes and real ones: numbers that no decision hangs on. */
const NOT_COMPARED = new Set([
  'policy',
  'canResume',
  'journaled',
  'sealed',
  'report',
  'drainBudgetMs',
  'decisionBudgetMs',
])

const slotOf = (name: string): number => name.charCodeAt(0) - 65

const isSame = (states: readonly HandoffState[], slot: number, from: number, to: number): boolean => {
  const job = states[from]?.primitives[slot]?.job
  for (let at = from; at <= to; at++) if (states[at]?.primitives[slot]?.job !== job) return false
  return true
}

/** What a swap is reported to have come to; null when the supervisor did not live to tell. */
async function outcomeOf(answers: ReturnType<typeof ask>): Promise<string | null> {
  try {
    for await (const answer of answers) if (answer.event === 'outcome') return answer.outcome.result
  } catch {
    // It was stopped, or killed.
  }
  return null
}

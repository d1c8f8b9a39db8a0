/** The two machines of a daemon process, one after the other, on what they share: first the successor, if it is one, then the incumbent. */
import { type Actor, createActor } from 'xstate'
import type { incumbentMachine } from '../../machines/handoff/incumbent.machine.js'
import type { Policy } from '../../machines/handoff/policy.js'
import type { successorMachine } from '../../machines/handoff/successor.machine.js'
import { MessageChannel } from '../channel/message-channel.js'
import { pollClock } from '../channel/poll-clock.js'
import { stateText } from '../channel/state-text.js'
import { publish } from '../observe/diagnostics.js'
import { bindIncumbent, logSaid, toIncumbentEvent } from './bind-incumbent.js'
import { bindSuccessor, toSuccessorEvent } from './bind-successor.js'
import { DaemonCore, type Surroundings } from './core.js'
import type { ListenerSet } from './listener-set.js'
import type { DaemonOptions } from './options.js'
import { watchPath } from './watch-path.js'

export class DaemonRoles {
  readonly core: DaemonCore
  /** Made before the lock is free: parsing the machine again belongs in no gap. */
  readonly #incumbentMachine: typeof incumbentMachine
  #successor: Actor<typeof successorMachine> | null = null
  /** Made before it is started: see `takeOver`. */
  #incumbent: Actor<typeof incumbentMachine> | null = null
  #serves = false

  constructor(options: DaemonOptions, policy: Policy, listeners: ListenerSet, surroundings?: Surroundings) {
    const core = new DaemonCore(
      options,
      policy,
      listeners,
      {
        onAttended: () => {
          const incumbent = this.#serves ? this.#incumbent : null
          if (incumbent?.getSnapshot().can({ type: 'supervisor.attended' }) !== true) return false
          incumbent.send({ type: 'supervisor.attended' })
          return true
        },
        onMessage: (message) => {
          const event = toIncumbentEvent(message)
          const { handoffId } = core.control.session ?? {}
          this.#incumbent?.send(event ?? { type: 'supervisor.violatedProtocol' })
          // Told afterwards: between the last accept and the successor's first, a write to the log is time without service.
          if (event !== null) logSaid(core, event, handoffId)
        },
        onEnd: () => {
          core.control.closeSession()
          this.#incumbent?.send({ type: 'supervisor.disconnected' })
        },
        onViolation: () => this.#incumbent?.send({ type: 'supervisor.violatedProtocol' }),
      },
      surroundings,
    )
    this.core = core
    this.#incumbentMachine = bindIncumbent(core) as unknown as typeof incumbentMachine
  }

  /** Resolves when the successor has gone live. One that ends never does: exitProcess has been called. */
  takeOver(channelFd: number, deadlineKnown: boolean): Promise<void> {
    const { core } = this
    const channel: MessageChannel = new MessageChannel(channelFd, {
      onMessage: (message) => actor.send(toSuccessorEvent(message, channel) ?? { type: 'supervisor.violatedProtocol' }),
      onEnd: () => actor.send({ type: 'supervisor.disconnected' }),
      onViolation: () => actor.send({ type: 'supervisor.violatedProtocol' }),
    })
    const actor = createActor(
      bindSuccessor(core, channel, () => {
        this.#incumbent ??= this.#makeIncumbent('live')
      }),
      {
        input: { policy: core.policy, deadlineKnown },
        clock: pollClock as never,
        ...core.watched('successor'),
      },
    )
    const live = new Promise<void>((resolve) => {
      actor.subscribe({
        complete: () => {
          if (actor.getSnapshot().output?.live !== true) return
          resolve()
          // The incumbent machine starts first; nobody waits for the end of this channel.
          setImmediate(() => channel.close())
        },
      })
    })
    this.#successor = actor as unknown as Actor<typeof successorMachine>
    actor.start()
    return live
  }

  /** Resolves when clients are served. */
  async serve(start: 'cold' | 'live'): Promise<void> {
    const { core } = this
    if (start === 'live') core.cold = false
    const actor = this.#incumbent ?? this.#makeIncumbent(start)
    let served = false
    let unwatch = (): void => {}
    const live = new Promise<void>((resolve) => {
      actor.subscribe((snapshot) => {
        const serves = snapshot.hasTag('accepting')
        if (serves === served) return
        served = serves
        core.control.serve(serves)
        core.moves.serve(serves)
        unwatch()
        unwatch = serves
          ? watchPath(core.options.controlSocket, () => actor.send({ type: 'process.pathLost' }), core.log)
          : () => {}
        const state = stateText(snapshot.value)
        // Not now: this may be the middle of a cut.
        setImmediate(() => core.log.info({ state }, serves ? 'serving' : 'not serving'))
        publish('handoff:daemon', () => ({ pid: process.pid, serves, state }))
        if (serves) resolve()
      })
    })
    this.#incumbent = actor
    this.#serves = true
    actor.start()
    await live
  }

  #makeIncumbent(start: 'cold' | 'live'): Actor<typeof incumbentMachine> {
    const { core } = this
    return createActor(this.#incumbentMachine, {
      input: { policy: core.policy, start, canResume: core.state.canResume },
      clock: pollClock as never,
      ...core.watched('incumbent'),
    })
  }

  stop(): void {
    if (this.#serves) this.#incumbent?.send({ type: 'process.stopRequested' })
    else this.#successor?.send({ type: 'process.stopRequested' })
  }

  /** Ends both machines where they are, with no effect. */
  abandon(): void {
    this.#successor?.stop()
    this.#incumbent?.stop()
  }

  state(): string {
    const actor = this.#serves ? this.#incumbent : this.#successor
    return actor === null ? 'starting' : stateText(actor.getSnapshot().value)
  }
}

/** The daemon's control socket: published by rename, guarded by uid, one greeting machine a connection, one session. */
import { type ActorRefFrom, createActor } from 'xstate'
import { greetingMachine } from '../../machines/handoff/greeting.machine.js'
import type { Policy } from '../../machines/handoff/policy.js'
import { type Message, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from '../../machines/handoff/protocol.js'
import { ownHello } from '../channel/identity.js'
import { MessageChannel, type MessageHandlers } from '../channel/message-channel.js'
import { isPeerAllowed } from '../channel/peer-policy.js'
import { pollClock } from '../channel/poll-clock.js'
import { watchedBy } from '../observe/inspect-tap.js'
import type { Logger } from '../observe/log.js'
import { machineObserver } from '../observe/machine-observer.js'
import { type Acceptor, acceptOn } from '../os/acceptor.js'
import { closeFd } from '../os/fds.js'
import { type StagedUnixServer, stageUnixServer } from '../os/unix-socket.js'

export interface ControlServerOptions {
  readonly path: string
  readonly buildId: string
  readonly policy: Policy
  readonly allowedUids: readonly number[]
  readonly log: Logger
  readonly session: SessionHandlers
}

/** The one session that may conduct a swap. */
export interface SessionHandlers {
  /** False turns the supervisor away: another session is open, or this process does not serve. */
  onAttended(): boolean
  onMessage(message: Message): void
  onEnd(): void
  onViolation(error: Error): void
}

/** Connections kept while they greet. More than any honest set of supervisors and lookers. */
const MAX_GREETING = 64
/** Far above an honest supervisor: 50 heartbeats a second at most, and no more than some 300 of them fit into a socket. */
const FLOOD = { burst: 1_024, perSecond: 256 } as const

export class ControlServer {
  readonly #options: ControlServerOptions
  readonly #greeting = new Map<MessageChannel, ActorRefFrom<typeof greetingMachine>>()
  #staged: StagedUnixServer | null = null
  #acceptor: Acceptor | null = null
  #session: MessageChannel | null = null
  #serving = false

  constructor(options: ControlServerOptions) {
    this.#options = options
  }

  get session(): MessageChannel | null {
    return this.#session
  }

  /** Bound under a name of its own: all that can fail, before anybody is told (X3). */
  stage(): void {
    if (this.#staged?.leadsHere()) return
    const previous = this.#staged
    const staged = stageUnixServer(this.#options.path)
    this.#acceptor?.close()
    previous?.close()
    this.#staged = staged
    this.#acceptor = acceptOn(staged.fd, {
      onConnection: (fd) => this.#greet(fd),
      onTrouble: (error) => this.#options.log.warn({ err: error }, 'the control socket could not accept; trying again'),
    })
  }

  /** One rename(2) onto the control path (INV-09); nothing when the path leads here already. */
  publish(): void {
    this.stage()
    this.#staged?.publish()
  }

  /** Greets those who ask, or turns them away: a Hello is a proof of service. */
  serve(serving: boolean): void {
    this.#serving = serving
    if (serving) return
    for (const actor of [...this.#greeting.values()]) actor.send({ type: 'incumbent.stoppedServing' })
  }

  closeSession(): void {
    this.#session?.close()
    this.#session = null
  }

  /** Removes the path while it is still ours. */
  close(): void {
    this.closeSession()
    for (const [channel, actor] of this.#greeting) {
      actor.stop()
      channel.close()
    }
    this.#greeting.clear()
    this.#acceptor?.close()
    this.#staged?.close()
    this.#acceptor = null
    this.#staged = null
  }

  #greet(fd: number): void {
    const { allowedUids, log } = this.#options
    if (!isPeerAllowed(fd, allowedUids, log)) return
    // One poll phase first: a Hello that an unread word in the session contradicts would be a promise broken (INV-12).
    setImmediate(() => setImmediate(() => this.#greetNow(fd)))
  }

  #greetNow(fd: number): void {
    const { policy, log } = this.#options
    // Silence would be waited for; an end at once says "not now", and whoever asks looks again.
    if (!this.#serving || this.#acceptor === null) {
      closeFd(fd)
      return
    }
    let isSession = false
    const handlers: MessageHandlers = {
      onMessage: (message) => {
        if (isSession) this.#options.session.onMessage(message)
        else this.#onGreetingMessage(channel, actor, message)
      },
      onEnd: () => {
        if (!isSession) actor.send({ type: 'supervisor.disconnected' })
        else if (this.#session === channel) this.#options.session.onEnd()
      },
      onViolation: (error) => {
        log.warn({ err: error }, 'a control connection was refused')
        if (!isSession) actor.send({ type: 'supervisor.violatedProtocol' })
        else if (this.#session === channel) this.#options.session.onViolation(error)
      },
    }
    const channel: MessageChannel = new MessageChannel(fd, handlers, { flood: FLOOD })
    const machine = greetingMachine.provide({
      actions: {
        sendHello: () => void channel.send(ownHello('incumbent', this.#options.buildId)),
        sendHeartbeat: () => void channel.send({ type: 'Heartbeat', tsMs: BigInt(Date.now()) }),
      },
    })
    const actor = createActor(machine, {
      input: { policy },
      clock: pollClock as never,
      ...watchedBy(machineObserver('daemon')),
    })
    actor.subscribe({
      complete: () => {
        this.#greeting.delete(channel)
        isSession = actor.getSnapshot().output?.attended === true && this.#admit(channel)
        if (!isSession) channel.close()
      },
    })
    if (this.#greeting.size >= MAX_GREETING) this.#dropOldest()
    this.#greeting.set(channel, actor)
    actor.start()
  }

  #onGreetingMessage(channel: MessageChannel, actor: ActorRefFrom<typeof greetingMachine>, message: Message): void {
    if (message.type === 'Heartbeat') actor.send({ type: 'supervisor.beat' })
    else if (message.type === 'HelloAck') {
      channel.bindTo(message.handoffId)
      const version = message.protoVersionChosen
      const versionOk = version >= PROTOCOL_VERSION_MIN && version <= PROTOCOL_VERSION_MAX
      actor.send({ type: 'supervisor.acknowledged', versionOk })
    } else actor.send({ type: 'supervisor.violatedProtocol' })
  }

  #admit(channel: MessageChannel): boolean {
    if (this.#session !== null || !this.#options.session.onAttended()) {
      this.#options.log.warn('a second supervisor session was turned away')
      return false
    }
    this.#session = channel
    return true
  }

  #dropOldest(): void {
    const oldest = this.#greeting.keys().next().value
    if (oldest !== undefined) this.#greeting.get(oldest)?.send({ type: 'supervisor.disconnected' })
  }
}

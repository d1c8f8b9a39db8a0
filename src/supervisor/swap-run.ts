/** The effects of one swap: two channels, one child, the journal, and what is told about it afterwards. */
import { FAILURES, type FailureCode, meaningOfExit } from '../../machines/handoff/failures.js'
import type { IncumbentEvent, SuccessorEvent, ToIncumbent, ToSuccessor } from '../../machines/handoff/messages.js'
import type { Policy } from '../../machines/handoff/policy.js'
import {
  chooseVersion,
  type Hello,
  type JournalPhase,
  type Message,
  PROTOCOL_VERSION_MAX,
} from '../../machines/handoff/protocol.js'
import type { SwapEvents } from '../../machines/handoff/swap.machine.js'
import { askHello } from '../channel/ask-hello.js'
import { wireFingerprint } from '../channel/fingerprint.js'
import { buildIdText, CAP_MANY_SESSIONS } from '../channel/identity.js'
import { MessageChannel } from '../channel/message-channel.js'
import { channelError } from '../errors/channel.js'
import { LOG_EVENTS, type Logger } from '../observe/log.js'
import { closeFd, streamPair } from '../os/fds.js'
import { dialUnix, sweepStagedSockets } from '../os/unix-socket.js'
import { type ConnectionTally, tallyBehindSealComplete } from '../wire/connection-tally.js'
import { fingerprintBehindReady } from '../wire/ready.js'
import type { JournalFile } from './journal.js'
import type { Processes } from './processes.js'
import { rendezvousPath } from './take-listeners.js'
import type { ProcessFacts } from './types.js'

export interface SwapRunOptions {
  readonly handoffId: string
  readonly controlSocket: string
  readonly policy: Policy
  readonly incumbent: ProcessFacts
  readonly processes: Processes
  readonly journal: JournalFile
  readonly log: Logger
  /** Starts the successor with this end of the channel. */
  spawn(channelFd: number): Promise<{ pid: number }>
  /** Into the running swap machine. */
  send(event: SwapEvents): void
}

export class SwapRun {
  readonly handoffId: string
  readonly startedAt = performance.now()
  readonly options: SwapRunOptions
  readonly #startedAtUnixMs = BigInt(Date.now())
  #incumbent: MessageChannel | null = null
  #successor: MessageChannel | null = null
  #successorPid: number | null = null
  #watching: AbortController | null = null
  /** Of the successor, once it said Hello. */
  successorFacts: ProcessFacts | null = null
  /** What the incumbent held open when it had drained. */
  parked: number | undefined
  /** What the incumbent told about its live connections when it had sealed. */
  connections: ConnectionTally | null = null
  /** What a peer or a system call said about a failure; the machine keeps the code only. */
  readonly #details = new Map<FailureCode, string>()

  constructor(options: SwapRunOptions) {
    this.options = options
    this.handoffId = options.handoffId
  }

  get incumbent(): ProcessFacts {
    return this.options.incumbent
  }

  /** One sentence. */
  reasonOf(failure: FailureCode): string {
    const detail = this.#details.get(failure) ?? this.#exitDetail(failure)
    return detail === undefined ? FAILURES[failure] : `${FAILURES[failure]}: ${detail}`
  }

  /** The end of a process that this swap is about. */
  noteExit(pid: number): void {
    if (pid === this.options.incumbent.pid) this.options.send({ type: 'incumbent.exited' })
    else if (pid === this.#successorPid) {
      this.options.send({ type: 'successor.exited' })
      // INV-06: it binds its sockets early, under names that only a living process takes away.
      for (const path of [this.options.controlSocket, rendezvousPath(this.options.controlSocket)])
        sweepStagedSockets(path)
    }
  }

  record(phase: JournalPhase) {
    return {
      handoffId: this.handoffId,
      phase,
      // gap-16: the incumbent's own pid.
      incumbentPid: this.options.incumbent.pid,
      successorPid: this.#successorPid,
      startedAtUnixMs: this.#startedAtUnixMs,
    }
  }

  async spawn(): Promise<{ pid: number }> {
    const [ours, theirs] = streamPair()
    try {
      const { pid } = await this.options.spawn(theirs)
      this.#successorPid = pid
      this.#successor = new MessageChannel(ours, {
        onMessage: (message, decoded) => {
          const fingerprint = fingerprintBehindReady(decoded)
          const event = this.#toSuccessorEvent(message, fingerprint && wireFingerprint(fingerprint))
          this.options.send(event ?? this.#neverSaid('successor', message))
        },
        onEnd: () => this.options.send({ type: 'successor.disconnected' }),
        onViolation: (error) => {
          this.#details.set('ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL', error.message)
          this.options.send({ type: 'successor.violatedProtocol' })
        },
      })
      return { pid }
    } catch (error) {
      closeFd(ours)
      throw error
    } finally {
      // Its EOF must mean its death: no copy of its end stays here.
      closeFd(theirs)
    }
  }

  #neverSaid(role: 'incumbent' | 'successor', { type }: Message): SwapEvents {
    const code = role === 'incumbent' ? 'ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL' : 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL'
    this.#details.set(code, channelError('ERR_HANDOFF_PEER_UNEXPECTED', [type]).message)
    return { type: `${role}.violatedProtocol` }
  }

  async dial(): Promise<void> {
    const outcome = await dialUnix(this.options.controlSocket, { timeoutMs: this.options.policy.greetingMs })
    if (!outcome.ok) throw outcome.error
    this.#incumbent = new MessageChannel(outcome.fd, {
      onMessage: (message, decoded) => {
        this.connections ??= tallyBehindSealComplete(decoded)
        const event = this.#toIncumbentEvent(message)
        this.options.send(event ?? this.#neverSaid('incumbent', message))
      },
      onEnd: () => this.options.send({ type: 'incumbent.disconnected' }),
      onViolation: (error) => {
        this.#details.set('ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL', error.message)
        this.options.send({ type: 'incumbent.violatedProtocol' })
      },
    })
  }

  sendToIncumbent(said: ToIncumbent): void {
    const { handoffId } = this
    const { policy, log } = this.options
    const to = this.#incumbent
    switch (said.kind) {
      case 'HelloAck':
        to?.bindTo(handoffId)
        to?.send({ type: 'HelloAck', protoVersionChosen: PROTOCOL_VERSION_MAX, handoffId })
        return
      case 'PrepareHandoff':
        log.info({ event: LOG_EVENTS.prepare, handoffId, successorPid: said.successorPid }, 'drain')
        to?.send({
          type: 'PrepareHandoff',
          handoffId,
          successorPid: said.successorPid,
          // The verdict comes after verification and probation: until then the incumbent stays warm, and does not act alone.
          deadlineMs: BigInt(this.#remainingMs() + policy.confirmMs + policy.probationMs),
          drainGraceMs: BigInt(Math.min(policy.drainGraceMs, this.#remainingMs())),
        })
        return
      case 'SealRequest':
        to?.send({ type: 'SealRequest', handoffId })
        this.#tell({ event: LOG_EVENTS.seal, handoffId }, 'seal')
        return
      case 'Commit':
        to?.send({ type: 'Commit', handoffId })
        log.info({ event: LOG_EVENTS.commit, handoffId }, 'the successor serves')
        return
      case 'Abort':
        to?.send({ type: 'Abort', handoffId, reason: this.reasonOf(said.failure) })
        return
      case 'ResumeAfterAbort':
        log.info({ event: LOG_EVENTS.resume, handoffId }, 'the incumbent is to serve again')
        to?.send({ type: 'ResumeAfterAbort', handoffId })
    }
  }

  sendToSuccessor(said: ToSuccessor): void {
    const { handoffId } = this
    const to = this.#successor
    switch (said.kind) {
      case 'HelloAck':
        to?.bindTo(handoffId)
        to?.send({ type: 'HelloAck', protoVersionChosen: PROTOCOL_VERSION_MAX, handoffId })
        return
      case 'Abort': {
        const reason = this.reasonOf(said.failure)
        this.options.log.warn({ event: LOG_EVENTS.abort, handoffId, reason }, 'the swap is undone')
        to?.send({ type: 'Abort', handoffId, reason: reason.slice(0, 4096) })
        return
      }
      default:
        // A reference successor has closed its end by now: that is no error.
        to?.send({ type: said.kind, handoffId })
    }
  }

  #toIncumbentEvent(message: Message): IncumbentEvent | null {
    const { handoffId } = this
    switch (message.type) {
      case 'Hello':
        return {
          type: 'incumbent.greeted',
          pid: message.pid,
          versionOk: message.role === 'incumbent' && chooseVersion(message.protoMin, message.protoMax) !== null,
          session: (message.capabilities & CAP_MANY_SESSIONS) === 0n ? 'one' : 'many',
        }
      case 'Drained':
        this.parked = message.openConnsRemaining
        this.#tell({ event: LOG_EVENTS.drained, handoffId, openConnections: message.openConnsRemaining }, 'drained')
        return { type: 'incumbent.drained', acceptClosed: message.acceptClosed }
      case 'SealComplete':
        this.#tell({ event: LOG_EVENTS.sealComplete, handoffId }, 'sealed')
        return {
          type: 'incumbent.sealed',
          revisions: message.lastRevisionPerShard.map(String),
          fingerprint: wireFingerprint(message.dataDirFingerprint),
        }
      case 'SealFailed':
        this.#details.set('ERR_HANDOFF_SEAL_FAILED', message.error)
        this.#details.set('ERR_HANDOFF_DRAIN_FAILED', message.error)
        return { type: 'incumbent.sealFailed' }
      case 'SealProgress':
      case 'Heartbeat':
        return { type: 'incumbent.progressed' }
      default:
        return null
    }
  }

  #toSuccessorEvent(message: Message, fingerprint: string | null): SuccessorEvent | null {
    switch (message.type) {
      case 'Hello':
        this.successorFacts = factsOf(message)
        return {
          type: 'successor.greeted',
          pid: message.pid,
          versionOk: message.role === 'successor' && chooseVersion(message.protoMin, message.protoMax) !== null,
        }
      case 'Ready':
        this.#tell({ event: LOG_EVENTS.ready, handoffId: this.handoffId }, 'the successor is ready')
        return {
          type: 'successor.becameReady',
          healthy: message.healthzOk,
          revisions: message.advertisedRevisionPerShard.map(String),
          fingerprint,
        }
      case 'Heartbeat':
        return { type: 'successor.progressed' }
      default:
        return null
    }
  }

  /** In probation: the successor must go on answering. Three misses in a row count, one may be a busy moment. */
  async watchSuccessor(): Promise<void> {
    const { controlSocket, policy, send } = this.options
    const watching = new AbortController()
    this.#watching = watching
    for (let misses = 0; misses < 3; ) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(50, policy.confirmPollMs * 10)))
      if (watching.signal.aborted) return
      const hello = await askHello(controlSocket, { timeoutMs: policy.greetingMs, signal: watching.signal })
      misses = hello?.pid === this.#successorPid ? 0 : misses + 1
    }
    if (!watching.signal.aborted) send({ type: 'successor.becameUnhealthy' })
  }

  closeSuccessor(): void {
    this.#watching?.abort()
    this.#successor?.close()
    this.#successor = null
  }

  signal(role: 'incumbent' | 'successor', signal: NodeJS.Signals): void {
    const pid = role === 'incumbent' ? this.options.incumbent.pid : this.#successorPid
    if (pid !== null) this.options.processes.signal(pid, signal)
  }

  closeIncumbent(): void {
    const channel = this.#incumbent
    this.#incumbent = null
    // Commit may be the last word and must arrive before the end of the stream; write(2) has taken it by now or never will.
    channel?.close()
  }

  /** After the turn that it is about: what waits for a log line in the gap waits without service. */
  #tell(what: object, text: string): void {
    setImmediate(() => this.options.log.info(what, text))
  }

  #remainingMs(): number {
    const { policy } = this.options
    return Math.max(100, Math.round(policy.deadlineMs - (performance.now() - this.startedAt)))
  }

  whoIs(hello: Hello | null): 'nobody' | 'incumbent' | 'successor' | 'other' {
    if (hello === null) return 'nobody'
    if (hello.pid === this.options.incumbent.pid) return 'incumbent'
    return hello.pid === this.#successorPid ? 'successor' : 'other'
  }

  #exitDetail(failure: FailureCode): string | undefined {
    const pid = failure === 'ERR_HANDOFF_SUCCESSOR_EXITED' ? this.#successorPid : this.options.incumbent.pid
    if (failure !== 'ERR_HANDOFF_SUCCESSOR_EXITED' && failure !== 'ERR_HANDOFF_INCUMBENT_EXITED') return undefined
    const end = pid === null ? undefined : this.options.processes.endOf(pid)
    if (end === undefined) return undefined
    return end.signal === null ? (meaningOfExit(end.code) ?? `exit status ${end.code}`) : `killed by ${end.signal}`
  }

  async noting<T>(failure: FailureCode, doing: Promise<T>): Promise<T> {
    try {
      return await doing
    } catch (error) {
      this.#details.set(failure, error instanceof Error ? error.message : String(error))
      throw error
    }
  }
}

export const factsOf = (hello: Hello): ProcessFacts => ({ pid: hello.pid, buildId: buildIdText(hello.buildId) })

/** The effects of one rehearsal: a child with a channel on which it is never acknowledged, and what is told about it. */
import { FAILURES, type FailureCode, meaningOfExit } from '../../machines/handoff/failures.js'
import type { RehearsedEvent } from '../../machines/handoff/messages.js'
import { chooseVersion, type Message } from '../../machines/handoff/protocol.js'
import { MessageChannel } from '../channel/message-channel.js'
import { channelError } from '../errors/channel.js'
import type { Logger } from '../observe/log.js'
import { closeFd, streamPair } from '../os/fds.js'
import { type MemoryUse, memoryOf } from '../os/memory.js'
import { sweepStagedSockets } from '../os/unix-socket.js'
import { round } from './outcome.js'
import type { Processes } from './processes.js'
import { factsOf } from './swap-run.js'
import { rendezvousPath } from './take-listeners.js'
import type { ProcessFacts, RehearsalReport } from './types.js'

export interface RehearsalRunOptions {
  readonly handoffId: string
  readonly binary: string
  readonly controlSocket: string
  readonly listeners: readonly { readonly name: string; readonly address: string }[]
  readonly processes: Processes
  readonly log: Logger
  /** Starts the program with this end of the channel. */
  spawn(channelFd: number): Promise<{ pid: number }>
  /** Into the supervisor machine. */
  send(event: RehearsedEvent): void
}

export class RehearsalRun {
  readonly #options: RehearsalRunOptions
  readonly #began = performance.now()
  #channel: MessageChannel | null = null
  #pid: number | null = null
  #hello: ProcessFacts | null = null
  #helloMs: number | null = null
  #memory: MemoryUse | null = null
  #endedBy: RehearsalReport['endedBy'] = null
  #detail: string | undefined
  /** Something more important came: a process that is born after this is ended at once. */
  #isOver = false

  constructor(options: RehearsalRunOptions) {
    this.#options = options
  }

  async spawn(): Promise<{ pid: number }> {
    const [ours, theirs] = streamPair()
    try {
      const { pid } = await this.#options.spawn(theirs)
      this.#pid = pid
      this.#channel = new MessageChannel(ours, {
        onMessage: (message) => this.#hear(message),
        onEnd: () => this.#options.send({ type: 'rehearsed.disconnected' }),
        onViolation: (error) => this.#violated(error.message),
      })
      if (this.#isOver) this.end()
      return { pid }
    } catch (error) {
      closeFd(ours)
      this.#detail = (error as Error).message
      throw error
    } finally {
      closeFd(theirs)
    }
  }

  #hear(message: Message): void {
    if (message.type === 'Heartbeat') return
    if (message.type !== 'Hello') {
      this.#violated(channelError('ERR_HANDOFF_PEER_UNEXPECTED', [message.type]).message)
      return
    }
    this.#hello = factsOf(message)
    this.#helloMs = round(performance.now() - this.#began)
    this.#memory = memoryOf(message.pid)
    const versionOk = message.role === 'successor' && chooseVersion(message.protoMin, message.protoMax) !== null
    this.#options.send({ type: 'rehearsed.greeted', pid: message.pid, versionOk })
  }

  #violated(why: string): void {
    this.#detail = why
    this.#options.send({ type: 'rehearsed.violatedProtocol' })
  }

  abort(): void {
    this.#endedBy = 'Abort'
    const reason = 'this was a rehearsal, and it is over'
    this.#channel?.send({ type: 'Abort', handoffId: this.#options.handoffId, reason })
  }

  terminate(): void {
    this.#endedBy = 'SIGTERM'
    if (this.#pid !== null) this.#options.processes.signal(this.#pid, 'SIGTERM')
  }

  end(): void {
    this.#isOver = true
    if (this.#pid === null) return
    if (this.#options.processes.signal(this.#pid, 'SIGKILL')) this.#endedBy = 'SIGKILL'
    this.#channel?.close()
    this.#channel = null
  }

  /** Once its process is gone, and with it what it bound under names of its own. */
  async report(failure: FailureCode | null): Promise<RehearsalReport> {
    const { processes, controlSocket, listeners, binary } = this.#options
    const pid = this.#pid
    if (pid !== null) await processes.gone(pid)
    for (const path of [controlSocket, rendezvousPath(controlSocket)]) sweepStagedSockets(path)
    return {
      passed: failure === null,
      code: failure,
      reason: failure === null ? null : this.#reasonOf(failure),
      binary,
      process: this.#hello ?? (pid === null ? null : { pid, buildId: '' }),
      helloMs: this.#helloMs,
      totalMs: round(performance.now() - this.#began),
      memory: this.#memory,
      endedBy: this.#endedBy,
      exit: pid === null ? null : (processes.endOf(pid) ?? null),
      inherits: listeners,
    }
  }

  #reasonOf(failure: FailureCode): string {
    if (failure === 'ERR_HANDOFF_CANCELLED')
      return 'it was ended for something more important: a swap, a stop, a restart'
    const detail = failure === 'ERR_HANDOFF_SUCCESSOR_EXITED' ? this.#exitDetail() : this.#detail
    return detail === undefined ? FAILURES[failure] : `${FAILURES[failure]}: ${detail}`
  }

  #exitDetail(): string | undefined {
    const end = this.#pid === null ? undefined : this.#options.processes.endOf(this.#pid)
    if (end === undefined) return undefined
    return end.signal === null ? (meaningOfExit(end.code) ?? `exit status ${end.code}`) : `killed by ${end.signal}`
  }
}

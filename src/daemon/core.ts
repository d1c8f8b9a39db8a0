/** What the two machines of a daemon process share: its state, listeners, control socket, log, and its way out. */
import { type ExitStatus, meaningOfExit } from '../../machines/handoff/failures.js'
import type { Policy } from '../../machines/handoff/policy.js'
import { type InspectTap, inspectTap, watchedBy } from '../observe/inspect-tap.js'
import { createLog, type Logger } from '../observe/log.js'
import { machineObserver } from '../observe/machine-observer.js'
import type { GarbageKind } from '../os/garbage.js'
import { ControlServer, type SessionHandlers } from './control-server.js'
import { dialAdopter, dialForward } from './forward-dial.js'
import { IncomingMove } from './incoming-move.js'
import type { ListenerSet } from './listener-set.js'
import type { DaemonOptions } from './options.js'
import { OutgoingMoves } from './outgoing-moves.js'
import { Rendezvous } from './rendezvous.js'
import { DaemonState } from './state.js'

/** How long leaving clients may take to be told, ms, before the process is gone all the same. */
const RELEASE_MS = 1_000

/** What differs between a real swap and a rehearsal: there nobody leaves, nobody watches, and nothing is rehearsed. */
export interface Surroundings {
  /** The supervisor rehearses this build: it ends after Hello, and takes nothing from the incumbent. */
  readonly isTrial?: boolean
  leave(status: ExitStatus): void
  readonly watched: boolean
  /** Before a cut, while somebody serves. Never rejects. */
  rehearse(log: Logger): Promise<void>
  /** What was made meanwhile is garbage now; left there, V8 collects it in the middle of the cut. */
  collect(kind: GarbageKind): void
}

const PLAIN: Surroundings = {
  leave: (status) => process.exit(status),
  watched: true,
  rehearse: async () => {},
  collect: () => {},
}

export class DaemonCore {
  readonly options: DaemonOptions
  readonly policy: Policy
  readonly listeners: ListenerSet
  readonly state: DaemonState
  readonly control: ControlServer
  readonly rendezvous: Rendezvous
  /** Live connections to a successor, while this process is the incumbent. */
  readonly moves: OutgoingMoves
  /** Those of the incumbent, while this process is the successor. */
  readonly incoming: IncomingMove
  readonly log: Logger
  /** Null unless somebody asked to look. */
  readonly tap: InspectTap | null
  /** The last hook error, for the sentence that goes to the supervisor. */
  lastError: Error | null = null
  /** No control socket was published yet: the path may belong to somebody else. */
  cold = true
  readonly surroundings: Surroundings
  #exiting = false

  constructor(
    options: DaemonOptions,
    policy: Policy,
    listeners: ListenerSet,
    session: SessionHandlers,
    surroundings: Surroundings = PLAIN,
  ) {
    this.surroundings = surroundings
    this.options = options
    this.policy = policy
    this.listeners = listeners
    this.log = (options.log ?? createLog()).child({ controlSocket: options.controlSocket })
    const tap = { ...options, buildId: options.buildId ?? '', inspect: options.inspect, log: this.log }
    this.tap = surroundings.watched ? inspectTap(tap) : null
    this.moves = new OutgoingMoves(
      listeners,
      policy,
      this.log,
      (key) => dialForward(options.controlSocket, key),
      () => dialAdopter(options.controlSocket),
    )
    this.incoming = new IncomingMove(options.controlSocket, listeners, this.log)
    this.state = new DaemonState(options, listeners, this.log)
    const gifts = {
      listeners: () => listeners.all(),
      connections: this.moves.accept.bind(this.moves),
      adopter: () => (this.moves.serving ? this.incoming : null),
      canForward: (key: string) => listeners.keyed(key)?.answersHttp === true,
      forwarded: (fd: number, key: string) => listeners.keyed(key)?.serveForwarded(fd),
    }
    this.rendezvous = new Rendezvous(options.controlSocket, gifts, this.log)
    this.control = new ControlServer({
      path: options.controlSocket,
      buildId: options.buildId ?? '',
      policy,
      allowedUids: options.allowedUids ?? [],
      log: this.log,
      session,
    })
  }

  /** For createActor: those who want to see this role's machine. */
  watched(role: 'incumbent' | 'successor'): ReturnType<typeof watchedBy> {
    return this.surroundings.watched ? watchedBy(this.tap?.as(role), machineObserver('daemon')) : {}
  }

  /** Bound under names of their own, both: everything about them that can fail. */
  stage(): void {
    this.rendezvous.stage()
    this.control.stage()
  }

  /** The rendezvous first: whoever gets an answer on the control path may ask for listeners next. */
  publish(): void {
    this.rendezvous.publish()
    this.control.publish()
  }

  /** After somebody removed the path: the service goes on either way. */
  republish(): void {
    try {
      this.publish()
      this.log.warn('the control path had vanished; it was published again')
    } catch (error) {
      this.log.error(
        { err: error },
        'the control path has vanished and cannot be published; no supervisor reaches this process',
      )
    }
  }

  /** Passes a hook's result on; a failure is kept for the supervisor and told to the log. */
  async noting<T>(hook: string, running: Promise<T>): Promise<T> {
    try {
      return await running
    } catch (error) {
      this.lastError = error instanceof Error ? error : new Error(String(error))
      this.log.error({ err: this.lastError, hook }, `the ${hook} hook failed`)
      throw error
    }
  }

  /** Passes a result on; a failure is kept for the last words of this process. */
  async keeping(doing: () => void | Promise<void>): Promise<void> {
    try {
      await doing()
    } catch (error) {
      this.lastError = error instanceof Error ? error : new Error(String(error))
      throw error
    }
  }

  /** For what the design takes for granted: if it fails, this process must not pretend to serve. */
  mustSucceed(what: string, doing: Promise<unknown>): void {
    doing.catch((error: unknown) => {
      this.log.fatal({ err: error }, `could not ${what}`)
      this.exit(1)
    })
  }

  /** Idle clients are closed, words on their way are flushed, then the process ends; the kernel frees the lock. */
  exit(status: ExitStatus): void {
    if (this.#exiting) return
    this.#exiting = true
    const why = meaningOfExit(status)
    // An exit status alone tells a person nothing.
    if (why !== null)
      this.log.fatal({ status, ...(this.lastError && { err: this.lastError }) }, `${why}; this process ends`)
    const session = this.control.session
    const timer = setTimeout(() => leave(), RELEASE_MS)
    const leave = (): void => {
      clearTimeout(timer)
      this.surroundings.leave(status)
    }
    this.moves.leave()
    // What a successor reads now, and what this process never read, ends here without a word to the clients.
    const released = this.moves.finished || !this.moves.served ? undefined : this.listeners.release()
    void Promise.allSettled([session?.flushed(), released]).then(() => {
      // Only what is still ours is removed: a successor has renamed its own socket over the path.
      this.control.close()
      this.rendezvous.close()
      leave()
    })
  }
}

/** What bounds a world, and which of its rules can be changed. Every number here is printed with a result. */
import type { AnyStateMachine } from 'xstate'

/** What may break. Each occurrence costs one of `faults`. */
export type FaultKind =
  /** SIGKILL of any process, between any two of its effects. */
  | 'kill'
  /** A hook of the daemon rejects: prepare, open, drain, seal, resume, close. */
  | 'hookError'
  /** A hook never settles, and ignores its AbortSignal. */
  | 'hookHang'
  /** A hook blocks its whole process: no message, no timer, no SIGTERM gets through; only the native heartbeat goes on. */
  | 'hookBlock'
  /** A system call fails: lock file, spawn, bind, staging, publishing, a journal that cannot be read or written. */
  | 'io'
  /** The successor's Ready says unhealthy, or names revisions behind the sealed ones. */
  | 'badReady'
  /** SIGSTOP of the supervisor; it may go on at any later moment, or never. */
  | 'stall'
  /** Something took longer than a limit: a timer fires although somebody still had something to do. */
  | 'early'
  /**
   * A peer breaks the protocol, once: it says something that it may not say now, sends what is no message, or its
   * connection ends although both live.
   */
  | 'strange'
  /** Somebody else's hand: SIGTERM to a primitive that its supervisor did not send, the control path removed. */
  | 'meddling'

/** What breaks by itself: the default. The two kinds that come from others multiply the world, and are asked for by name. */
export const FAULT_KINDS: readonly FaultKind[] = [
  'kill',
  'hookError',
  'hookHang',
  'hookBlock',
  'io',
  'badReady',
  'stall',
  'early',
]

/** What comes from others. */
export const OUTSIDE_FAULT_KINDS: readonly FaultKind[] = ['strange', 'meddling']

export type TimerRule = 'patient' | 'free' | 'reckless'

export interface Bounds {
  /** Swaps that an operator may ask for. */
  readonly swaps: number
  readonly faults: number
  /** How often a dead supervisor is started again. */
  readonly restarts: number
  /** Orderly stops or leavings of the supervisor, and cancellations of a swap, that an operator may ask for. */
  readonly orders: number
  /** Rehearsals that an operator may ask for. */
  readonly rehearsals: number
  /** Clients that connect, ask once, and may hang up at any moment. */
  readonly connections: number
}

export interface WorldOptions extends Partial<Bounds> {
  /** Hold Commit back while the successor already serves. Default: false. */
  readonly probation?: boolean
  /** The daemon has a resume hook. Default: true. */
  readonly canResume?: boolean
  /** Default: {@link FAULT_KINDS}. */
  readonly faultKinds?: readonly FaultKind[]
  /**
   * `patient`: time passes when nobody has anything left to do; a limit that passes sooner is a fault (`early`). Polls
   * are free. `free`: any armed timer fires whenever its own process has nothing to take (the driver's rule: one poll
   * phase passes first). `reckless`: also then. Default: `patient`.
   */
  readonly timers?: TimerRule
  /**
   * Assumption T1: a running supervisor decides before its primitives act by their own deadlines, which are its numbers
   * plus slack. Default: true.
   */
  readonly t1?: boolean
  /** Failed starts in a row that make a crash loop. Default: 1; what matters is that pausing has two speeds. */
  readonly crashLoopLimit?: number
  /** Who plays what; a role left out is played by our own machine. */
  readonly cast?: Partial<Cast>
  /** Another build of the primitive: every swap starts the one that the incumbent is not. Cold starts are of `cast`. */
  readonly otherBuild?: Pick<Cast, 'incumbent' | 'successor'>
  /** Places for processes: one more than ever live, or are referred to, at the same time. Default: 5. */
  readonly slots?: number
}

export interface Cast {
  readonly supervisor: AnyStateMachine
  readonly swap: AnyStateMachine
  readonly incumbent: AnyStateMachine
  readonly successor: AnyStateMachine
}

export interface Settings extends Bounds {
  readonly probation: boolean
  readonly canResume: boolean
  readonly faultKinds: ReadonlySet<FaultKind>
  readonly timers: TimerRule
  readonly t1: boolean
  readonly crashLoopLimit: number
  readonly slots: number
  /** Swaps go from one build to the other and back. */
  readonly alternates: boolean
}

export const settingsOf = (options: WorldOptions): Settings => ({
  swaps: options.swaps ?? 1,
  faults: options.faults ?? 0,
  restarts: options.restarts ?? 0,
  orders: options.orders ?? 0,
  rehearsals: options.rehearsals ?? 0,
  connections: options.connections ?? 0,
  probation: options.probation ?? false,
  canResume: options.canResume ?? true,
  faultKinds: new Set(options.faultKinds ?? FAULT_KINDS),
  timers: options.timers ?? 'patient',
  t1: options.t1 ?? true,
  crashLoopLimit: options.crashLoopLimit ?? 1,
  slots: options.slots ?? 5,
  alternates: options.otherBuild !== undefined,
})

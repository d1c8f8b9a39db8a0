/** What the supervisor's door takes and tells. Shared by the supervisor, its trigger socket, its config and the CLI. */
import type { Logger } from 'pino'
import type { Policy } from '../../machines/handoff/policy.js'
import type { InspectOption } from '../observe/inspect-target.js'
import type { SpansOption } from '../observe/spans.js'
import type { MemoryUse } from '../os/memory.js'
import type { ProcessEnd } from '../os/processes.js'
import type { ConnectionTally } from '../wire/connection-tally.js'

/** One listener that S binds, holds and passes on. */
export interface ListenerSpec {
  /** Unique, without ':' (names travel in `LISTEN_FDNAMES`, joined by colons). */
  readonly name: string
  /** `host:port`, `[v6]:port`, or `unix:/absolute/path`. Port 0 lets the kernel choose once, at the first bind. */
  readonly addr: string
  /** Accept queue, connections. Default 4096: what arrives during a swap waits here. Capped by `net.core.somaxconn`. */
  readonly backlog?: number
}

export interface SupervisorOptions {
  /** Where the incumbent answers. Absolute path. */
  readonly controlSocket: string
  /** An executable, a script with a shebang, or a name on PATH (no '/'). Looked up anew at each start. */
  readonly binary: string
  readonly args: readonly string[]
  /** Added to the supervisor's own environment, in order; a later pair wins. */
  readonly env: readonly (readonly [name: string, value: string])[]
  readonly listeners: readonly ListenerSpec[]
  /** Journal file. Without it a restarted supervisor knows only what the kernel can tell. */
  readonly journal?: string
  /** Log of swaps, lines of JSON, bounded. Default: the journal's path with `.history` appended; none without a journal. */
  readonly history?: string
  /** Limits; what is absent keeps its default. */
  readonly policy: Partial<Policy>
  /** Uids besides our own and root that may talk to our sockets. */
  readonly allowedUids: readonly number[]
  /** Binaries besides `binary` that a trigger may name. */
  readonly allowedBinaries: readonly string[]
  /** Already bound and listening, from socket activation: used for the listeners of these names, wherever they listen. */
  readonly inherited?: readonly { readonly name: string; readonly fd: number }[]
  /** Working directory of the primitives. Default: the supervisor's own. */
  readonly cwd?: string
  readonly log: Logger
  /**
   * Shows the machines to an inspector: `true` on the socket beside the control socket, where `handoff inspect` listens,
   * or an address. Primitives are told by HANDOFF_INSPECT. Default: that variable; else off.
   */
  readonly inspect?: InspectOption
  /**
   * Writes each swap as OpenTelemetry spans when it has ended: `true` loads `@opentelemetry/api` (an optional peer
   * dependency), or the namespace of that package. Default: whether HANDOFF_SPANS is 1.
   */
  readonly spans?: SpansOption
}

/** A living primitive. */
export interface ProcessFacts {
  readonly pid: number
  readonly buildId: string
}

export interface IncumbentFacts extends ProcessFacts {
  /** 1 for the first primitive this supervisor knew, one more with each that came to serve. */
  readonly generation: number
  /** ISO 8601, when it began to serve as far as this supervisor knows. */
  readonly since: string
}

/** Committed: the successor serves. Rolled back: the incumbent serves. Otherwise nobody does (INV-12). */
export type SwapResult = 'committed' | 'rolledBack' | 'nobodyServes'

export interface SwapOutcome {
  readonly handoffId: string
  readonly result: SwapResult
  /** `ERR_HANDOFF_…`, null when committed. */
  readonly code: string | null
  /** One sentence, null when committed. */
  readonly reason: string | null
  readonly phases: readonly { readonly name: string; readonly ms: number }[]
  readonly totalMs: number
  /** Who serves now. */
  readonly incumbent: ProcessFacts | null
  /** Who served before. */
  readonly previous: ProcessFacts | null
  /**
   * Live connections of the old program at the cut of a committed swap: how many moved to the new one, and how many stayed,
   * by reason. Absent where there were none, or the old program did not tell.
   */
  readonly connections?: ConnectionTally
}

/** A swap under way. */
export interface SwapProgress {
  readonly handoffId: string
  readonly phase: string
  /** Since the swap began, ms. */
  readonly elapsedMs: number
  /** The whole swap's deadline, ms. */
  readonly budgetMs: number
  /** Connections that the incumbent held open when it had drained: they wait for the verdict. Absent before. */
  readonly parked?: number
}

export interface ListenerStatus {
  readonly name: string
  readonly address: string
  /** Connections waiting in the accept queue; null where the kernel does not tell. */
  readonly queued: number | null
  readonly backlog: number
}

export interface SupervisorStatus {
  readonly state: string
  readonly pid: number
  /** ISO 8601, when this supervisor started. */
  readonly since: string
  readonly incumbent: IncumbentFacts | null
  readonly swap: SwapProgress | null
  readonly lastSwap: SwapOutcome | null
  readonly listeners: readonly ListenerStatus[]
  /** How often a primitive was started again after it died outside a swap. */
  readonly restarts: number
  /** Primitives this supervisor has started outside swaps; 0 when it found one alive. */
  readonly started?: number
  /** Where `handoff history` reads. */
  readonly history?: string
}

export interface SwapSpec {
  readonly binary?: string
  readonly args?: readonly string[]
  readonly env?: readonly (readonly [name: string, value: string])[]
  /** A canonical UUID; a fresh one without. */
  readonly handoffId?: string
}

/** How a build did that was started as a successor up to its Hello, and ended again. */
export interface RehearsalReport {
  readonly passed: boolean
  /** `ERR_HANDOFF_…`, null when it passed. */
  readonly code: string | null
  /** One sentence, null when it passed. */
  readonly reason: string | null
  readonly binary: string
  /** Null when it could not be started. Its build id is known from its Hello on. */
  readonly process: ProcessFacts | null
  /** From the start of the process to its Hello, its `prepare` included, ms; null when none came. */
  readonly helloMs: number | null
  /** Until the process was gone again, ms. */
  readonly totalMs: number
  /** When its Hello came, bytes; null where the kernel does not tell. */
  readonly memory: MemoryUse | null
  /** What it took to end it; null when it ended by itself. Anything but Abort makes a rollback slower. */
  readonly endedBy: 'Abort' | 'SIGTERM' | 'SIGKILL' | null
  readonly exit: ProcessEnd | null
  /** The listeners that it was given. */
  readonly inherits: readonly { readonly name: string; readonly address: string }[]
}

export interface Supervisor {
  /** Adopts a living primitive or starts one. Resolves once somebody serves. */
  start(): Promise<void>
  /**
   * Replaces the primitive. Resolves with the truth about how it ended, also when it was rolled back.
   * @throws HandoffError when it could not begin, e.g. because another swap is under way.
   */
  swap(spec?: SwapSpec): Promise<SwapOutcome>
  /**
   * Starts a build as a successor up to its Hello, its `prepare` included, and ends it. Whoever serves is not told: nothing
   * is drained, and the rehearsed process gets no lock, no control path, no client, no connection. A swap, a stop, or the
   * death of the primitive ends it early. Resolves when its process is gone, also when it did not pass.
   * @throws HandoffError ERR_HANDOFF_STATE_REHEARSAL_REFUSED while a swap or another rehearsal runs, or nobody serves
   */
  rehearse(spec?: Omit<SwapSpec, 'handoffId'>): Promise<RehearsalReport>
  status(): SupervisorStatus
  /** Orderly stop: SIGTERM to the primitive, grace, SIGKILL; then everything is closed. A second call ends the grace. */
  stop(): Promise<void>
  /** Ends this supervisor and lets the primitive serve on; the next one adopts it, listeners included (INV-07). */
  leave(): Promise<void>
  /**
   * Takes over what can change while it runs: limits from the next wait on, `binary`, `args`, `env` and `cwd` from the
   * next start on. The rest stays as it is.
   * @returns names of options that differ and need a new supervisor (`leave`, then start it again)
   * @throws HandoffError for limits that cannot work; nothing is changed then
   */
  reconfigure(options: SupervisorOptions): readonly string[]
  /** Called on every change of the status. @returns the way out. */
  subscribe(listener: (status: SupervisorStatus) => void): () => void
}

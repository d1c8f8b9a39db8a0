/** What a daemon gives to `serveDaemon`, and what it gets. */
import type { Server } from 'node:net'
import type { Logger } from 'pino'
import type { OpenReason } from '../../machines/handoff/incumbent.machine.js'
import type { Policy } from '../../machines/handoff/policy.js'
import type { InspectOption } from '../observe/inspect-target.js'
import type { AttachedServer } from './attach/attach-server.js'
import type { MovableProtocol } from './attach/movable-protocol.js'

/** Where to listen when nothing was inherited. A `path` makes it a Unix socket. */
export type ListenOptions =
  | { readonly port?: number | undefined; readonly host?: string | undefined; readonly backlog?: number | undefined }
  | { readonly path: string; readonly backlog?: number | undefined }

export interface DaemonListener {
  readonly name: string
  /** Bound and listening; held for the life of the process. Never close it. */
  readonly fd: number
  readonly backlog: number
  /** `127.0.0.1:8080` or `unix:/path`. */
  readonly address: string
  /**
   * Stands a net, http or https server on this listener. Accepting starts when the process goes live, stops when it
   * drains, and starts again after a rollback; see {@link AttachedServer}. Established HTTP/1.1 connections move with a swap;
   * a `protocol` makes others move, too: raw TCP, or WebSockets by `webSockets()`.
   */
  attach(server: Server, protocol?: MovableProtocol): AttachedServer
}

/** A revision: u64. Numbers must be whole and safe. */
export type Revision = bigint | number

export interface SealResult {
  /** Last durable revision per shard; the successor's must not be behind (INV-13). Default: `revisions()` before the seal. */
  readonly revisions?: readonly Revision[]
  /** 32 bytes, or their 64 hex digits, that name the sealed data. The successor's must be equal where it gives one. */
  readonly fingerprint?: Uint8Array | string
}

export interface HookLimits {
  /** When the hook should be done, on the clock of `performance.now()`, ms. */
  readonly deadline: number
  /** Aborted when the swap is undone meanwhile, or the hook is overdue: then settle soon, either way. */
  readonly signal: AbortSignal
}

export interface SealContext extends HookLimits {
  /** A sign of life for long seals, shown to operators. Heartbeats are sent in any case. */
  progress(shardsSealed: number, shardsTotal: number, lastRevision?: Revision): void
}

/** What `open` returns: the running daemon. */
export interface OpenDaemon {
  /** Revision per shard right now. Default none. */
  revisions?(): readonly Revision[]
  /** False makes the swap to this process roll back. Default true. */
  healthy?(): boolean | Promise<boolean>
  /** Names the data as opened, before any write. Compared with what the incumbent sealed. */
  fingerprint?(): Uint8Array | string | Promise<Uint8Array | string>
  /** Finish what is in flight and make it durable. Default: drain every attached server. */
  drain?(limits: HookLimits): unknown
  /** Make everything durable and close it: after this the successor opens the data. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a seal that has nothing to say returns nothing
  seal(context: SealContext): Promise<SealResult | void> | SealResult | void
  /** Undo `drain`, or a failed `seal`, in memory. Without it a failed seal is undone by `close` and `open`. */
  resume?(): unknown
  /** Orderly stop: close the data. */
  close(): unknown
}

export interface OpenContext<L extends string = string> {
  readonly dataDir: string
  readonly listeners: { readonly [name in L]: DaemonListener }
  /** `coldStart`; `begin`: taken over from a sealed incumbent; `reopen`: a swap was rolled back. */
  readonly reason: OpenReason
  readonly signal: AbortSignal
}

export interface PrepareContext<L extends string = string> {
  readonly dataDir: string
  /** Only a rehearsal (`handoff rehearse`): this process is ended after its Hello and never opens the data. */
  readonly rehearsal: boolean
  readonly listeners: { readonly [name in L]: DaemonListener }
  readonly signal: AbortSignal
}

export interface DaemonOptions<L extends string = string> {
  /** Unix socket path on which supervisors talk to this daemon. */
  readonly controlSocket: string
  /** Holds the lock file; the data itself is the daemon's business. Created when missing. */
  readonly dataDir: string
  /** Bound only when a listener of that name was not inherited. */
  readonly listeners?: { readonly [name in L]: ListenOptions }
  /** Shown to operators. Default: the empty string. */
  readonly buildId?: string
  /** Successor only, while the incumbent still serves: import, connect, read ahead (decision 12). */
  prepare?(context: PrepareContext<L>): unknown
  /** Called with the lock held. Opens; accepting begins later, by itself. */
  open(context: OpenContext<L>): Promise<OpenDaemon> | OpenDaemon
  /** Limits; what is absent keeps its default. */
  readonly policy?: Partial<Policy>
  /** Uids besides our own and root that may talk on the control socket. */
  readonly allowedUids?: readonly number[]
  readonly log?: Logger
  /**
   * Shows the machines of this process to an inspector: `true` on the socket beside the control socket, where
   * `handoff inspect` listens, or an address. Default: the variable HANDOFF_INSPECT, which a supervisor sets; else off.
   */
  readonly inspect?: InspectOption
  /** SIGTERM and SIGINT stop in order. Default true; false leaves signals to the daemon, which calls `stop()`. */
  readonly handleSignals?: boolean
}

export interface Daemon {
  /** How this process came to serve. */
  readonly role: 'incumbent' | 'successor'
  /** The machine's state now, e.g. `serving.alone`. */
  state(): string
  /** Drain, close, release the lock, exit 0. A second call ends at once. */
  stop(): void
}

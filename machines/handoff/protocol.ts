/**
 * The handoff protocol as types: what the fourteen messages of wire version 1 carry, and who may say them.
 *
 * Pure data, shared by the machines (which decide on it) and by `src/wire` (which turns it into bytes).
 * Numbers that the wire holds as u64 are `bigint` here; machines get them as plain values, see `events.ts`.
 */

/** Which side of a swap a primitive plays. On the wire: 0 incumbent, 1 successor. */
export type Side = 'incumbent' | 'successor'

/** A UUID as canonical lower-case text, e.g. `00112233-4455-4677-8899-aabbccddeeff`. */
export type HandoffId = string

/** Lowest and highest protocol version this code speaks (wire spec, "Version choice"). */
export const PROTOCOL_VERSION_MIN = 1
export const PROTOCOL_VERSION_MAX = 1

/** Length of `data_dir_fingerprint`, bytes (wire spec, message 6). */
export const FINGERPRINT_BYTES = 32

/** First word of a primitive or a successor: who it is and which versions it speaks. O → S, N → S. */
export interface Hello {
  readonly type: 'Hello'
  readonly role: Side
  readonly pid: number
  readonly buildId: Uint8Array
  readonly protoMin: number
  readonly protoMax: number
  /** Reserved bits; version 1 gives them no meaning. */
  readonly capabilities: bigint
}
/** S → O, S → N: the version it settled on, and the swap's id. */
export interface HelloAck {
  readonly type: 'HelloAck'
  readonly protoVersionChosen: number
  readonly handoffId: HandoffId
}
/** S → O: drain. `deadlineMs` is what remains of the whole swap, at least 100 ms. */
export interface PrepareHandoff {
  readonly type: 'PrepareHandoff'
  readonly handoffId: HandoffId
  readonly successorPid: number
  readonly deadlineMs: bigint
  readonly drainGraceMs: bigint
}
/** O → S: nothing new is accepted any more; how many connections are still open. */
export interface Drained {
  readonly type: 'Drained'
  readonly openConnsRemaining: number
  readonly acceptClosed: boolean
}
/** S → O: make the data durable, close it, release the data-dir lock. */
export interface SealRequest {
  readonly type: 'SealRequest'
  readonly handoffId: HandoffId
}
/** O → S: a sign of life while sealing. */
export interface SealProgress {
  readonly type: 'SealProgress'
  readonly shardsSealed: number
  readonly shardsTotal: number
  readonly lastRevision: bigint
}
/** O → S: sealed, and the lock is free. */
export interface SealComplete {
  readonly type: 'SealComplete'
  readonly handoffId: HandoffId
  readonly lastRevisionPerShard: readonly bigint[]
  /** Exactly {@link FINGERPRINT_BYTES}; all zero when the daemon gives none. */
  readonly dataDirFingerprint: Uint8Array
}
/** O → S: the seal failed; the lock was kept and O serves again. */
export interface SealFailed {
  readonly type: 'SealFailed'
  readonly handoffId: HandoffId
  readonly error: string
  readonly partialState: string
}
/** S → N: take the lock and open. */
export interface Begin {
  readonly type: 'Begin'
  readonly handoffId: HandoffId
}
/** N → S: lock held, state open, listeners adopted, control socket bound under its staging name. */
export interface Ready {
  readonly type: 'Ready'
  readonly handoffId: HandoffId
  readonly listeningOn: readonly string[]
  readonly healthzOk: boolean
  readonly advertisedRevisionPerShard: readonly bigint[]
}
/** S → N: go live. S → O: exit. */
export interface Commit {
  readonly type: 'Commit'
  readonly handoffId: HandoffId
}
/** S → O, S → N: this swap ends here. */
export interface Abort {
  readonly type: 'Abort'
  readonly handoffId: HandoffId
  readonly reason: string
}
/** S → O: the successor is gone; serve again. */
export interface ResumeAfterAbort {
  readonly type: 'ResumeAfterAbort'
  readonly handoffId: HandoffId
}
/** Both ways: a sign of life. */
export interface Heartbeat {
  readonly type: 'Heartbeat'
  /** Unix time, ms. Informative only; nobody computes with a peer's clock. */
  readonly tsMs: bigint
}

export type Message =
  | Hello
  | HelloAck
  | PrepareHandoff
  | Drained
  | SealRequest
  | SealProgress
  | SealComplete
  | SealFailed
  | Begin
  | Ready
  | Commit
  | Abort
  | ResumeAfterAbort
  | Heartbeat

export type MessageType = Message['type']

/** Discriminants in declaration order: the index is the varint on the wire (wire spec, "Messages"). */
export const MESSAGE_TYPES = [
  'Hello',
  'HelloAck',
  'PrepareHandoff',
  'Drained',
  'SealRequest',
  'SealProgress',
  'SealComplete',
  'SealFailed',
  'Begin',
  'Ready',
  'Commit',
  'Abort',
  'ResumeAfterAbort',
  'Heartbeat',
] as const satisfies readonly MessageType[]

/** Phases of the supervisor's journal, in wire order (wire spec, "Journal"). */
export const JOURNAL_PHASES = [
  'negotiating',
  'draining',
  'sealing',
  'awaitingReady',
  'committed',
  'resumingAfterAbort',
] as const
export type JournalPhase = (typeof JOURNAL_PHASES)[number]

/** What S writes to disk so that a restarted S knows what was under way (INV-07). */
export interface Journal {
  readonly handoffId: HandoffId
  readonly phase: JournalPhase
  readonly incumbentPid: number
  readonly successorPid: number | null
  readonly startedAtUnixMs: bigint
}

/** Highest version in both ranges, or null when they do not meet (wire spec, "Version choice"). */
export function chooseVersion(protoMin: number, protoMax: number): number | null {
  const highest = Math.min(protoMax, PROTOCOL_VERSION_MAX)
  return highest >= Math.max(protoMin, PROTOCOL_VERSION_MIN) ? highest : null
}

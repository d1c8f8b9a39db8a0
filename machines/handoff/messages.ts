/**
 * The exchange as machines see it: plain values out (`To…`), facts in (events).
 *
 * Ids, pids of the speaker, build ids and clocks are added and checked at the edge (`src/`); what is left is finite, so
 * the same values run in production and in the explored world. u64 revisions travel as decimal strings.
 */
import type { FailureCode } from './failures.js'

/** Revisions per shard as decimal strings, in shard order. */
export type Revisions = readonly string[]
/** 64 hex digits, or null when the daemon gives no fingerprint (32 zero bytes on the wire). */
export type Fingerprint = string | null

/** What an incumbent may say to a supervisor. */
export type FromIncumbent =
  | { readonly kind: 'Drained'; readonly openConnections: number; readonly acceptClosed: boolean }
  | { readonly kind: 'SealComplete'; readonly revisions: Revisions; readonly fingerprint: Fingerprint }
  | { readonly kind: 'SealFailed'; readonly failure: FailureCode }
  | { readonly kind: 'Heartbeat' }

/** What a successor may say to a supervisor. */
export type FromSuccessor =
  | { readonly kind: 'Hello' }
  | {
      readonly kind: 'Ready'
      readonly healthy: boolean
      readonly revisions: Revisions
      readonly fingerprint: Fingerprint
    }
  | { readonly kind: 'Heartbeat' }

/** What a supervisor may say to an incumbent. */
export type ToIncumbent =
  | { readonly kind: 'HelloAck' }
  | { readonly kind: 'PrepareHandoff'; readonly successorPid: number }
  | { readonly kind: 'SealRequest' }
  | { readonly kind: 'Commit' }
  | { readonly kind: 'Abort'; readonly failure: FailureCode }
  | { readonly kind: 'ResumeAfterAbort' }

/** What a supervisor may say to a successor. */
export type ToSuccessor =
  | { readonly kind: 'HelloAck' }
  | { readonly kind: 'Begin' }
  | { readonly kind: 'Commit' }
  | { readonly kind: 'Abort'; readonly failure: FailureCode }

/** What an incumbent can learn about its supervisor. */
export type SupervisorToIncumbentEvent =
  | { readonly type: 'supervisor.attended' }
  | {
      readonly type: 'supervisor.requestedDrain'
      readonly successorPid: number
      readonly drainBudgetMs: number
      readonly decisionBudgetMs: number
    }
  | { readonly type: 'supervisor.requestedSeal' }
  | { readonly type: 'supervisor.committed' }
  | { readonly type: 'supervisor.aborted' }
  | { readonly type: 'supervisor.requestedResume' }
  | { readonly type: 'supervisor.beat' }
  | { readonly type: 'supervisor.disconnected' }
  | { readonly type: 'supervisor.violatedProtocol' }

/** What a successor can learn about its supervisor. */
export type SupervisorToSuccessorEvent =
  | { readonly type: 'supervisor.acknowledged'; readonly versionOk: boolean }
  | { readonly type: 'supervisor.began' }
  | { readonly type: 'supervisor.committed' }
  | { readonly type: 'supervisor.aborted' }
  | { readonly type: 'supervisor.beat' }
  | { readonly type: 'supervisor.disconnected' }
  | { readonly type: 'supervisor.violatedProtocol' }

/** What a swap can learn about the incumbent. */
export type IncumbentEvent =
  | {
      readonly type: 'incumbent.greeted'
      readonly pid: number
      readonly versionOk: boolean
      /** From Hello's capabilities: whether it greets others while our session is open. */
      readonly session: 'one' | 'many'
    }
  | { readonly type: 'incumbent.drained'; readonly acceptClosed: boolean }
  | { readonly type: 'incumbent.sealed'; readonly revisions: Revisions; readonly fingerprint: Fingerprint }
  | { readonly type: 'incumbent.sealFailed' }
  | { readonly type: 'incumbent.progressed' }
  | { readonly type: 'incumbent.disconnected' }
  | { readonly type: 'incumbent.violatedProtocol' }
  | { readonly type: 'incumbent.exited' }

/** What a swap can learn about the successor. */
export type SuccessorEvent =
  | { readonly type: 'successor.greeted'; readonly pid: number; readonly versionOk: boolean }
  | {
      readonly type: 'successor.becameReady'
      readonly healthy: boolean
      readonly revisions: Revisions
      readonly fingerprint: Fingerprint
    }
  | { readonly type: 'successor.progressed' }
  | { readonly type: 'successor.disconnected' }
  | { readonly type: 'successor.violatedProtocol' }
  | { readonly type: 'successor.exited' }

/** What a supervisor can learn about a build that is only rehearsed. */
export type RehearsedEvent =
  | { readonly type: 'rehearsed.greeted'; readonly pid: number; readonly versionOk: boolean }
  | { readonly type: 'rehearsed.disconnected' }
  | { readonly type: 'rehearsed.violatedProtocol' }

/** True when no shard of `opened` is behind `sealed`, and none is missing (INV-13). */
export function isNotBehind(opened: Revisions, sealed: Revisions): boolean {
  return (
    opened.length >= sealed.length &&
    sealed.every((revision, shard) => BigInt(opened[shard] ?? '-1') >= BigInt(revision))
  )
}

/** True unless both sides name a fingerprint and the two differ (INV-13). */
export function isSameData(opened: Fingerprint, sealed: Fingerprint): boolean {
  return opened === null || sealed === null || opened === sealed
}

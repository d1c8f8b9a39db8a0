/** What the supervisor machine remembers, and what it makes of that when it reports. */
import type { FailureCode } from './failures.js'
import type { RehearsedEvent } from './messages.js'
import type { Policy } from './policy.js'
import type { SwapOutput } from './swap.machine.js'

export interface SupervisorInput {
  readonly policy: Policy
}

/** A first refusal may be a bad moment: a descriptor too few, a process that was just ending. */
export const REFUSALS = 2

export interface SupervisorContext {
  readonly policy: Policy
  /** The living primitive, or the one being started. */
  readonly primitivePid: number | null
  /** Pids that the journal of a dead supervisor names. */
  readonly journaled: readonly number[]
  /**
   * A predecessor began a start and nobody wrote down which process it is, or may have: its journal named others, or who was
   * found has died. It may be the one that holds the addresses.
   */
  readonly begun: boolean
  /** How often who serves did not give its listeners back while another could not be bound in their place. */
  readonly refusals: number
  /** Processes of ended swaps that may still live. A next swap waits for their end: a parked one would take the lock. */
  readonly retiring: readonly number[]
  /** Starts in a row that did not last. Bounded by the crash-loop limit. */
  readonly failures: number
  /** A swap was asked for while nobody served: its outcome is due when the next start succeeds or fails. */
  readonly owed: boolean
  /** A stop was asked for in a moment that must not be left: it follows. */
  readonly stopOwed: boolean
  /** The same for leaving. */
  readonly leaveOwed: boolean
  readonly failure: FailureCode | null
  /** The process that is rehearsed. */
  readonly rehearsedPid: number | null
  /** How the rehearsal goes, once that is known; the first word counts. */
  readonly verdict: 'passed' | FailureCode | null
}

export type SupervisorEvents =
  | { readonly type: 'swap.requested' }
  /** Start the new build as a successor up to its Hello, and end it again. */
  | { readonly type: 'rehearsal.requested' }
  | RehearsedEvent
  /** The primitive ended, outside a swap; inside one the swap hears of it. The process of a rehearsal, too. */
  | { readonly type: 'primitive.exited'; readonly pid: number }
  /** SIGTERM or SIGINT, or stop(). A second one ends at once. */
  | { readonly type: 'operator.stopped' }
  /** Leave, and let the primitive serve on: the next supervisor adopts it. */
  | { readonly type: 'operator.left' }
  /** The limits were changed: they hold for every wait and every swap that begins from now on. */
  | { readonly type: 'operator.reconfigured'; readonly policy: Policy }

export interface Look {
  /** The process that answers Hello on the control path. */
  readonly answeringPid: number | null
  /** Who may serve yet: journaled processes that are still alive, and who holds the control path, whatever it says. */
  readonly livingPids: readonly number[]
}

/** Those of them that are not the one that serves. */
export const leftoversOf = ({ answeringPid, livingPids }: Look): number[] =>
  livingPids.filter((pid) => pid !== answeringPid)

export const nobodyServes = ({ context }: { context: SupervisorContext }): SwapOutput => ({
  result: 'nobodyServes',
  failure: context.failure,
  servingPid: null,
  failover: false,
  retiringPid: null,
})

/** The swap that was asked for does not begin; the primitive serves on. */
export const cancelled = ({ context }: { context: SupervisorContext }): SwapOutput => ({
  result: 'rolledBack',
  failure: 'ERR_HANDOFF_CANCELLED',
  servingPid: context.primitivePid,
  failover: false,
  retiringPid: null,
})

/** Left before it was known: something more important came. */
export const rehearsalReport = ({ context: { verdict } }: { context: SupervisorContext }) => ({
  failure: verdict === 'passed' ? null : (verdict ?? 'ERR_HANDOFF_CANCELLED'),
})

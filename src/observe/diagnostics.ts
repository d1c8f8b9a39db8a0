/**
 * What happens, as messages on `node:diagnostics_channel`, for code in the same process that wants to know without being
 * asked for. Nothing is made while nobody subscribes; what is published is told after the turn that it is about, never in
 * the gap. A subscriber that throws does so as an uncaught exception of its own: Node has it so.
 */
import { channel } from 'node:diagnostics_channel'
import type { IncumbentFacts, ProcessFacts, RehearsalReport, SwapOutcome, SwapProgress } from '../supervisor/types.js'

export interface DiagnosticMessages {
  /** A swap was asked for. */
  readonly 'handoff:swap.start': { readonly handoffId: string; readonly incumbent: ProcessFacts | null }
  readonly 'handoff:swap.phase': SwapProgress
  readonly 'handoff:swap.end': SwapOutcome
  readonly 'handoff:rehearsal.end': RehearsalReport
  /** In a supervisor: who serves now; null: nobody is known to. */
  readonly 'handoff:serving': { readonly incumbent: IncumbentFacts | null }
  /** In a daemon: whether this process serves. */
  readonly 'handoff:daemon': { readonly pid: number; readonly serves: boolean; readonly state: string }
}
export type DiagnosticChannel = keyof DiagnosticMessages

/** @param message made only when somebody listens */
export function publish<C extends DiagnosticChannel>(name: C, message: () => DiagnosticMessages[C] | null): void {
  const to = channel(name)
  if (!to.hasSubscribers) return
  const made = message()
  if (made !== null) setImmediate(() => to.publish(made))
}

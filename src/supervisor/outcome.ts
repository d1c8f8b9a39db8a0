/** The outcome of a swap as it is reported: the machine's verdict, with names, durations and one sentence (INV-12). */
import type { StateValue } from 'xstate'
import { FAILURES } from '../../machines/handoff/failures.js'
import type { SwapOutput } from '../../machines/handoff/swap.machine.js'
import type { SwapRun } from './swap-run.js'
import type { ProcessFacts, SwapOutcome } from './types.js'

/** Operators think in phases; the machine's states are finer. */
const PHASES: { readonly [state: string]: string } = {
  journaling: 'spawn',
  spawning: 'spawn',
  awaitingSuccessor: 'boot',
  recording: 'boot',
  dialling: 'connect',
  awaitingIncumbent: 'connect',
  draining: 'drain',
  sealing: 'seal',
  doubting: 'seal',
  doubtingSuccessor: 'open',
  opening: 'open',
  verifying: 'verify',
  probation: 'probation',
  undoing: 'undo',
}

export function swapPhase(value: StateValue): string {
  const [outer, inner] = typeof value === 'string' ? [value] : (Object.entries(value)[0] ?? [''])
  const state = outer === 'attempting' ? (typeof inner === 'string' ? inner : Object.keys(inner ?? {})[0]) : outer
  return PHASES[state ?? ''] ?? 'verdict'
}

export class PhaseClock {
  readonly startedAt = performance.now()
  readonly phases: { name: string; ms: number }[] = []
  #name = 'requested'
  #since = this.startedAt

  get name(): string {
    return this.#name
  }

  get elapsedMs(): number {
    return performance.now() - this.startedAt
  }

  /** @returns whether the phase is a new one */
  enter(name: string): boolean {
    if (name === this.#name) return false
    this.#close()
    this.#name = name
    return true
  }

  end(): void {
    this.#close()
  }

  #close(): void {
    const now = performance.now()
    this.phases.push({ name: this.#name, ms: round(now - this.#since) })
    this.#since = now
  }
}

export const round = (ms: number): number => Math.round(ms * 1000) / 1000

export function describeOutcome(
  output: SwapOutput,
  handoffId: string,
  run: SwapRun | null,
  clock: PhaseClock,
  known: (pid: number | null) => ProcessFacts | null,
  previous: ProcessFacts | null,
): SwapOutcome {
  const committed = output.result === 'committed'
  const failure = committed ? null : output.failure
  const sentence = failure === null ? null : (run?.reasonOf(failure) ?? FAILURES[failure])
  return {
    handoffId,
    result: output.result,
    code: failure,
    reason: committed && output.failover ? 'nobody served any more; the new build took over' : sentence,
    phases: clock.phases,
    totalMs: round(clock.elapsedMs),
    incumbent: known(output.servingPid),
    previous,
    ...(committed && run?.connections ? { connections: run.connections } : {}),
  }
}

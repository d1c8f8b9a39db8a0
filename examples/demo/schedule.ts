/** Which swaps the demo makes, in which order, and how each has to end. */

export type SwapKind = 'good' | 'sealFails' | 'crashes' | 'openFails' | 'unhealthy' | 'hangs'

export interface Step {
  readonly kind: SwapKind
  /** The new build's misbehaviour, as `--fault` takes it; empty for none. */
  readonly faults: string
  readonly expected: 'committed' | 'rolledBack'
  /** Why it may be rolled back: a rollback for another reason has shown something else. */
  readonly reasons: readonly string[]
}

/** What the tables call each kind. */
export const KIND_LABELS: Readonly<Record<SwapKind, string>> = {
  good: 'good swap',
  sealFails: "incumbent's seal fails",
  crashes: 'successor crashes before Ready',
  openFails: 'successor fails to open the store',
  unhealthy: 'successor unhealthy',
  hangs: 'successor hangs past the deadline',
}

/** The end of a process and the end of its channel reach the supervisor in either order. */
const ENDED = ['ERR_HANDOFF_SUCCESSOR_EXITED', 'ERR_HANDOFF_SUCCESSOR_DISCONNECTED']

/**
 * The failing kinds, in the order they come. `sealFails` leads: its fault sits in the build before, which must not meet
 * another swap first. For the same reason it strikes once: a build that could never seal could never be replaced.
 */
const FAILING = [
  { kind: 'sealFails', faults: '', reasons: ['ERR_HANDOFF_SEAL_FAILED'] },
  { kind: 'crashes', faults: 'crash-before-ready', reasons: ENDED },
  { kind: 'openFails', faults: 'open-fails', reasons: ENDED },
  { kind: 'unhealthy', faults: 'unhealthy', reasons: ['ERR_HANDOFF_SUCCESSOR_UNHEALTHY'] },
  { kind: 'hangs', faults: 'hang', reasons: ['ERR_HANDOFF_DEADLINE_TIMEOUT'] },
] as const
const SEAL_FAILS_ONCE = 'seal-fails=1'

/** `goodSwaps` (at least 1) swaps that must commit, and one of each failing kind spread between them. */
export function schedule(goodSwaps: number): Step[] {
  const steps: Step[] = []
  for (let good = 1; good <= goodSwaps; good += 1) {
    const failing = FAILING.filter((_, i) => slot(i, goodSwaps) === good)
    const faults = failing[0]?.kind === 'sealFails' ? SEAL_FAILS_ONCE : ''
    steps.push({ kind: 'good', faults, expected: 'committed', reasons: [] })
    steps.push(...failing.map((step) => ({ ...step, expected: 'rolledBack' as const })))
  }
  return steps
}

/** After which good swap the i-th failing one comes. */
function slot(index: number, goodSwaps: number): number {
  return Math.max(1, Math.round(((index + 1) * goodSwaps) / (FAILING.length + 1)))
}

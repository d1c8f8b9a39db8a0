/** How long one operation on a descriptor channel may take, and who may call it off. */
import { osError } from '../errors/os.js'

export interface WaitOptions {
  /** For the whole operation, ms. Without it the operation waits for ever. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface Deadline {
  /** On the monotonic clock, ms; null waits for ever. */
  readonly at: number | null
  readonly signal: AbortSignal | undefined
  error(doing: string): Error
  check(doing: string): void
}

/** Absolute from the start of the operation: a peer that trickles bytes does not stretch it. */
export function deadline(options: WaitOptions): Deadline {
  const { timeoutMs, signal } = options
  const at = timeoutMs === undefined ? null : performance.now() + timeoutMs
  const error = (doing: string): Error => osError('ERR_HANDOFF_FDS_TIMEOUT', [doing, timeoutMs ?? 0])
  return {
    at,
    signal,
    error,
    check(doing) {
      signal?.throwIfAborted()
      if (at !== null && performance.now() >= at) throw error(doing)
    },
  }
}

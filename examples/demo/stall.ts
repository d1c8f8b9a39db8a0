/** The longest pause between two answers, over all clients: what a swap feels like from outside. */

export class StallMeter {
  #lastAnswerMs: number
  #longestMs = 0

  /** @param nowMs a monotonic clock, ms */
  constructor(private readonly nowMs: () => number) {
    this.#lastAnswerMs = nowMs()
  }

  answered(): void {
    const now = this.nowMs()
    this.#longestMs = Math.max(this.#longestMs, now - this.#lastAnswerMs)
    this.#lastAnswerMs = now
  }

  /** The longest pause since the last call, ms, one that still lasts included. */
  takeLongest(): number {
    const longest = Math.max(this.#longestMs, this.nowMs() - this.#lastAnswerMs)
    this.#longestMs = 0
    return longest
  }
}

/** Nearest-rank percentile; `undefined` for no samples. */
export function percentile(samples: readonly number[], percent: number): number | undefined {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
}

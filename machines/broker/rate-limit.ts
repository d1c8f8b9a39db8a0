/** Hellos per client process in a fixed window, counted for the whole life of the broker (W6). */
import type { BrokerPolicy } from './policy.js'

interface Window {
  readonly startedAt: number
  readonly count: number
}

type RatePolicy = Pick<BrokerPolicy, 'helloRateLimit' | 'helloRateWindowMs' | 'maxRatedPids'>

export class HelloRateLimit {
  readonly #windows = new Map<number, Window>()

  constructor(readonly policy: RatePolicy) {}

  /** 0: go on. Otherwise the rest of the window, **ms**. Pid 0 is nobody in particular and is not limited. */
  admit(pid: number, now: number): number {
    if (pid === 0) return 0
    const window = this.#windows.get(pid)
    if (window === undefined || now - window.startedAt >= this.policy.helloRateWindowMs) {
      this.#open(pid, now)
      return 0
    }
    if (window.count >= this.policy.helloRateLimit) {
      return Math.max(1, Math.ceil(window.startedAt + this.policy.helloRateWindowMs - now))
    }
    this.#windows.set(pid, { startedAt: window.startedAt, count: window.count + 1 })
    return 0
  }

  // Deleting first keeps the map in order of window starts, so that the oldest is the first.
  #open(pid: number, now: number): void {
    this.#windows.delete(pid)
    if (this.#windows.size >= this.policy.maxRatedPids) {
      this.#windows.delete(this.#windows.keys().next().value as number)
    }
    this.#windows.set(pid, { startedAt: now, count: 1 })
  }
}

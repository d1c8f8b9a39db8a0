/**
 * A clock for machines that lets the poll phase speak before a timer does.
 *
 * libuv runs timers before it polls: "Ready is in the buffer but the deadline fires" would be a wide race after every
 * stall (a long hook, SIGSTOP). An expired timer therefore waits for one poll phase and fires only if it is still armed.
 */
export interface PollClock {
  setTimeout(fn: () => void, ms: number): PollTimer
  clearTimeout(timer: PollTimer): void
}

export interface PollTimer {
  timeout: NodeJS.Timeout
  immediate: NodeJS.Immediate | undefined
}

/** setTimeout takes no more, ms; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1

export const pollClock: PollClock = {
  setTimeout(fn, ms) {
    const timer: PollTimer = {
      timeout: setTimeout(
        () => {
          // check phase → the next iteration's poll phase → check phase: everything readable was delivered.
          timer.immediate = setImmediate(() => {
            timer.immediate = setImmediate(fn)
          })
        },
        Math.min(ms, LONGEST_MS),
      ),
      immediate: undefined,
    }
    return timer
  },
  clearTimeout(timer) {
    if (timer === undefined) return
    clearTimeout(timer.timeout)
    clearImmediate(timer.immediate)
  },
}

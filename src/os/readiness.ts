/**
 * Readiness of one fd on the event loop, told once for each time it is wanted.
 *
 * With epoll all of them share one watcher, which costs one system call to want something instead of the five that a
 * watcher of the loop's own takes. Elsewhere each fd has a watcher of its own, and is non-blocking from then on.
 */
import { native, type Poll, type Readiness } from './native.js'

export interface Watch {
  /** Calls back once when one of these is true, or an error is pending. Replaces what was wanted before. */
  want(events: number): void
  /** Before the fd is closed or given away. `shared`: the connection lives on in another process. */
  end(shared: boolean): void
}

/** True when watching an fd leaves its blocking mode alone. */
export const WATCHES_BLOCKING_FDS = native.Readiness !== undefined

export function watchFd(fd: number, onReady: () => void): Watch {
  return WATCHES_BLOCKING_FDS ? new EpollWatch(fd, onReady) : new PollWatch(fd, onReady)
}

/** Pairs told in one go. */
const PAIRS = 256

class Instance {
  readonly #room = new Uint32Array(2 * PAIRS)
  readonly #watches = new Map<number, EpollWatch>()
  readonly #readiness: Readiness
  #nextKey = 1
  #wanted = 0

  constructor() {
    const Made = native.Readiness as NonNullable<typeof native.Readiness>
    this.#readiness = new Made(this.#room, (pairs) => this.#tell(pairs))
  }

  enter(fd: number, watch: EpollWatch, events: number): number {
    // Keys and not fds: an fd that was closed in this batch may bear another connection by now.
    const key = this.#nextKey
    this.#nextKey = (key + 1) >>> 0
    this.#readiness.add(fd, key, events)
    this.#watches.set(key, watch)
    this.#count(1)
    return key
  }

  change(fd: number, key: number, events: number, wasWanted: boolean) {
    this.#readiness.change(fd, key, events)
    if (!wasWanted) this.#count(1)
  }

  leave(fd: number, key: number, wasWanted: boolean, shared: boolean) {
    this.#watches.delete(key)
    if (wasWanted) this.#count(-1)
    if (shared) this.#readiness.remove(fd)
  }

  #count(by: 1 | -1) {
    this.#wanted += by
    if (by === 1 && this.#wanted === 1) this.#readiness.ref()
    else if (this.#wanted === 0) this.#readiness.unref()
  }

  #tell(pairs: number) {
    // Copied: a callback may be in the middle of a batch when the next one is fetched.
    const keys: number[] = []
    for (let pair = 0; pair < pairs; pair++) keys.push(this.#room[2 * pair] as number)
    for (const key of keys) {
      const watch = this.#watches.get(key)
      if (watch === undefined) continue
      this.#count(-1)
      try {
        watch.fire()
      } catch (error) {
        // It must not cost the others their only word.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

let instance: Instance | null = null

class EpollWatch implements Watch {
  #key = 0
  #wanted = 0

  constructor(
    readonly fd: number,
    readonly onReady: () => void,
  ) {}

  want(events: number) {
    if (this.#wanted === events) return
    instance ??= new Instance()
    if (this.#key === 0) this.#key = instance.enter(this.fd, this, events)
    else instance.change(this.fd, this.#key, events, this.#wanted !== 0)
    this.#wanted = events
  }

  fire() {
    this.#wanted = 0
    this.onReady()
  }

  end(shared: boolean) {
    if (this.#key !== 0) instance?.leave(this.fd, this.#key, this.#wanted !== 0, shared)
    this.#key = 0
    this.#wanted = 0
  }
}

class PollWatch implements Watch {
  readonly #poll: Poll
  #wanted = 0

  constructor(fd: number, onReady: () => void) {
    this.#poll = new native.Poll(fd, () => {
      this.#wanted = 0
      this.#poll.stop()
      onReady()
    })
  }

  want(events: number) {
    if (this.#wanted === events) return
    this.#wanted = events
    this.#poll.start(events)
  }

  end() {
    this.#poll.close()
  }
}

/** A supervisor that has nothing to do gives back what its last work left in memory: V8 would keep it until more is needed. */
import { collectGarbage } from '../os/garbage.js'
import type { Supervisor } from '../supervisor/types.js'

/**
 * After the last news, ms: the processes of a swap have gone by then, and nobody is in a hurry. Once more, because V8 makes
 * the young generation smaller only when it has seen that little is allocated.
 */
const QUIET_MS = [2_000, 10_000] as const

/** Never in a swap: a pause of ours is the client's there. @returns ends it */
export function collectWhenQuiet(
  supervisor: Pick<Supervisor, 'subscribe'>,
  collect: () => unknown = () => collectGarbage('whole'),
): () => void {
  let timers: readonly NodeJS.Timeout[] = []
  const cancel = (): void => {
    for (const timer of timers) clearTimeout(timer)
  }
  const unsubscribe = supervisor.subscribe(({ swap }) => {
    cancel()
    timers = swap === null ? QUIET_MS.map((ms) => setTimeout(collect, ms).unref()) : []
  })
  return () => {
    cancel()
    unsubscribe()
  }
}

/** A supervisor that has nothing to do gives back what its last work left in memory: V8 would keep it until more is needed. */
import { collectGarbage } from '../os/garbage.js'
import type { Supervisor } from '../supervisor/types.js'

/**
 * After the last news, ms: the processes of a swap have gone by then, and nobody is in a hurry. A swap has news once more when
 * its outcome has stood for a while; only that collection makes the young generation smaller, when V8 has seen how little is allocated.
 */
const QUIET_MS = 2_000

/** Never in a swap: a pause of ours is the client's there. @returns ends it */
export function collectWhenQuiet(
  supervisor: Pick<Supervisor, 'subscribe'>,
  collect: () => unknown = () => collectGarbage('whole'),
): () => void {
  let timer: NodeJS.Timeout | undefined
  const unsubscribe = supervisor.subscribe(({ swap }) => {
    clearTimeout(timer)
    if (swap === null) timer = setTimeout(collect, QUIET_MS).unref()
  })
  return () => {
    clearTimeout(timer)
    unsubscribe()
  }
}

/** Garbage collected when it suits us: V8 would begin by itself at a moment of its own, and in a gap that costs several gaps. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A whole collection takes about 0.3 ms/MB. A larger heap is left alone: a pause of that length is its owner's to choose. */
const MAX_HEAP_BYTES = 48 * 1024 * 1024

/** `young`: what was made lately, 1 to 2 ms. `whole`: about ten times that, for a process that serves nobody. */
export type GarbageKind = 'young' | 'whole'

type Collector = (options?: { readonly type: 'minor' }) => void

let collect: Collector | null | undefined

/** @returns whether it was done */
export function collectGarbage(kind: GarbageKind): boolean {
  if (kind === 'whole' && getHeapStatistics().used_heap_size > MAX_HEAP_BYTES) return false
  collect ??= findCollector()
  if (kind === 'young') collect?.({ type: 'minor' })
  else collect?.()
  return collect !== null
}

/** Node offers it only under a flag, which V8 takes at run time for contexts that are made afterwards. */
function findCollector(): Collector | null {
  setFlagsFromString('--expose-gc')
  try {
    return runInNewContext('gc') as Collector
  } catch {
    return null
  } finally {
    setFlagsFromString('--no-expose-gc')
  }
}

import { constants, PerformanceObserver } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { collectGarbage, type GarbageKind } from '../../src/os/garbage.js'

const { NODE_PERFORMANCE_GC_MAJOR: MAJOR, NODE_PERFORMANCE_GC_MINOR: MINOR } = constants
const { NODE_PERFORMANCE_GC_FLAGS_FORCED: FORCED } = constants

interface GcEntry {
  readonly detail?: unknown
}

/** The kind of the collection that was asked for; V8's own ones are not forced. */
async function forcedBy(kind: GarbageKind): Promise<number | undefined> {
  const told = new Promise<GcEntry[]>((resolve) => {
    const observer = new PerformanceObserver((list) => {
      const forced = (list.getEntries() as GcEntry[]).filter(
        ({ detail }) => ((detail as { flags: number }).flags & FORCED) !== 0,
      )
      if (forced.length === 0) return
      observer.disconnect()
      resolve(forced)
    })
    observer.observe({ entryTypes: ['gc'] })
  })
  expect(collectGarbage(kind)).toBe(true)
  const [entry] = await told
  return (entry?.detail as { kind: number } | undefined)?.kind
}

test('a process that serves collects what is young alone; one that serves nobody, everything', async () => {
  expect(await forcedBy('young')).toBe(MINOR)
  expect(await forcedBy('whole')).toBe(MAJOR)
})

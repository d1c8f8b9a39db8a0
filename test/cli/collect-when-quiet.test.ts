import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { collectWhenQuiet } from '../../src/cli/collect-when-quiet.js'
import type { SupervisorStatus } from '../../src/supervisor/types.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const QUIET = { swap: null } as SupervisorStatus
const SWAPPING = { swap: { handoffId: 'a', phase: 'drain', elapsedMs: 1, budgetMs: 2 } } as SupervisorStatus

function scene() {
  const watchers = new Set<(status: SupervisorStatus) => void>()
  const subscribe = (watcher: (status: SupervisorStatus) => void) => {
    watchers.add(watcher)
    return () => void watchers.delete(watcher)
  }
  const collect = vi.fn()
  const end = collectWhenQuiet({ subscribe }, collect)
  const tell = (status: SupervisorStatus) => {
    for (const watcher of watchers) watcher(status)
  }
  return { watchers, collect, end, tell }
}

test('once after the last news, and then never again: a quiet supervisor sleeps', () => {
  const { collect, tell } = scene()
  tell(QUIET)
  vi.advanceTimersByTime(1_000)
  tell(QUIET)
  vi.advanceTimersByTime(1_500)
  expect(collect).not.toHaveBeenCalled()
  vi.advanceTimersByTime(60_000)
  expect(collect).toHaveBeenCalledTimes(1)
  expect(vi.getTimerCount()).toBe(0)
})

test('a swap that begins is not interrupted, however long it takes', () => {
  const { collect, tell } = scene()
  tell(QUIET)
  tell(SWAPPING)
  vi.advanceTimersByTime(60_000)
  expect(collect).not.toHaveBeenCalled()
  tell(QUIET)
  vi.advanceTimersByTime(60_000)
  expect(collect).toHaveBeenCalledTimes(1)
})

test('what has ended collects nothing and listens to nobody', () => {
  const { watchers, collect, tell, end } = scene()
  tell(QUIET)
  end()
  vi.advanceTimersByTime(60_000)
  expect(collect).not.toHaveBeenCalled()
  expect(watchers.size).toBe(0)
})

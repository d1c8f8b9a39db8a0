import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { tellSystemd } from '../../src/cli/tell-systemd.js'
import type { SystemdNotify } from '../../src/os/systemd-notify.js'
import type { SupervisorStatus } from '../../src/supervisor/types.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const quiet: SupervisorStatus = {
  state: 'serving',
  pid: 1,
  since: '2026-01-01T00:00:00.000Z',
  incumbent: { pid: 7, buildId: 'v1', generation: 1, since: '2026-01-01T00:00:00.000Z' },
  swap: null,
  lastSwap: null,
  listeners: [],
  restarts: 0,
  started: 1,
}
const swap = { handoffId: '00112233-4455-4677-8899-aabbccddeeff', phase: 'drain', elapsedMs: 1, budgetMs: 2 }

function told() {
  const said: string[] = []
  const note = (text: string) => void said.push(text)
  const systemd: SystemdNotify = {
    ready: note,
    status: note,
    reloading() {},
    stopping: note,
    extend: (ms) => note(`extend ${ms}`),
    close() {},
  }
  let change = (_: SupervisorStatus): void => {}
  const stop = tellSystemd(systemd, {
    subscribe(listener) {
      change = listener
      return () => void note('unsubscribed')
    },
  })
  return { said, change: (status: SupervisorStatus) => change(status), stop }
}

test('time is asked for when a swap begins and every five seconds while it lasts, and nothing wakes a quiet supervisor', () => {
  const { said, change, stop } = told()
  expect(vi.getTimerCount()).toBe(0)
  change(quiet)
  expect(said).toEqual(['pid 7 serves, build v1'])
  expect(vi.getTimerCount()).toBe(0)
  change({ ...quiet, swap })
  vi.advanceTimersByTime(10_000)
  // The same line again is no news, and keeps the clock that runs.
  change({ ...quiet, swap })
  vi.advanceTimersByTime(5_000)
  const extensions = ['extend 10000', 'extend 10000', 'extend 10000', 'extend 10000']
  expect(said).toEqual(['pid 7 serves, build v1', 'pid 7 serves, build v1; swap: drain', ...extensions])
  change(quiet)
  expect(vi.getTimerCount()).toBe(0)
  stop()
  expect(said.slice(-2)).toEqual(['pid 7 serves, build v1', 'unsubscribed'])
})

test('a start, a recovery and a stop take time as well; whoever leaves in the middle leaves no clock behind', () => {
  for (const state of ['recovering.looking', 'starting.spawning', 'stopping.ending']) {
    const { said, change, stop } = told()
    change({ ...quiet, state, incumbent: null })
    vi.advanceTimersByTime(5_000)
    expect(said).toEqual([`nobody serves (${state})`, 'extend 10000', 'extend 10000'])
    stop()
    expect(vi.getTimerCount()).toBe(0)
  }
})

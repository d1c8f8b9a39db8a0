import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type HistoryEntry, HistoryFile, readHistory } from '../../src/observe/history.js'
import { Historian, historyPath } from '../../src/supervisor/historian.js'
import { committed, FakeSupervisor } from '../supervisor/fake-supervisor.js'

let dir: string
let file: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'history-'))
  file = join(dir, 'journal.history')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const log = pino({ level: 'silent' })
const down = (pid: number): HistoryEntry => ({
  v: 1,
  kind: 'down',
  at: '2026-01-02T03:04:05.000Z',
  supervisorPid: 1,
  previous: { pid, buildId: '' },
})

test('it is beside the journal unless another place is named, and nowhere without either', () => {
  expect(historyPath({ journal: '/run/j' })).toBe('/run/j.history')
  expect(historyPath({ journal: '/run/j', history: '/var/h' })).toBe('/var/h')
  expect(historyPath({})).toBeNull()
})

test('entries come back in their order, also across a rotation; what is kept is bounded', async () => {
  const history = new HistoryFile(file, log, 2_000)
  for (let pid = 1; pid <= 100; pid += 1) history.append(down(pid))
  await history.settled()
  const pids = (await readHistory(file)).map((entry) => (entry.kind === 'down' ? entry.previous.pid : 0))
  expect(pids.at(-1)).toBe(100)
  expect(pids).toEqual(Array.from({ length: pids.length }, (_, i) => 101 - pids.length + i))
  expect(pids.length).toBeGreaterThan(10)
  expect(statSync(file).size + statSync(`${file}.1`).size).toBeLessThanOrEqual(4_000)
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('a line that a crash cut off spoils neither what was before nor what comes after', async () => {
  const first = new HistoryFile(file, log)
  first.append(down(1))
  await first.settled()
  appendFileSync(file, '{"v":1,"kind":"sw')
  const second = new HistoryFile(file, log)
  second.append(down(2))
  await second.settled()
  expect(await readHistory(file)).toEqual([down(1), down(2)])
  expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(true)
})

test('a place that cannot be written costs the entry, never the service', async () => {
  writeFileSync(join(dir, 'plain'), '')
  const history = new HistoryFile(join(dir, 'plain', 'h'), log)
  history.append(down(1))
  await expect(history.settled()).resolves.toBeUndefined()
})

test('from the status alone: who was adopted, each swap once, who died, who was started again', async () => {
  const historian = new Historian(file, log)
  const fake = new FakeSupervisor()
  const { current } = fake
  const serves = (pid: number, generation: number) => ({ pid, buildId: 'v', generation, since: '' })
  const told = [
    { ...current, incumbent: null, restarts: 0, started: 0 },
    { ...current, incumbent: serves(4211, 1), restarts: 0, started: 0 },
    {
      ...current,
      incumbent: serves(4211, 1),
      swap: { handoffId: 'a', phase: 'boot', elapsedMs: 1, budgetMs: 9 },
      restarts: 0,
      started: 0,
    },
    // The verdict, a moment before the status names the new process.
    { ...current, incumbent: serves(4211, 1), lastSwap: committed, restarts: 0, started: 0 },
    { ...current, incumbent: serves(4388, 2), lastSwap: committed, restarts: 0, started: 0 },
    { ...current, incumbent: null, lastSwap: committed, restarts: 0, started: 0 },
    { ...current, incumbent: serves(5000, 3), lastSwap: committed, restarts: 1, started: 1 },
  ]
  for (const status of told) historian.follow(status)
  await historian.settled()
  const entries = await readHistory(file)
  expect(entries.map((entry) => (entry.kind === 'serving' ? entry.how : entry.kind))).toEqual([
    'adopted',
    'swap',
    'down',
    'restarted',
  ])
  expect(entries[1]).toMatchObject({ handoffId: committed.handoffId, result: 'committed', phases: committed.phases })
})

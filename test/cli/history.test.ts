import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run as explain } from '../../src/cli/explain.js'
import { run as history } from '../../src/cli/history.js'
import type { HistoryEntry } from '../../src/observe/history.js'
import { committed, rolledBack } from '../supervisor/fake-supervisor.js'
import { FakeIo } from './support.js'

const common = { v: 1, supervisorPid: 1 } as const
const message = (ms: number, from: string, to: string, what: string) => ({ ms, from, to, what, kind: 'message' })
const entries = [
  {
    ...common,
    kind: 'serving',
    at: '2026-01-02T03:00:00.000Z',
    how: 'started',
    incumbent: { pid: 4211, buildId: 'v1' },
  },
  {
    ...common,
    kind: 'swap',
    at: '2026-01-02T03:01:00.000Z',
    ...rolledBack,
    handoffId: 'aaaaaaaa-1111-4111-8111-111111111111',
    steps: [
      { ms: 1, from: 'supervisor', to: 'successor', what: 'starts', kind: 'notice' },
      message(40, 'successor', 'supervisor', 'Hello'),
      message(41, 'supervisor', 'incumbent', 'PrepareHandoff'),
      { ms: 52, from: 'successor', to: 'supervisor', what: 'process ended', kind: 'notice' },
      message(53, 'supervisor', 'incumbent', 'ResumeAfterAbort'),
    ],
  },
  {
    ...common,
    kind: 'swap',
    at: '2026-01-02T03:02:00.000Z',
    ...committed,
    handoffId: 'bbbbbbbb-1111-4111-8111-111111111111',
    steps: [],
  },
  { ...common, kind: 'down', at: '2026-01-02T03:03:00.000Z', previous: { pid: 4388, buildId: 'v2' } },
] as unknown as HistoryEntry[]

let dir: string
let file: string
let io: FakeIo
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cli-history-'))
  file = join(dir, 'h')
  writeFileSync(file, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
  io = new FakeIo()
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('handoff history', () => {
  test('one line for each turn of service', async () => {
    expect(await history(['--file', file], io)).toBe(0)
    const lines = io.stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(/^2026-01-02 03:00:00Z {2}started .*v1 \(4211\)/)
    expect(lines[1]).toMatch(/rolled back {2}1.2 s .*draining 1.2 s {2}aaaaaaaa {2}ERR_HANDOFF_SUCCESSOR_EXITED$/)
    expect(lines[2]).toMatch(/committed .*v1 \(4211\) → v2 \(4388\)/)
    expect(lines[3]).toMatch(/died .*v2 \(4388\)/)
  })

  test('--json gives the entries as they are, --last the newest', async () => {
    await history(['--file', file, '--json', '--last', '1'], io)
    expect(JSON.parse(io.stdout)).toEqual(entries[3])
  })

  test('the config names it, also when nobody runs; none is told with the key to add', async () => {
    const config = join(dir, 'handoff.toml')
    const base = `control_socket = "c"\ntrigger_socket = "t"\nbinary = "node"\n`
    writeFileSync(config, `${base}history = "h"\n`)
    expect(await history(['--config', config], io)).toBe(0)
    expect(io.stdout).toContain('aaaaaaaa')
    writeFileSync(config, base)
    await expect(history(['--config', config], io)).rejects.toMatchObject({ code: 'ERR_HANDOFF_NO_HISTORY' })
  })

  test('a file that is no file is told', async () => {
    await expect(history(['--file', dir], io)).rejects.toMatchObject({ code: 'ERR_HANDOFF_HISTORY_UNREADABLE' })
  })
})

describe('handoff explain', () => {
  test('draws the messages, then says what went wrong, what is true and what to do', async () => {
    expect(await explain(['aaaa', '--file', file], io)).toBe(0)
    expect(io.stdout).toBe(`swap aaaaaaaa-1111-4111-8111-111111111111
ended 2026-01-02T03:01:00.000Z

        incumbent              supervisor               successor
            │                       │                       │ · starts               1.0 ms
            │                       │◀─────── Hello ────────│                        40.0 ms
            │◀─── PrepareHandoff ───│                       │                        41.0 ms
            │                       │                       │ · process ended        52.0 ms
            │◀── ResumeAfterAbort ──│                       │                        53.0 ms

handoff  v1
  negotiating  3.1 ms
  draining     1.2 s
rolled back    1.2 s   pid 4211 keeps serving
  why  the successor exited before it was ready (ERR_HANDOFF_SUCCESSOR_EXITED)
  do   read the log of both programs around this moment, repair, and swap again

what went wrong  the successor exited before it was ready
true since then  pid 4388 died at 2026-01-02T03:03:00.000Z; nobody is on record after it
what to do       read the log of both programs around this moment, repair, and swap again
`)
  })

  test('without an id it tells the last swap', async () => {
    await explain(['--file', file], io)
    expect(io.stdout).toContain('swap bbbbbbbb')
    expect(io.stdout).toContain('its supervisor did not live to write down what was said')
  })

  test('an id that is not on record is told', async () => {
    await expect(explain(['cccc', '--file', file], io)).rejects.toMatchObject({ code: 'ERR_HANDOFF_NO_SUCH_SWAP' })
  })
})

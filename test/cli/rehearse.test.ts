import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exitCodeOfError } from '../../src/cli/exit-codes.js'
import { rehearsalReport, run, usage } from '../../src/cli/rehearse.js'
import { supervisorError } from '../../src/errors/supervisor.js'
import type { RehearsalReport } from '../../src/supervisor/types.js'
import { HANDOFF_ID, rehearsed } from '../supervisor/fake-supervisor.js'
import { FakeIo, type Scene, scene } from './support.js'

const failed: RehearsalReport = {
  ...rehearsed,
  passed: false,
  code: 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT',
  reason: 'the successor sent no Hello in time',
  process: { pid: 4388, buildId: '' },
  helloMs: null,
  memory: null,
  endedBy: 'SIGKILL',
  exit: { code: null, signal: 'SIGKILL' },
}

describe('handoff rehearse', () => {
  let made: Scene
  let io: FakeIo
  beforeEach(async () => {
    made = await scene()
    io = new FakeIo()
  })
  afterEach(() => made.end())

  test('it came up: exit 0, one line of JSON that is the report', async () => {
    expect(await run(['--socket', made.socket, '--json'], io)).toBe(0)
    expect(JSON.parse(io.stdout)).toEqual(rehearsed)
    expect(made.supervisor.rehearsals).toEqual([{ binary: process.execPath }])
  })

  test('it did not: exit 1, with why and what to do', async () => {
    made.supervisor.rehearsal = async () => failed
    expect(await run(['--socket', made.socket], io)).toBe(1)
    expect(io.stdout).toBe(
      [
        'rehearsed: it would not come up  (230 ms)',
        '  program   /opt/kv/v2',
        '  process   pid 4388',
        '  inherits  http 127.0.0.1:8080',
        '  Hello     never',
        '  end       needed SIGKILL, killed by SIGKILL; a rollback would wait for that',
        '  why  the successor sent no Hello in time (ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT)',
        '  do   see why the new program starts slowly, or raise boot_secs in handoff.toml',
        '',
      ].join('\n'),
    )
  })

  test('while a swap runs: 75, and no rehearsal is begun', async () => {
    made.supervisor.phase('drain', 12)
    const error = await run(['--socket', made.socket], io).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_HANDOFF_STATE_SWAP_RUNNING' })
    expect((error as Error).message).toContain(HANDOFF_ID)
    expect(exitCodeOfError(error)).toBe(75)
    expect(made.supervisor.rehearsals).toEqual([])
  })

  test('refused by the supervisor itself: 75 too', async () => {
    made.supervisor.rehearsal = async () => {
      throw supervisorError('ERR_HANDOFF_STATE_REHEARSAL_REFUSED', ['pausing'])
    }
    const error = await run(['--socket', made.socket], io).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_HANDOFF_STATE_REHEARSAL_REFUSED' })
    expect(exitCodeOfError(error)).toBe(75)
  })

  test('a binary that is not on the list is refused as for a swap: 64', async () => {
    const error = await run(['--socket', made.socket, '--binary', '/bin/sh'], io).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_HANDOFF_USAGE_TRIGGER_BINARY' })
    expect(exitCodeOfError(error)).toBe(64)
  })

  test('nobody there: 69', async () => {
    const error = await run(['--socket', `${made.dir}/none`], io).catch((thrown: unknown) => thrown)
    expect(exitCodeOfError(error)).toBe(69)
  })

  test('every exit code stands in its help', () => {
    for (const code of [0, 1, 64, 69, 75, 130]) expect(usage.notes).toMatch(new RegExp(`\\b${code} `))
  })
})

test('a report of a build that passed reads as a table', () => {
  expect(rehearsalReport(rehearsed, false)).toBe(
    [
      'rehearsed: it would come up  (230 ms)',
      '  program   /opt/kv/v2',
      '  process   pid 4388  build v2',
      '  inherits  http 127.0.0.1:8080',
      '  Hello     after 213 ms, prepare included',
      '  memory    61.0 MB, at most 64.5 MB',
      '  end       told to go, exit status 77',
      '',
    ].join('\n'),
  )
  expect(rehearsalReport(rehearsed, true)).toContain('\x1b[32m')
})

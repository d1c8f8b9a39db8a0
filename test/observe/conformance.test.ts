import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkTraceCommand } from '../../src/cli/check-trace.js'
import { checkTrace, checkTraceFiles } from '../../src/observe/conformance.js'
import type { TraceStep } from '../../src/observe/trace.js'
import { SCENARIOS } from '../crash/scenarios.js'
import { Rig } from '../supervisor/rig.js'

const NAMES = ['swap', 'undone after Ready', 'incumbent dies in its drain'] as const
const EVENTS = { swap: 'committed', 'undone after Ready': 'rolledBack', 'incumbent dies in its drain': 'committed' }

const kept = mkdtempSync(join(tmpdir(), 'traces-'))
const traceOf = (name: string) => join(kept, name)

/** Nothing is stopped here: a slow boot on a busy machine must not become another run than the one that is wanted. */
const PATIENT = ['deadline_secs = 120', 'boot_secs = 60', 'liveness_secs = 60', 'confirm_secs = 60'].join('\n')

/** Real processes; their trace outlives them. */
async function record(name: string): Promise<void> {
  const scenario = SCENARIOS.find((one) => one.name === name)
  if (scenario === undefined) throw new Error(`no scenario ${name}`)
  const rig = await Rig.create({ toml: PATIENT })
  try {
    rig.env = { HANDOFF_TRACE: traceOf(name) }
    await scenario.prepare(rig)
    await scenario.act(rig)
    await scenario.finished(rig)
  } finally {
    await rig.end()
  }
}

beforeAll(async () => {
  for (const name of NAMES) await record(name)
  // Three real swaps in a row, each with a supervisor of its own.
}, 300_000)
afterAll(() => rmSync(kept, { recursive: true, force: true }))

const files = (name: string) =>
  readdirSync(traceOf(name)).map((file) => {
    const path = join(traceOf(name), file)
    return { file: path, lines: readFileSync(path, 'utf8').trimEnd().split('\n') }
  })
const check = (lines: readonly string[]) => checkTrace([{ file: 'a trace', text: `${lines.join('\n')}\n` }])
const step = (line: string | undefined) => JSON.parse(line ?? '') as TraceStep
const supervisorOf = (name: string) => files(name).find(({ file }) => file.includes('supervisor-'))?.lines ?? []

describe('traces of real processes', () => {
  test.each(NAMES)('%s: every step of every process is one that the machines know', (name) => {
    const result = checkTraceFiles(traceOf(name))
    expect(result.refusal).toBeNull()
    expect(result).toMatchObject({ conforms: true, files: 3, unfollowed: 0 })
    const steps = files(name).flatMap(({ lines }) => lines.slice(1).map(step))
    expect(result.steps).toBe(steps.length)
    const ended = steps.find(
      ({ machine, event }) => machine === 'supervisor' && event.type === 'xstate.done.actor.swap',
    )
    expect(ended?.event.output).toMatchObject({
      result: EVENTS[name],
      ...(name.startsWith('incumbent dies') ? { failover: true } : {}),
    })
  })

  test('one file that all processes append to is read like one for each', () => {
    const lines = files('swap').flatMap((file) => file.lines)
    expect(check(lines)).toMatchObject({ conforms: true, sessions: checkTraceFiles(traceOf('swap')).sessions })
  })

  test('any line but the last that is missing is noticed at the next one of its process', () => {
    for (const { lines } of NAMES.flatMap(files)) {
      for (let at = 1; at < lines.length - 1; at++) {
        const { refusal } = check(lines.filter((_, index) => index !== at))
        expect(refusal).toMatchObject({ line: at + 1, differs: 'order' })
      }
    }
  })

  test('any two lines in each other’s places are noticed at the first of them', () => {
    for (const { lines } of files('swap')) {
      for (let at = 1; at < lines.length - 1; at++) {
        const other = lines.toSpliced(at, 2, lines[at + 1] ?? '', lines[at] ?? '')
        expect(check(other).refusal).toMatchObject({ line: at + 1, differs: 'order' })
      }
    }
  })

  test('any state, effect or status that the program did not have is noticed in its own line', () => {
    for (const { lines } of files('swap')) {
      for (let at = 1; at < lines.length; at++) {
        const told = step(lines[at])
        const altered: [string, object][] = [
          ['state', { ...told, state: 'elsewhere' }],
          ['actions', { ...told, actions: [...told.actions, { type: 'releaseLock' }] }],
          ['status', { ...told, status: told.status === undefined ? 'done' : undefined }],
          ['machine', { ...told, machine: 'arbiter' }],
        ]
        for (const [differs, record] of altered) {
          const { refusal } = check(lines.toSpliced(at, 1, JSON.stringify(record)))
          expect(refusal).toMatchObject({ line: at + 1, differs, session: told.session, event: told.event.type })
        }
      }
    }
  })

  test('an event that is unknown, a timer that is not armed and an actor that does not run are refused', () => {
    const lines = supervisorOf('swap')
    const at = lines.findIndex((line) => line.includes('"incumbent.sealed"'))
    const instead = (event: object) =>
      check(lines.toSpliced(at, 1, JSON.stringify({ ...step(lines[at]), event }))).refusal
    const where = { line: at + 1, machine: 'swap', state: 'attempting.sealing.listening', differs: 'event' }
    expect(instead({ type: 'broker.melted' })).toMatchObject({ ...where, says: 'the machine knows no such event' })
    expect(instead({ type: 'xstate.after.confirmMs.swap.verifying' })).toMatchObject({
      ...where,
      says: 'this timer is not armed',
    })
    expect(instead({ type: 'xstate.done.actor.dialIncumbent' })).toMatchObject({ ...where, says: 'no such actor runs' })
  })

  test('a Commit to the incumbent before the successor has proven itself is no step of the model', () => {
    const lines = supervisorOf('swap')
    const at = lines.findIndex((line) => line.includes('"successor.becameReady"'))
    const early = { type: 'sendToIncumbent', params: { kind: 'Commit' } }
    const told = step(lines[at])
    const { refusal } = check(lines.toSpliced(at, 1, JSON.stringify({ ...told, actions: [...told.actions, early] })))
    expect(refusal).toMatchObject({ line: at + 1, machine: 'swap', differs: 'actions', event: 'successor.becameReady' })
    expect(refusal?.recorded).toContainEqual(early)
    expect(refusal?.expected).not.toContainEqual(early)
  })

  test('half a line that a killed process left at the end is no complaint, half a line before it is one', () => {
    const lines = supervisorOf('swap')
    const torn = `${lines.join('\n')}\n${lines.at(-1)?.slice(0, 40)}`
    expect(checkTrace([{ file: 'torn', text: torn }])).toMatchObject({ conforms: true })
    expect(check(lines.toSpliced(3, 1, '{"t":'))).toMatchObject({ refusal: { line: 4, differs: 'line' } })
  })

  test('of a trace whose beginning was overwritten the rest is still checked, and what cannot be followed is counted', () => {
    const dir = join(kept, 'cut')
    mkdirSync(dir)
    const lines = supervisorOf('swap')
    const at = lines.findIndex((line) => line.includes('"machine":"swap"'))
    const write = (name: string, part: readonly string[]) => writeFileSync(join(dir, name), `${part.join('\n')}\n`)
    write('s.ndjson.1', [lines[0] ?? '', ...lines.slice(at, at + 4)])
    write('s.ndjson', [lines[0] ?? '', ...lines.slice(at + 4)])
    expect(checkTraceFiles(join(dir, 's.ndjson'))).toMatchObject({
      conforms: true,
      files: 2,
      sessions: 1,
      unfollowed: 1,
    })
    renameSync(join(dir, 's.ndjson.1'), join(dir, 'away'))
    expect(checkTraceFiles(dir)).toMatchObject({ conforms: false, refusal: { line: 2, differs: 'order' } })
  })
})

describe('handoff check --trace', () => {
  function run(path: string, json = false): { code: number; out: string } {
    let out = ''
    const io = {
      out: (text: string) => {
        out += text
      },
    } as unknown as Parameters<typeof checkTraceCommand>[2]
    return { code: checkTraceCommand(path, json, io), out }
  }

  test('tells in a line that a run conforms, and exits with 0', () => {
    const { code, out } = run(traceOf('swap'))
    expect(code).toBe(0)
    expect(out).toMatch(/^conforms: \d+ steps of \d+ machines in 3 files\n$/)
  })

  test('names file, line, machine, state and event of the first step that is unknown, and exits with 1', () => {
    const path = join(kept, 'altered.ndjson')
    const lines = supervisorOf('undone after Ready')
    const at = lines.findIndex((line) => line.includes('"incumbent.drained"'))
    writeFileSync(
      path,
      `${lines.toSpliced(at, 1, JSON.stringify({ ...step(lines[at]), state: 'verifying' })).join('\n')}\n`,
    )
    const { code, out } = run(path)
    expect(code).toBe(1)
    expect(out).toContain(`${path}:${at + 1}: it leads elsewhere`)
    for (const part of ['swap (pid ', 'attempting.draining.listening', 'incumbent.drained', '"verifying"'])
      expect(out).toContain(part)
    const json = run(path, true)
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({
      conforms: false,
      refusal: { file: path, line: at + 1, differs: 'state' },
    })
  })

  test('what is no trace is no proof', () => {
    const path = join(kept, 'empty.ndjson')
    writeFileSync(path, '')
    expect(() => run(path)).toThrow(/holds no step/)
    expect(() => run(join(kept, 'nothing'))).toThrow(/is no trace/)
  })
})

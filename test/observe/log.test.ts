import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createLog, LOG_EVENTS, type LogOptions } from '../../src/observe/log.js'
import { plainLine } from '../../src/observe/plain-line.js'

function lines(options: LogOptions, speak: (log: ReturnType<typeof createLog>) => void): string[] {
  const written: string[] = []
  speak(createLog({ ...options, to: { write: (line) => void written.push(line) } }))
  return written
}

test('JSON: time, pid, who speaks, the event’s name', () => {
  const [line] = lines({ base: { role: 'supervisor' } }, (log) =>
    log.info({ event: LOG_EVENTS.sealComplete }, 'sealed'),
  )
  expect(JSON.parse(line as string)).toMatchObject({
    level: 30,
    pid: process.pid,
    role: 'supervisor',
    event: 'handoff.seal_complete',
    msg: 'sealed',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  })
})

test('the names of the wire spec, all of them', () => {
  expect(Object.values(LOG_EVENTS).map((name) => name.replace('handoff', ''))).toEqual([
    '.prepare',
    '.drained',
    '.seal',
    '.seal_complete',
    '.ready',
    '.commit',
    '.abort',
    '.resume',
  ])
})

test('plain: one line a person can read, errors by code and message', () => {
  const [first, second] = lines({ format: 'plain' }, (log) => {
    log.warn({ event: LOG_EVENTS.abort, code: 1, why: 'two words' }, 'rolled back')
    log.error({ err: Object.assign(new Error('full'), { code: 'ENOSPC' }) }, 'journal')
  })
  expect(first).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}handoff\.abort rolled back code=1 why="two words"\n$/)
  expect(second).toMatch(/ ERROR journal error="ENOSPC: full"\n$/)
  expect(second).not.toContain(' at ')
})

test('colour only when asked for', () => {
  const json = '{"level":50,"time":"2026-01-02T03:04:05.678Z","pid":1,"msg":"x"}\n'
  expect(plainLine(json, false)).toBe('03:04:05.678 ERROR x\n')
  expect(plainLine(json, true)).toBe('03:04:05.678 \x1b[31mERROR\x1b[0m x\n')
})

test('the level hides what is below it, and an unknown one is refused with the known ones', () => {
  expect(lines({ level: 'warn' }, (log) => log.info('quiet'))).toEqual([])
  expect(() => createLog({ level: 'loud' })).toThrow(
    expect.objectContaining({
      code: 'ERR_HANDOFF_USAGE_LOG_LEVEL',
      todo: expect.stringContaining('trace, debug, info'),
    }),
  )
})

const child = (script: string, around: (command: string) => string): string => {
  const source = new URL('../../src/observe/log.ts', import.meta.url).href
  const loader = fileURLToPath(new URL('../fixtures/ts.mjs', import.meta.url))
  const program = `const { createLog } = await import(${JSON.stringify(source)}); const log = createLog({}); ${script}`
  const shell = around('"$0" --import "$1" --input-type=module -e "$2"')
  return execFileSync('/bin/sh', ['-c', shell, process.execPath, loader, program], { encoding: 'utf8' })
}

test('the last line before an abrupt end is written', () => {
  expect(
    child(`log.info('last words'); process.kill(process.pid, 'SIGKILL')`, (command) => `${command} 2>&1 || true`),
  ).toContain('last words')
})

test('a log that nobody reads any more, or that has no room, takes nobody down', () => {
  const script = `for (let i = 0; i < 100; i += 1) log.info('into the void'); process.stdout.write('alive')`
  // stdout goes past the pipe to the test; stderr into a pipe whose reader is gone before the first line.
  expect(child(script, (command) => `{ ${command} 2>&1 >&3 | true; } 3>&1`)).toBe('alive')
  expect(child(script, (command) => `${command} 2>/dev/full`)).toBe('alive')
})

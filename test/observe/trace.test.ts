import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createActor, fromPromise, type InspectionEvent, setup } from 'xstate'
import { plain, Trace, type TraceStep } from '../../src/observe/trace.js'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'handoff-trace-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const machine = setup({
  types: { input: {} as { limit: number }, events: {} as { type: 'asked'; bytes?: Uint8Array } },
  actions: { tell: (_, _params: { kind: string }) => {} },
  actors: { work: fromPromise(async () => 7n) },
}).createMachine({
  id: 'little',
  initial: 'idle',
  states: {
    idle: { on: { asked: { target: 'passing', actions: { type: 'tell', params: { kind: 'started' } } } } },
    passing: { always: 'working' },
    working: { invoke: { src: 'work', id: 'work', onDone: 'done' } },
    done: { type: 'final' },
  },
})

async function run(observe: (event: InspectionEvent) => void): Promise<void> {
  const actor = createActor(machine, { input: { limit: 3 }, inspect: observe })
  const ended = new Promise<void>((resolve) => actor.subscribe({ complete: resolve }))
  actor.start()
  actor.send({ type: 'asked', bytes: Uint8Array.of(0, 255) })
  await ended
}

const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('the trace', () => {
  test('begins with what it was made by, and has a line for each step with event, states and effects', async () => {
    const trace = new Trace({ to: dir, role: 'daemon' })
    await run((event) => trace.observe(event))
    trace.close()
    const [head, ...steps] = linesOf(join(dir, `daemon-${process.pid}.ndjson`))
    expect(head).toMatchObject({ trace: 1, pid: process.pid, role: 'daemon', node: process.version })
    expect(head.xstate).toMatch(/^5\./)
    expect(steps.map(({ n }: TraceStep) => n)).toEqual([1, 2, 3])
    expect(steps.map(({ n, t, pid, session, ...step }: TraceStep) => step)).toEqual([
      { machine: 'little', event: { type: 'xstate.init', input: { limit: 3 } }, state: 'idle', actions: [] },
      {
        machine: 'little',
        event: { type: 'asked', bytes: { $hex: '00ff' } },
        from: 'idle',
        state: 'working',
        through: ['passing', 'working'],
        actions: [{ type: 'tell', params: { kind: 'started' } }, { type: 'xstate.spawnChild' }],
      },
      {
        machine: 'little',
        event: { type: 'xstate.done.actor.work', output: { $bigint: '7' }, actorId: 'work' },
        from: 'working',
        state: 'done',
        actions: [{ type: 'xstate.stopChild' }],
        status: 'done',
      },
    ])
  })

  test('is bounded: a full file becomes <name>.1 and the next begins with a head of its own', async () => {
    const path = join(dir, 't.ndjson')
    const trace = new Trace({ to: path, role: 'daemon', maxBytes: 600 })
    for (let i = 0; i < 10; i++) await run((event) => trace.observe(event))
    trace.close()
    for (const file of [path, `${path}.1`]) {
      expect(linesOf(file)[0]).toMatchObject({ trace: 1 })
      expect(statSync(file).size).toBeLessThan(600 + 400)
    }
    expect(existsSync(`${path}.2`)).toBe(false)
  })

  test('a trace that cannot be written ends, and what it watched goes on', async () => {
    const full = join(dir, 'full.ndjson')
    symlinkSync('/dev/full', full)
    const trace = new Trace({ to: full, role: 'daemon' })
    await run((event) => trace.observe(event))
    trace.close()
  })

  test('living objects, functions and errors become data or nothing', () => {
    const error = Object.assign(new Error('no'), { code: 'EIO' })
    expect(plain({ error, f: () => {}, actor: { sessionId: 'x:1' }, list: [1n] })).toEqual({
      error: { $error: 'no', code: 'EIO' },
      f: undefined,
      actor: undefined,
      list: [{ $bigint: '1' }],
    })
  })
})

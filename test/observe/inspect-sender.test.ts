import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createActor, createMachine } from 'xstate'
import { InspectSender } from '../../src/observe/inspect-sender.js'
import { inspectTap, watchedBy } from '../../src/observe/inspect-tap.js'
import { inspectAddress, toEnvironment } from '../../src/observe/inspect-target.js'
import { type Captured, capture } from '../../src/observe/inspection-messages.js'
import { openRelay, type Relay } from '../../src/observe/relay.js'

const log = pino({ level: 'silent' })
const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const lamp = createMachine({
  id: 'lamp',
  initial: 'off',
  states: { off: { on: { flip: 'on' } }, on: { on: { flip: 'off' } } },
})

interface Told {
  readonly type: string
  readonly sessionId: string
  readonly snapshot?: { readonly value?: string }
}

let dir: string
let relay: Relay | null
let told: Told[]
let look: () => void
const until = (holds: () => boolean) =>
  new Promise<void>((resolve) => {
    look = () => holds() && resolve()
    look()
  })
const openHere = async () => {
  relay = await openRelay({
    port: 0,
    socketPath: join(dir, 'c.sock.inspect'),
    pages: new Map(),
    log,
    onMessage(text) {
      told.push(JSON.parse(text))
      look()
    },
  })
  return relay
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sender-'))
  relay = null
  told = []
  look = () => {}
})
afterEach(async () => {
  await relay?.close()
  rmSync(dir, { recursive: true, force: true })
})

describe('where it sends', () => {
  test.each([
    [undefined, null],
    [false, null],
    [true, 'ws+unix:/run/c.sock.inspect:/produce'],
    ['unix:/tmp/x', 'ws+unix:/tmp/x:/produce'],
    ['ws://127.0.0.1:1/produce?token=a', 'ws://127.0.0.1:1/produce?token=a'],
  ])('%s means %s', (asked, address) => {
    expect(inspectAddress(asked, '/run/c.sock')).toBe(address)
  })

  test('an address that is none is told at once', () => {
    expect(() => inspectAddress('localhost', '/run/c.sock')).toThrow(
      expect.objectContaining({ code: 'ERR_HANDOFF_USAGE_INSPECT' }),
    )
  })

  test('a supervisor passes on what it was asked', () => {
    expect([toEnvironment(undefined), toEnvironment(false), toEnvironment(true), toEnvironment('ws://x/')]).toEqual([
      null,
      null,
      '1',
      'ws://x/',
    ])
  })
})

test('off means off: no hook in the machine at all', () => {
  expect(inspectTap({ buildId: '', inspect: false, controlSocket: '/x', log })).toBeNull()
  expect(watchedBy(null, undefined)).toEqual({})
})

test('what happened before the viewer came, and before the sender was loaded, arrives in order', async () => {
  const tap = inspectTap({ buildId: 'b', inspect: true, controlSocket: join(dir, 'c.sock'), log })
  const actor = createActor(lamp, watchedBy(tap?.as('incumbent'))).start()
  actor.send({ type: 'flip' })
  await openHere()
  await until(() => told.length === 5)
  expect(told.map(({ type, snapshot }) => snapshot?.value ?? type)).toEqual([
    '@xstate.actor',
    '@xstate.event',
    'off',
    '@xstate.event',
    'on',
  ])
  tap?.stop()
})

test('a viewer that comes again is told the definition and the present state', async () => {
  const tap = inspectTap({ buildId: 'b', inspect: true, controlSocket: join(dir, 'c.sock'), log })
  const actor = createActor(lamp, watchedBy(tap?.as('incumbent'))).start()
  await openHere()
  await until(() => told.length === 3)
  await relay?.close()
  actor.send({ type: 'flip' })
  told = []
  await openHere()
  await until(() => told.length === 2)
  expect(told.map(({ type, snapshot }) => `${type} ${snapshot?.value}`)).toEqual([
    '@xstate.actor undefined',
    '@xstate.snapshot on',
  ])
  tap?.stop()
})

test('without a viewer the queue is bounded, and the state is told when one comes', async () => {
  const address = `ws+unix:${join(dir, 'c.sock.inspect')}:/produce`
  const sender = new InspectSender({ address, by: { pid: 1, buildId: '', epoch: 'e' }, log, maxQueued: 10, retryMs: 5 })
  const take = (captured: Captured | null) => captured !== null && sender.take(captured)
  const actor = createActor(lamp, { inspect: (event) => take(capture(event, 'incumbent')) }).start()
  for (let i = 0; i < 101; i += 1) actor.send({ type: 'flip' })
  expect(sender.dropped).toBe(3 + 2 * 101 - 10)
  await openHere()
  await until(() => told.length === 2)
  expect(told[1]).toMatchObject({ type: '@xstate.snapshot', snapshot: { value: 'on' } })
  sender.stop()
})

test('the last words of a process that exits at once arrive', async () => {
  const program = join(dir, 'exits.ts')
  writeFileSync(
    program,
    `import { createActor, createMachine } from ${JSON.stringify(import.meta.resolve('xstate'))}
import { pino } from ${JSON.stringify(import.meta.resolve('pino'))}
import { inspectTap, watchedBy } from ${JSON.stringify(source('src/observe/inspect-tap.ts'))}
const tap = inspectTap({ buildId: '', inspect: true, controlSocket: process.argv[2], log: pino({ level: 'silent' }) })
const machine = createMachine({ id: 'm', initial: 'a', states: { a: { on: { go: 'b' } }, b: {} } })
const actor = createActor(machine, watchedBy(tap.as('successor'))).start()
process.stdin.once('data', () => { actor.send({ type: 'go' }); process.exit(0) })
`,
  )
  await openHere()
  const child = spawn(process.execPath, ['--import', source('test/fixtures/ts.mjs'), program, join(dir, 'c.sock')], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  await until(() => told.length === 3)
  child.stdin.write('go\n')
  expect(await once(child, 'exit')).toEqual([0, null])
  await until(() => told.at(-1)?.type === '@handoff.gone')
  expect(told.map(({ snapshot }) => snapshot?.value)).toContain('b')
})

test('a viewer that stopped reading costs a bounded amount, and the machine goes on', async () => {
  const here = await openHere()
  const address = `ws+unix:${join(dir, 'c.sock.inspect')}:/produce`
  const sender = new InspectSender({ address, by: { pid: 1, buildId: '', epoch: 'e' }, log, maxUnsentBytes: 64 * 1024 })
  while (here.counts().producers === 0) await new Promise((resolve) => setImmediate(resolve))
  const machine = createMachine({ id: 'm', context: { pad: 'x'.repeat(10_000) }, on: { beat: {} } })
  const take = (captured: Captured | null) => captured !== null && sender.take(captured)
  const actor = createActor(machine, { inspect: (event) => take(capture(event, 'incumbent')) }).start()
  // Within one turn of the loop nobody can read: as a viewer that is stopped.
  for (let i = 0; i < 2_000; i += 1) actor.send({ type: 'beat' })
  expect(sender.dropped).toBeGreaterThan(0)
  expect(actor.getSnapshot().status).toBe('active')
  sender.stop()
})

import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runGuarded } from '../../src/cli/main.js'
import { run as status } from '../../src/cli/status.js'
import { run as stop } from '../../src/cli/stop.js'
import { run as supervise } from '../../src/cli/supervise.js'
import { run as swap } from '../../src/cli/swap.js'
import type { SupervisorOptions } from '../../src/supervisor/types.js'
import { committed, FakeSupervisor, rolledBack } from '../supervisor/fake-supervisor.js'
import { FakeIo } from './support.js'

let dir: string
let config: string
let socket: string
let io: FakeIo
let supervisor: FakeSupervisor
let given: SupervisorOptions | null

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'handoff-supervise-'))
  config = join(dir, 'handoff.toml')
  socket = join(dir, 't.sock')
  io = new FakeIo()
  supervisor = new FakeSupervisor()
  given = null
  writeFileSync(
    config,
    `control_socket = "c.sock"\ntrigger_socket = "t.sock"\nbinary = "node"\nargs = ["kv.js"]\ncrash_loop_limit = 3`,
  )
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function start(...argv: string[]): Promise<number> {
  const run = (words: readonly string[], terminal: FakeIo) =>
    supervise(words, terminal, async () => (options) => {
      given = options
      return supervisor
    })
  return runGuarded(run as Parameters<typeof runGuarded>[0], ['--config', config, '--log-level', 'silent', ...argv], io)
}

/** Resolves once the trigger answers. */
async function answering(): Promise<void> {
  for (;;) {
    const connected = await new Promise<boolean>((resolve) => {
      const probe = createConnection(socket)
      probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
      probe.once('connect', () => probe.destroy())
    })
    if (connected) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('the config reaches the supervisor; SIGTERM stops in order, and the socket is gone', async () => {
  const exit = start()
  await answering()
  expect(given).toMatchObject({
    controlSocket: join(dir, 'c.sock'),
    binary: 'node',
    args: ['kv.js'],
    policy: { crashLoopLimit: 3, deadlineMs: 60_000 },
  })
  expect(supervisor.started).toBe(true)
  io.signal('SIGTERM')
  expect(await exit).toBe(0)
  expect(supervisor.stops).toBe(1)
  expect(existsSync(socket)).toBe(false)
  expect(io.handlers).toBe(0)
  expect(supervisor.subscribers).toBe(0)
})

test('a second signal asks a second time: the supervisor then ends at once', async () => {
  const exit = start()
  await answering()
  io.signal('SIGINT')
  io.signal('SIGINT')
  expect(await exit).toBe(0)
  expect(supervisor.stops).toBe(2)
})

test('handoff stop ends it, and is answered before', async () => {
  const exit = start()
  await answering()
  expect(await stop(['--config', config], new FakeIo())).toBe(0)
  expect(await exit).toBe(0)
})

test('handoff stop --leave ends the supervisor and leaves the program', async () => {
  const exit = start()
  await answering()
  expect(await stop(['--config', config, '--leave'], new FakeIo())).toBe(0)
  expect(await exit).toBe(0)
  expect(supervisor).toMatchObject({ stops: 0, leaves: 1 })
})

test('each outcome is told on stdout, once', async () => {
  for (const json of [false, true]) {
    io = new FakeIo()
    const exit = start(...(json ? ['--json'] : []))
    await answering()
    for (const [index, outcome] of [committed, rolledBack].entries()) {
      const handoffId = `00112233-4455-4677-8899-aabbccddee0${index}`
      const asked = supervisor.swapAsked()
      const swapped = swap(['--socket', socket], new FakeIo())
      await asked
      supervisor.finish({ ...outcome, handoffId })
      await swapped
    }
    io.signal('SIGTERM')
    await exit
    if (json)
      expect(
        io.stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line).result),
      ).toEqual(['committed', 'rolledBack'])
    else
      expect(io.stdout).toMatch(/^handoff {2}v1 → v2\n[\s\S]*\ncommitted [\s\S]*\nhandoff {2}v1\n[\s\S]*\nrolled back /)
    supervisor = new FakeSupervisor()
  }
})

test('the status can be asked for while the start still takes its time, and a stop ends the wait', async () => {
  supervisor.startResult = new Promise(() => {})
  const exit = start()
  await answering()
  expect(await status(['--socket', socket], new FakeIo())).toBe(0)
  io.signal('SIGTERM')
  expect(await exit).toBe(0)
})

test('a swap may be asked for while nothing serves yet: a new build can end a crash loop', async () => {
  supervisor.startResult = new Promise(() => {})
  const exit = start()
  await answering()
  const asked = supervisor.swapAsked()
  const swapped = swap(['--socket', socket], new FakeIo())
  await asked
  supervisor.finish(committed)
  expect(await swapped).toBe(0)
  io.signal('SIGTERM')
  await exit
})

test('who waits for a swap when the stop comes is told how it ended', async () => {
  const exit = start()
  await answering()
  const asked = supervisor.swapAsked()
  const operator = new FakeIo()
  const swapped = swap(['--socket', socket], operator)
  await asked
  io.signal('SIGTERM')
  expect(await swapped).toBe(10)
  expect(await exit).toBe(0)
})

test('a start that fails: exit 1, and nothing is left behind', async () => {
  supervisor.startResult = Promise.reject(new Error('no port'))
  expect(await start()).toBe(1)
  expect(supervisor.stops).toBe(1)
  expect(existsSync(socket)).toBe(false)
})

test('a second supervisor on the same sockets: exit 75, the first goes on', async () => {
  const exit = start()
  await answering()
  const first = supervisor
  supervisor = new FakeSupervisor()
  const second = new FakeIo()
  const original = io
  io = second
  expect(await start()).toBe(75)
  expect(supervisor.started).toBe(false)
  expect(second.stderr).toContain(`a supervisor already answers on ${socket}`)
  io = original
  expect(await status(['--socket', socket], new FakeIo())).toBe(0)
  io.signal('SIGTERM')
  expect(await exit).toBe(0)
  expect(first.stops).toBe(1)
})

test('missing directories of sockets and journal are made, for the owner alone', async () => {
  socket = join(dir, 'run/kv/t.sock')
  writeFileSync(
    config,
    'control_socket = "run/kv/c.sock"\ntrigger_socket = "run/kv/t.sock"\nbinary = "node"\njournal = "var/j"',
  )
  const exit = start()
  await answering()
  expect(statSync(join(dir, 'run/kv')).mode & 0o777).toBe(0o700)
  expect(existsSync(join(dir, 'var'))).toBe(true)
  io.signal('SIGTERM')
  expect(await exit).toBe(0)
})

test('a directory that cannot be made is named', async () => {
  writeFileSync(join(dir, 'file'), '')
  writeFileSync(config, 'control_socket = "file/c.sock"\ntrigger_socket = "t.sock"\nbinary = "node"')
  expect(await start()).toBe(64)
  expect(io.stderr).toMatch(/into .*\/file, which could not be made \((ENOTDIR|EEXIST)\)/)
  expect(given).toBeNull()
})

test('a binary that cannot run is told before anything is bound', async () => {
  writeFileSync(config, `control_socket = "c.sock"\ntrigger_socket = "t.sock"\nbinary = "./missing"`)
  expect(await start()).toBe(64)
  expect(io.stderr).toContain(`the binary '${join(dir, 'missing')}' cannot be run: there is no such file`)
  expect(given).toBeNull()
})

/** What a person gets who starts a daemon wrongly, or where it cannot run: one clear error, an exit status, no stack. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeFd, streamPair } from '../../src/os/fds.js'
import { bindListener } from '../../src/os/listeners.js'
import { SOCKET_PATH_LIMIT } from '../../src/os/unix-socket.js'
import { createSupervisor } from '../../src/supervisor/create-supervisor.js'
import { compiledProgram } from './compiled.js'
import { until, World } from './harness.js'

let dir: string
const fds: number[] = []
const children: ChildProcess[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'u-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  for (const fd of fds.splice(0)) closeFd(fd)
  rmSync(dir, { recursive: true, force: true })
})

interface Start {
  readonly env?: NodeJS.ProcessEnv
  readonly args?: readonly string[]
  readonly extra?: readonly number[]
}

function launch({ env = {}, args = [], extra = [] }: Start) {
  const paths = ['--data-dir', join(dir, 'data'), '--control-socket', join(dir, 'c.sock'), '--port', '0']
  const stdio: StdioOptions = ['ignore', 'ignore', 'pipe', ...extra]
  const child = spawn(process.execPath, [compiledProgram('examples/kv.js'), ...paths, ...args], {
    stdio,
    env: { ...process.env, HANDOFF_LOG_LEVEL: 'info', ...env },
  })
  children.push(child)
  return { child, ended: once(child, 'close'), stderr: text(child.stderr as NodeJS.ReadableStream) }
}

/** Ends by itself, with a status that is no success, and says why without a stack of ours. */
async function expectRefusal(start: Start, why: RegExp): Promise<number> {
  const { child, ended, stderr } = launch(start)
  await ended
  const said = await stderr
  expect(said).toMatch(why)
  expect(child.exitCode).toBeGreaterThan(0)
  return child.exitCode as number
}

function listenerFd(): number {
  const address = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
  const { fd } = bindListener({ name: 'http', address, backlog: 16 })
  fds.push(fd)
  return fd
}

describe('an environment that contradicts itself: status 64, three lines, nothing touched', () => {
  test.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ['a role nobody knows', { HANDOFF_ROLE: 'boss' }, /HANDOFF_ROLE is 'boss', not 'successor'/],
    ['no channel', { HANDOFF_ROLE: 'successor' }, /HANDOFF_SOCK_FD is missing/],
    ['a channel that is no number', { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3x' }, /HANDOFF_SOCK_FD is '3x'/],
    ['a negative channel', { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '-1' }, /HANDOFF_SOCK_FD is '-1'/],
    ['a channel that is stdout', { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '1' }, /HANDOFF_SOCK_FD is '1'/],
    ['a channel that is not open', { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '777' }, /fd 777 .* not open/],
    [
      'a number beyond every number',
      { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '9'.repeat(400) },
      /HANDOFF_SOCK_FD/,
    ],
    ['listeners that are no number', { LISTEN_FDS: 'many', LISTEN_FDNAMES: 'http' }, /LISTEN_FDS is 'many'/],
    [
      'more listeners than there are',
      { LISTEN_FDS: '3', LISTEN_FDNAMES: 'http:b:c' },
      /fd \d+ was announced as inherited/,
    ],
    ['too few names', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'http' }, /has 1 names for 2 descriptors/],
    ['a name twice', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:http' }, /names must be distinct and plain/],
    ['no name at all', { LISTEN_FDS: '1', LISTEN_FDNAMES: '' }, /names must be distinct and plain/],
    ['a pid that is no number', { LISTEN_PID: 'me', LISTEN_FDS: '1' }, /LISTEN_PID is 'me'/],
  ])('%s', async (_what, env, why) => {
    const { child, ended, stderr } = launch({ env })
    await ended
    const said = await stderr
    expect(said).toMatch(why)
    expect(said).toMatch(/^ERR_HANDOFF_INHERITED\w*: .+\n {2}now: .+\n {2}to do: .+\n$/)
    expect(child.exitCode).toBe(64)
    expect(readdirSync(dir)).toEqual([])
  })

  test.each<[string, () => number, RegExp]>([
    [
      'a file where a listener should be',
      () => streamPair().map((fd) => fds.push(fd) && fd)[0] as number,
      /nobody has called listen/,
    ],
  ])('%s', async (_what, open, why) => {
    const env = { LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' }
    expect(await expectRefusal({ env, extra: [open()] }, why)).toBe(64)
  })

  test('a listener where the channel should be', async () => {
    const env = { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3' }
    expect(await expectRefusal({ env, extra: [listenerFd()] }, /not a connected Unix socket/)).toBe(64)
  })

  test('a block that is meant for another process is ignored: the daemon serves on listeners of its own', async () => {
    const { child, ended, stderr } = launch({ env: { LISTEN_PID: '1', LISTEN_FDS: '7', LISTEN_FDNAMES: 'a:b' } })
    await until(() => readdirSync(dir).includes('c.sock'))
    child.kill('SIGTERM')
    await ended
    expect(child.exitCode).toBe(0)
    expect(await stderr).toContain('serving')
  })
})

describe('a place where it cannot run', () => {
  test('another process holds the data directory: status 75, and it says so', async () => {
    const first = launch({})
    await until(() => readdirSync(dir).includes('c.sock'))
    const start = { args: ['--control-socket', join(dir, 'other.sock')] }
    expect(await expectRefusal(start, /another process holds the data-dir lock/)).toBe(75)
    first.child.kill('SIGTERM')
    await first.ended
    expect(first.child.exitCode).toBe(0)
  })

  test('another daemon answers on the control path: status 73, and it is left alone', async () => {
    const first = launch({})
    await until(() => readdirSync(dir).includes('c.sock'))
    const start = { args: ['--data-dir', join(dir, 'other')] }
    expect(await expectRefusal(start, /already answers on the control socket/)).toBe(73)
    first.child.kill('SIGTERM')
    await first.ended
    expect(readdirSync(dir)).not.toContain('c.sock')
  })

  test('the data directory is a file', async () => {
    writeFileSync(join(dir, 'file'), '')
    await expectRefusal({ args: ['--data-dir', join(dir, 'file', 'data')] }, /ENOTDIR|cannot be locked|not a directory/)
  })

  test('the control socket’s directory does not exist', async () => {
    const start = { args: ['--control-socket', join(dir, 'missing', 'c.sock')] }
    expect(await expectRefusal(start, /cannot listen on .*missing\/c.sock/)).toBe(73)
  })

  test('its port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const start = { args: ['--port', String(port)] }
    expect(
      await expectRefusal(
        start,
        /^ERR_HANDOFF_LISTEN: cannot listen on http \(127\.0\.0\.1:\d+\): .*\n {2}now: .*\n {2}to do: /,
      ),
    ).toBe(1)
    server.close()
  })

  test.each([
    ['longer than the kernel takes', SOCKET_PATH_LIMIT + 1],
    ['one whose rendezvous socket would be longer', SOCKET_PATH_LIMIT - 2],
  ])('the control path is %s: told before anything is opened, by daemon and supervisor alike', async (_what, bytes) => {
    const path = `${dir}/${'s'.repeat(bytes - dir.length - 1)}`
    expect(
      await expectRefusal({ args: ['--control-socket', path] }, /the socket path .* bytes long, the kernel takes/),
    ).toBe(1)
    expect(readdirSync(dir)).toEqual([])
    const world = World.empty()
    const options = {
      ...world.supervisorOptions(),
      controlSocket: path,
      log: (await import('pino')).pino({ level: 'silent' }),
    }
    expect(() => createSupervisor(options)).toThrow(
      expect.objectContaining({ code: 'ERR_HANDOFF_SOCKET_PATH_TOO_LONG' }),
    )
    await world[Symbol.asyncDispose]()
  })

  test('the longest path that works, works: also its staging name is found a place', async () => {
    const path = `${dir}/${'s'.repeat(SOCKET_PATH_LIMIT - 4 - dir.length - 1)}`
    const { child, ended } = launch({ args: ['--control-socket', path] })
    await until(() => readdirSync(dir).some((name) => name.startsWith('sss') && !name.includes('.fds')))
    child.kill('SIGTERM')
    await ended
    expect(child.exitCode).toBe(0)
    expect(readdirSync(dir)).toEqual(['data'])
  })

  test('the pidfile cannot be written: it is a hint, so the daemon serves and a swap commits', async () => {
    await using world = await World.start()
    mkdirSync(join(world.dataDir, '.handoff.pidfile.blocked'))
    const incumbent = await world.incumbentPid()
    rmSync(join(world.dataDir, '.handoff.pidfile'))
    mkdirSync(join(world.dataDir, '.handoff.pidfile'))
    expect(await world.swap()).toMatchObject({ result: 'committed', previous: { pid: incumbent } })
    expect((await world.facts()).holdsLock).toHaveLength(1)
  })
})

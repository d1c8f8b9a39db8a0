import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

const example = (name: string) => fileURLToPath(new URL(`../../dist/examples/${name}`, import.meta.url))

let directory: string
const children: ChildProcess[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kv-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await rm(directory, { recursive: true, force: true })
})

/** A port that nobody listens on now. The daemon must be told one: alone, it inherits nothing. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [example(program), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    cwd: directory,
  })
  children.push(child)
  return { child, exited: once(child, 'exit'), stdout: text(child.stdout), stderr: text(child.stderr) }
}

function startKv(port: number, ...more: string[]) {
  const paths = ['--data-dir', join(directory, 'data'), '--control-socket', join(directory, 'control.sock')]
  return start('kv.js', [...paths, '--port', String(port), '--build-id', 'test', ...more])
}

const answers = (url: string) =>
  vi.waitUntil(
    () =>
      fetch(url).then(
        () => true,
        () => false,
      ),
    { timeout: 20_000 },
  )

describe('kv alone, without a supervisor', () => {
  test('serves, stops in order on SIGTERM, and goes on where it was', async () => {
    const port = await freePort()
    const base = `http://127.0.0.1:${port}`
    for (let generation = 0; generation < 2; generation += 1) {
      const kv = startKv(port)
      await answers(base)
      expect(await (await fetch(base)).json()).toEqual({
        pid: kv.child.pid,
        buildId: 'test',
        revision: generation,
        reason: 'coldStart',
      })
      const put = await fetch(`${base}/kv/key`, { method: 'PUT', body: `value ${generation}` })
      expect(await put.json()).toEqual({ revision: generation + 1 })
      expect(await (await fetch(`${base}/kv/key`)).text()).toBe(`value ${generation}`)
      kv.child.kill('SIGTERM')
      expect(await kv.exited).toEqual([0, null])
      expect(existsSync(join(directory, 'control.sock'))).toBe(false)
    }
  })

  test('is told to be unhealthy by the variable and says so', async () => {
    const port = await freePort()
    const args = ['--data-dir', join(directory, 'd'), '--control-socket', join(directory, 's'), '--port', String(port)]
    const kv = start('kv.js', args, { KV_FAULT: 'unhealthy' })
    await answers(`http://127.0.0.1:${port}`)
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(503)
    kv.child.kill('SIGTERM')
    await kv.exited
  })

  test('does not start when its store cannot be opened', async () => {
    const kv = startKv(await freePort(), '--fault', 'open-fails')
    const [status] = await kv.exited
    expect(status).toBeGreaterThan(0)
    expect(await kv.stderr).toContain('open fails, as told by the fault')
  })
})

describe('kv refuses with exit status 64 and says why', () => {
  const paths = ['--data-dir', 'd', '--control-socket', 's']
  test.each([
    [[], '--data-dir and --control-socket are needed'],
    [['--data-dir', 'd'], '--data-dir and --control-socket are needed'],
    [[...paths, '--port', '70000'], '--port 70000'],
    [[...paths, '--port', 'http'], '--port http'],
    [[...paths, '--port', '1', '--fault', 'hang,explode'], "unknown fault 'explode'"],
    [[...paths, '--port', '1', '--warm-up', '-1'], '--warm-up'],
    [[...paths, '--port', '1', '--warm-up', 'much'], '--warm-up much is no number'],
    [[...paths, '--porto', '1'], '--porto'],
    [[...paths, 'now'], 'now'],
    [paths, '--port is needed'],
  ])('%j', async (args, why) => {
    const kv = start('kv.js', args)
    expect(await kv.exited).toEqual([64, null])
    expect(await kv.stderr).toContain(why)
    expect(await kv.stdout).toBe('')
  })
})

test('kv --help goes to stdout', async () => {
  const kv = start('kv.js', ['--help'])
  expect(await kv.exited).toEqual([0, null])
  expect(await kv.stdout).toMatch(/^usage: kv /)
})

test('the minimal daemon counts, and its count survives an orderly stop', async () => {
  const port = await freePort()
  for (const first of [1, 3]) {
    const minimal = start('minimal.js', [join(directory, 'control.sock'), join(directory, 'data'), String(port)])
    const hit = async () => (await fetch(`http://127.0.0.1:${port}`)).text()
    const got: string[] = []
    await vi.waitUntil(
      async () => {
        got.push(await hit().catch(() => ''))
        return got.at(-1) !== ''
      },
      { timeout: 20_000 },
    )
    expect(got.at(-1)).toBe(`${minimal.child.pid} ${first}\n`)
    expect(await hit()).toBe(`${minimal.child.pid} ${first + 1}\n`)
    minimal.child.kill('SIGTERM')
    expect(await minimal.exited).toEqual([0, null])
  }
})

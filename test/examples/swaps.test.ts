import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sendOnce } from '../../examples/demo/load.js'
import { loadConfig } from '../../src/supervisor/config.js'
import { createSupervisor } from '../../src/supervisor/create-supervisor.js'
import type { Supervisor } from '../../src/supervisor/types.js'

const example = (name: string) => fileURLToPath(new URL(`../../dist/examples/${name}`, import.meta.url))

let directory: string
let supervisor: Supervisor | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swaps-'))
})
afterEach(async () => {
  await supervisor?.stop()
  supervisor = undefined
  await rm(directory, { recursive: true, force: true })
})

/** Starts a daemon under a supervisor. */
async function supervise(args: readonly string[], deadlineMs = 30_000): Promise<void> {
  supervisor = createSupervisor({
    controlSocket: join(directory, 'control.sock'),
    binary: process.execPath,
    args,
    env: [['HANDOFF_LOG_LEVEL', 'silent']],
    listeners: [{ name: 'http', addr: '127.0.0.1:0' }],
    policy: { deadlineMs },
    allowedUids: [],
    allowedBinaries: [],
    log: pino({ level: 'silent' }),
  })
  await supervisor.start()
}

/** On a connection of its own: an idle one may be closed by a committed swap just as the request sets out. */
async function ask(path: string, write?: string): Promise<string> {
  const [host = '', port] = supervisor?.status().listeners[0]?.address.split(':') ?? []
  const body = write === undefined ? {} : { body: Buffer.from(write) }
  const answer = await sendOnce(
    { host, port: Number(port) },
    { method: write === undefined ? 'GET' : 'PUT', path, ...body },
  )
  expect(answer.status).toBe(200)
  return answer.body.toString()
}

function kv(buildId: string, fault = ''): string[] {
  const paths = ['--data-dir', join(directory, 'data'), '--control-socket', join(directory, 'control.sock')]
  return [example('kv.js'), ...paths, '--build-id', buildId, '--fault', fault]
}

const about = async () => JSON.parse(await ask('/'))
const put = async (key: string, value: string) => JSON.parse(await ask(`/kv/${key}`, value))

test('the minimal daemon is handed off, and goes on counting where it was', async () => {
  await supervise([example('minimal.js'), join(directory, 'control.sock'), join(directory, 'data')])
  const hit = async () => (await ask('/')).trim().split(' ').map(Number)
  const [firstPid] = await hit()
  expect(await hit()).toEqual([firstPid, 2])
  const { result, incumbent } = (await supervisor?.swap()) ?? {}
  expect(result).toBe('committed')
  expect(incumbent?.pid).not.toBe(firstPid)
  expect(await hit()).toEqual([incumbent?.pid, 3])
})

describe('the key-value daemon', () => {
  test('takes its data, and its count of revisions, through swap after swap', async () => {
    await supervise(kv('v0'))
    for (let generation = 0; generation < 3; generation += 1) {
      expect(await put(`key${generation}`, `${generation}`)).toEqual({ revision: generation + 1 })
      expect(await about()).toMatchObject({
        buildId: `v${generation}`,
        reason: generation === 0 ? 'coldStart' : 'begin',
      })
      expect(await supervisor?.swap({ args: kv(`v${generation + 1}`) })).toMatchObject({ result: 'committed' })
    }
    for (let i = 0; i < 3; i += 1) expect(await ask(`/kv/key${i}`)).toBe(`${i}`)
  })

  test.each(['slow-drain=150', 'slow-drain-sync=150', 'slow-seal=150', 'slow-seal-sync=150'])(
    'is only slow as an incumbent with %s',
    async (fault) => {
      await supervise(kv('old', fault))
      expect(await supervisor?.swap({ args: kv('new') })).toMatchObject({ result: 'committed' })
      expect(await about()).toMatchObject({ buildId: 'new', reason: 'begin' })
    },
  )

  test.each(['slow-open=150', 'slow-open-sync=150'])('is only slow as a successor with %s', async (fault) => {
    await supervise(kv('old'))
    expect(await supervisor?.swap({ args: kv('new', fault) })).toMatchObject({ result: 'committed' })
    expect(await about()).toMatchObject({ buildId: 'new' })
  })

  test.each([
    ['drain-fails', 'ERR_HANDOFF_DRAIN_FAILED'],
    ['seal-fails', 'ERR_HANDOFF_SEAL_FAILED'],
  ])('goes on serving in the same process when its %s', async (fault, code) => {
    await supervise(kv('old', fault))
    const { pid } = await about()
    await put('a', 'kept')
    for (let swap = 0; swap < 2; swap += 1) {
      expect(await supervisor?.swap({ args: kv('new') })).toMatchObject({ result: 'rolledBack', code })
      expect(await about()).toMatchObject({ pid, buildId: 'old', revision: 1 + swap })
      expect(await ask('/kv/a')).toBe('kept')
      expect(await put('b', 'x')).toEqual({ revision: 2 + swap })
    }
  })

  test.each([
    ['crash-before-ready', /SUCCESSOR_(EXITED|DISCONNECTED)/],
    ['open-fails', /SUCCESSOR_(EXITED|DISCONNECTED)/],
    ['unhealthy', /SUCCESSOR_UNHEALTHY/],
    ['hang', /DEADLINE_TIMEOUT/],
  ])('is not replaced by a build with %s: the old one opens its store again, with every write', async (fault, code) => {
    await supervise(kv('old'), fault === 'hang' ? 5_000 : 30_000)
    const { pid } = await about()
    await put('a', 'kept')
    const outcome = await supervisor?.swap({ args: kv('new', fault) })
    expect(outcome).toMatchObject({ result: 'rolledBack', code: expect.stringMatching(code), incumbent: { pid } })
    expect(await about()).toEqual({ pid, buildId: 'old', revision: 1, reason: 'reopen' })
    expect(await ask('/kv/a')).toBe('kept')
    expect(await supervisor?.swap({ args: kv('mended') })).toMatchObject({ result: 'committed' })
    expect(await about()).toMatchObject({ buildId: 'mended', revision: 1 })
  })
})

test('handoff.toml is a valid config whose primitive gets the listener and control socket that it names', () => {
  const config = loadConfig(fileURLToPath(new URL('../../examples/handoff.toml', import.meta.url)))
  expect(config.listeners.map(({ name }) => name)).toEqual(['http'])
  expect(config.args[config.args.indexOf('--control-socket') + 1]).toBe(config.controlSocket)
})

/** A build that is only rehearsed: it comes up beside the one that serves, is looked at, and is gone; nobody was disturbed. */
import { describe, expect, test } from 'vitest'
import { isAlive } from '../../src/os/processes.js'
import { UNHARMED } from '../supervisor/clients.js'
import { gone, until, World } from './harness.js'

/** The same process serves as before, on every count, and no other one of this world lives. */
async function expectUndisturbed(world: World, before: number) {
  expect(await world.facts()).toEqual({ accepts: before, answers: before, holdsLock: [before], known: before })
  const others = world.processes().filter(({ pid }) => pid !== before && pid !== world.supervisor.pid)
  expect(others).toEqual([])
  expect(world.story({ hook: 'open' })).toHaveLength(1)
  expect(world.story({ hook: 'drain' })).toEqual([])
  expect(world.story({ hook: 'seal' })).toEqual([])
}

describe('a rehearsal', () => {
  test('under load: the build comes up, is measured and gone; no client and no hook of the incumbent notices', async () => {
    await using world = await World.start()
    const before = await world.incumbentPid()
    const clients = await world.clients()
    const report = await world.rehearse({ id: 'v2' })
    await clients.answered()
    expect(await clients.finish()).toMatchObject(UNHARMED)
    const address = (await world.status()).listeners[0]?.address
    expect(report).toMatchObject({
      passed: true,
      code: null,
      reason: null,
      process: { buildId: 'v2' },
      endedBy: 'Abort',
      exit: { code: 77, signal: null },
      inherits: [{ name: 'http', address }],
    })
    expect(report.helloMs).toBeGreaterThan(0)
    expect(report.totalMs).toBeGreaterThanOrEqual(report.helloMs ?? Number.POSITIVE_INFINITY)
    expect(report.memory?.rss).toBeGreaterThan(10_000_000)
    expect(report.memory?.peak).toBeGreaterThanOrEqual(report.memory?.rss ?? Number.POSITIVE_INFINITY)
    expect(world.story({ rehearsal: true }).map(({ pid }) => pid)).toEqual([report.process?.pid])
    await expectUndisturbed(world, before)
    expect(world.files().sort()).toEqual(['control.sock', 'control.sock.fds'])
    // What passed is what a swap then does.
    expect(await world.swap({ id: 'v2' })).toMatchObject({ result: 'committed' })
  })

  test.each([
    ['its prepare fails', { prepare: 'throw' }, 'ERR_HANDOFF_SUCCESSOR_EXITED', /: the prepare hook failed$/, null],
    ['it exits on its own', { prepare: 'exit=3' }, 'ERR_HANDOFF_SUCCESSOR_EXITED', /: exit status 3$/, null],
    ['it crashes', { prepare: 'crash' }, 'ERR_HANDOFF_SUCCESSOR_EXITED', /: killed by SIGKILL$/, null],
    ['its prepare hangs', { prepare: 'hang' }, 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT', /no Hello in time/, 'Abort'],
    ['its prepare blocks', { prepare: 'block=60000' }, 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT', /no Hello/, 'SIGKILL'],
  ] as const)('%s: it is said so, and nobody was disturbed', async (_what, behave, code, reason, endedBy) => {
    // Only for those that never say Hello; the others say what they do long before.
    const policy = code === 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT' ? { successorBootMs: 3_000 } : {}
    await using world = await World.start({ policy: { ...policy, successorKillGraceMs: 200 } })
    const before = await world.incumbentPid()
    const report = await world.rehearse({ behave })
    expect(report).toMatchObject({ passed: false, code, endedBy, helloMs: null, reason: expect.stringMatching(reason) })
    await expectUndisturbed(world, before)
    if (endedBy === 'SIGKILL') world.forgiveFiles()
  })

  test('what cannot be started, or is no daemon of this protocol, fails with its reason', async () => {
    await using world = await World.start()
    const before = await world.incumbentPid()
    const missing = await world.supervisor.rehearse({ binary: '/nowhere/kv' })
    expect(missing).toMatchObject({ passed: false, code: 'ERR_HANDOFF_SPAWN', process: null, exit: null })
    expect(missing.reason).toContain('/nowhere/kv')
    expect(await world.supervisor.rehearse({ binary: process.execPath, args: ['-e', '0'] })).toMatchObject({
      passed: false,
      code: 'ERR_HANDOFF_SUCCESSOR_EXITED',
      exit: { code: 0, signal: null },
    })
    await expectUndisturbed(world, before)
  })
})

describe('what is more important ends it', () => {
  test('a swap: the rehearsed process is killed, the swap commits', async () => {
    await using world = await World.start()
    const rehearsal = world.rehearse({ behave: { prepare: 'hang' } })
    const { pid } = await world.told({ rehearsal: true })
    expect((await world.status()).state).toMatch(/^serving\.rehearsing\./)
    expect(await world.swap({ id: 'v2' })).toMatchObject({ result: 'committed', incumbent: { buildId: 'v2' } })
    expect(await rehearsal).toMatchObject({
      passed: false,
      code: 'ERR_HANDOFF_CANCELLED',
      reason: expect.stringContaining('more important'),
      endedBy: 'SIGKILL',
    })
    expect(isAlive(pid)).toBe(false)
    world.forgiveFiles()
  })

  test('the death of the incumbent: a fresh one is started at once, the rehearsed one never takes its place', async () => {
    await using world = await World.start()
    const before = await world.incumbentPid()
    const rehearsal = world.rehearse({ behave: { prepare: 'hang' } })
    const { pid } = await world.told({ rehearsal: true })
    await world.kill(before)
    expect(await rehearsal).toMatchObject({ passed: false, code: 'ERR_HANDOFF_CANCELLED' })
    await until(async () => (await world.status()).incumbent !== null)
    const { accepts, answers, holdsLock, known } = await world.facts()
    expect([before, pid]).not.toContain(accepts)
    expect([answers, holdsLock, known]).toEqual([accepts, [accepts], accepts])
  })

  test('a stop of the supervisor: nothing is left', async () => {
    await using world = await World.start()
    const rehearsal = world.rehearse({ behave: { prepare: 'hang' } })
    await world.told({ rehearsal: true })
    await world.supervisor.stop()
    expect(await rehearsal).toMatchObject({ passed: false, code: 'ERR_HANDOFF_CANCELLED' })
    expect(world.processes()).toEqual([])
    world.forgiveFiles()
  })

  test('the death of the supervisor: the rehearsed process ends by itself, the next supervisor adopts the incumbent', async () => {
    await using world = await World.start({ supervisor: 'child' })
    const before = await world.incumbentPid()
    const rehearsal = world.rehearse({ behave: { prepare: 'hang' } }).catch((error: Error) => error.message)
    const { pid } = await world.told({ rehearsal: true })
    await world.supervisorProcess.kill()
    expect(await rehearsal).toMatch(/the supervisor is gone/)
    await gone(pid)
    await world.supervise()
    await expectUndisturbed(world, before)
  })
})

test('one at a time, and none while a swap runs: refused, and what is under way goes on', async () => {
  await using world = await World.start()
  const refused = expect.objectContaining({ code: 'ERR_HANDOFF_STATE_REHEARSAL_REFUSED' })
  const rehearsal = world.rehearse({ behave: { prepare: 'gate=gate-1' } })
  await expect(world.rehearse()).rejects.toEqual(refused)
  await world.told({ rehearsal: true })
  await expect(world.rehearse()).rejects.toEqual(refused)
  world.openGate('gate-1')
  expect(await rehearsal).toMatchObject({ passed: true })
  const swap = world.swap({ id: 'v2', behave: { prepare: 'gate=gate-2' } })
  await expect(world.rehearse()).rejects.toEqual(refused)
  world.openGate('gate-2')
  expect(await swap).toMatchObject({ result: 'committed' })
})

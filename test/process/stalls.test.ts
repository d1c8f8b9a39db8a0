/** SIGSTOP of each role, and probation: what stands still, or dies late, never takes the service with it. */
import { describe, expect, test } from 'vitest'
import { until, World } from './harness.js'

const BEATING = { heartbeatPeriodMs: 100, deadlineSlackMs: 100 }

async function expectServes(world: World, pid: number) {
  expect(await world.facts()).toEqual({ accepts: pid, answers: pid, holdsLock: [pid], known: pid })
}

describe('a stopped successor', () => {
  test.each([
    ['before its Hello', 'prepare', 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT'],
    ['with the lock in its hand', 'begin', 'ERR_HANDOFF_SUCCESSOR_SILENT'],
  ])('%s is killed, and the incumbent serves', async (_when, hook, code) => {
    const policy = { livenessMs: 600, successorBootMs: 3_000, successorKillGraceMs: 100 }
    await using world = await World.start({ policy, daemonPolicy: BEATING })
    const incumbent = await world.incumbentPid()
    const clients = await world.clients()
    const swap = world.swap({ behave: { [hook]: 'gate=gate' } })
    const { pid } = await world.told({ build: 'v2', hook })
    process.kill(pid, 'SIGSTOP')
    expect(await swap).toMatchObject({ result: 'rolledBack', code })
    await expectServes(world, incumbent)
    await clients.expectUnnoticed()
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })
})

describe('a stopped incumbent', () => {
  test('that never wakes is replaced by a fresh start, and the listeners stay open meanwhile', async () => {
    const policy = { livenessMs: 1_000, greetingMs: 1_000, resumeBudgetMs: 2_000, confirmMs: 1_000 }
    await using world = await World.start({ behave: { drain: 'gate=gate' }, policy, daemonPolicy: BEATING })
    const incumbent = await world.incumbentPid()
    const revision = await world.put('a', '1')
    const swap = world.swap()
    await world.told({ pid: incumbent, hook: 'drain' })
    process.kill(incumbent, 'SIGSTOP')
    // Asked while nobody serves: it waits in the queue and is answered by the fresh process.
    const waiting = world.root()
    expect(await swap).toMatchObject({ result: 'nobodyServes', code: 'ERR_HANDOFF_INCUMBENT_SILENT' })
    expect(await waiting).toMatchObject({ revision, reason: 'coldStart' })
    world.openGate('gate')
    await until(async () => (await world.status()).incumbent !== null)
    await expectServes(world, (await waiting).pid)
    expect(world.processes().map(({ pid }) => pid)).not.toContain(incumbent)
  })

  test('that wakes after the swap was given up serves as before: it was never asked for anything', async () => {
    await using world = await World.start({ policy: { greetingMs: 1_500 }, daemonPolicy: BEATING })
    const incumbent = await world.incumbentPid()
    process.kill(incumbent, 'SIGSTOP')
    const swap = world.swap()
    await world.told({ build: 'v2', hook: 'prepare' })
    await until(() => world.processes().every(({ pid }) => pid === incumbent))
    process.kill(incumbent, 'SIGCONT')
    expect(await swap).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_INCUMBENT_UNREACHABLE' })
    await expectServes(world, incumbent)
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })
})

describe('a stopped supervisor', () => {
  test('before Begin: the incumbent serves again by its own clock, long before the supervisor wakes', async () => {
    await using world = await World.start({
      supervisor: 'child',
      policy: { deadlineMs: 3_000 },
      behave: { drain: 'gate=gate' },
      daemonPolicy: BEATING,
    })
    const incumbent = await world.incumbentPid()
    const target = await world.target()
    const swap = world.swap()
    await world.told({ pid: incumbent, hook: 'drain' })
    process.kill(world.supervisor.pid, 'SIGSTOP')
    world.openGate('gate')
    // Drained, and nobody says what next.
    await until(async () => (await world.hello())?.pid === incumbent)
    expect(target.port).toBeGreaterThan(0)
    process.kill(world.supervisor.pid, 'SIGCONT')
    expect(await swap).toMatchObject({ result: 'rolledBack', incumbent: { pid: incumbent } })
    await expectServes(world, incumbent)
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })

  test('after Begin: the successor goes live by its own clock; the supervisor wakes, looks once more, and says so', async () => {
    await using world = await World.start({
      supervisor: 'child',
      policy: { deadlineMs: 3_000 },
      daemonPolicy: BEATING,
    })
    const incumbent = await world.incumbentPid()
    const clients = await world.clients()
    const swap = world.swap({ behave: { begin: 'gate=gate' } })
    const { pid } = await world.told({ build: 'v2', hook: 'begin' })
    process.kill(world.supervisor.pid, 'SIGSTOP')
    world.openGate('gate')
    await until(async () => (await world.hello())?.pid === pid)
    // It serves clients while the supervisor still sleeps.
    await clients.answered()
    process.kill(world.supervisor.pid, 'SIGCONT')
    expect(await swap).toMatchObject({ result: 'committed', incumbent: { pid } })
    await until(() => world.processes().every((known) => known.pid !== incumbent))
    await expectServes(world, pid)
    await clients.expectUnnoticed()
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })
})

describe('probation', () => {
  async function inProbation(world: World) {
    const swap = world.swap()
    await until(async () => (await world.status()).swap?.phase === 'probation')
    const successor = (await world.hello())?.pid as number
    return { swap, successor }
  }

  test('the successor is killed in it: the incumbent is back without a process start, writes of both kept (INV-03)', async () => {
    await using world = await World.start({ policy: { probationMs: 600_000 } })
    const incumbent = await world.incumbentPid()
    const before = await world.put('a', 'before')
    const { swap, successor } = await inProbation(world)
    expect(successor).not.toBe(incumbent)
    const clients = await world.clients()
    const during = await world.put('a', 'during')
    expect(during).toBeGreaterThan(before)
    process.kill(successor, 'SIGKILL')
    expect(await swap).toMatchObject({
      result: 'rolledBack',
      code: 'ERR_HANDOFF_SUCCESSOR_EXITED',
      reason: expect.stringMatching(/killed by SIGKILL/),
      incumbent: { pid: incumbent },
    })
    await expectServes(world, incumbent)
    expect(await world.root()).toMatchObject({ reason: 'reopen' })
    // What the death itself cut off is the clients' to see; what was acknowledged is there.
    await clients.expectUnnoticed(['reset', 'failed', 'writesUnanswered'])
    expect(world.story({ hook: 'coldStart' })).toHaveLength(1)
  })

  test('the operator stops in it: the incumbent is asked back first, then stopped in order', async () => {
    await using world = await World.start({ policy: { probationMs: 600_000 } })
    const incumbent = await world.incumbentPid()
    const { swap } = await inProbation(world)
    const stopped = world.supervisor.stop()
    expect(await swap).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_CANCELLED' })
    await stopped
    expect(world.story({ pid: incumbent }).map(({ hook }) => hook)).toEqual(expect.arrayContaining(['reopen', 'close']))
  })

  test('it passes: committed, and only then the incumbent exits', async () => {
    await using world = await World.start({ policy: { probationMs: 500 } })
    const incumbent = await world.incumbentPid()
    const clients = await world.clients()
    const { swap, successor } = await inProbation(world)
    expect(world.processes().map(({ pid }) => pid)).toContain(incumbent)
    expect(await swap).toMatchObject({ result: 'committed', incumbent: { pid: successor } })
    await clients.expectUnnoticed()
  })

  test('the incumbent dies in it: there is no way back, and none is needed', async () => {
    await using world = await World.start({ policy: { probationMs: 600_000 } })
    const incumbent = await world.incumbentPid()
    const { swap, successor } = await inProbation(world)
    process.kill(incumbent, 'SIGKILL')
    expect(await swap).toMatchObject({ result: 'committed', incumbent: { pid: successor } })
    await expectServes(world, successor)
  })

  test('the successor stops answering in it: it is ended, the incumbent serves', async () => {
    const policy = { probationMs: 600_000, greetingMs: 200, successorKillGraceMs: 100 }
    await using world = await World.start({ policy })
    const incumbent = await world.incumbentPid()
    const { swap, successor } = await inProbation(world)
    process.kill(successor, 'SIGSTOP')
    expect(await swap).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SUCCESSOR_UNHEALTHY' })
    await expectServes(world, incumbent)
  })
})

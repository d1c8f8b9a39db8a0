/** Hooks that block, hang, fail or lie, in real processes: the swap ends as it should and somebody serves. */
import { describe, expect, test } from 'vitest'
import { until, World } from './harness.js'

/** Liveness far below what the blocking hooks take: only heartbeats can carry them. */
const IMPATIENT = { livenessMs: 600 }
const BEATING = { heartbeatPeriodMs: 100 }

/** Rolled back, for this reason, and the incumbent serves as before: the next swap commits. */
async function expectRolledBack(world: World, swap: ReturnType<World['swap']>, code: string, why: RegExp) {
  const before = await world.incumbentPid()
  const outcome = await swap
  expect(outcome).toMatchObject({ result: 'rolledBack', code, incumbent: { pid: before } })
  expect(outcome.reason).toMatch(why)
  expect(await world.facts()).toEqual({ accepts: before, answers: before, holdsLock: [before], known: before })
  expect(await world.swap()).toMatchObject({ result: 'committed' })
}

/** Nobody served for a moment, and it was said so; then a fresh process did. */
async function expectFreshStart(world: World, before: number) {
  await until(async () => (await world.status()).incumbent !== null)
  const { accepts, answers, holdsLock, known } = await world.facts()
  expect(accepts).not.toBe(before)
  expect([answers, holdsLock, known]).toEqual([accepts, [accepts], accepts])
}

describe('a hook that blocks the JS thread far longer than the liveness limit', () => {
  test('seal: heartbeats go on, the swap commits', async () => {
    await using world = await World.start({
      behave: { seal: 'block=3000' },
      policy: IMPATIENT,
      daemonPolicy: BEATING,
    })
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })

  test('drain, and open of the successor: heartbeats go on, the swap commits', async () => {
    await using world = await World.start({
      behave: { drain: 'block=1500' },
      policy: IMPATIENT,
      daemonPolicy: BEATING,
    })
    expect(await world.swap({ behave: { begin: 'block=1500' } })).toMatchObject({ result: 'committed' })
  })

  test('reopen after a rollback: heartbeats go on, the incumbent is given its time', async () => {
    await using world = await World.start({
      behave: { reopen: 'block=1500' },
      policy: IMPATIENT,
      daemonPolicy: BEATING,
    })
    const swap = world.swap({ behave: { begin: 'throw' } })
    await expectRolledBack(world, swap, 'ERR_HANDOFF_SUCCESSOR_EXITED', /the state could not be opened/)
  })

  test('without heartbeats it is silence: the counter-proof', async () => {
    await using world = await World.start({
      policy: IMPATIENT,
      daemonPolicy: { heartbeatPeriodMs: 60_000 },
    })
    const swap = world.swap({ behave: { begin: 'block=2000' } })
    await expectRolledBack(world, swap, 'ERR_HANDOFF_SUCCESSOR_SILENT', /the successor fell silent/)
  })
})

describe('a hook that hangs', () => {
  test('seal past the deadline, but heeds its signal: rolled back by resume, called once', async () => {
    await using world = await World.start({ behave: { seal: 'hangUntilAborted*1' }, policy: { deadlineMs: 3_000 } })
    const before = await world.incumbentPid()
    const outcome = await world.swap()
    expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_DEADLINE_TIMEOUT' })
    expect(world.story({ pid: before, hook: 'resume' })).toHaveLength(1)
    expect(world.story({ pid: before, hook: 'reopen' })).toEqual([])
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })

  test('seal, deaf to its signal: the incumbent exits, a fresh one serves, nothing acknowledged is lost', async () => {
    await using world = await World.start({
      behave: { seal: 'hang' },
      policy: { deadlineMs: 3_000 },
      daemonPolicy: { hookCancelGraceMs: 200 },
    })
    const before = await world.incumbentPid()
    const revision = await world.put('a', '1')
    const outcome = await world.swap()
    expect(outcome).toMatchObject({ result: 'nobodyServes', code: 'ERR_HANDOFF_DEADLINE_TIMEOUT', incumbent: null })
    await expectFreshStart(world, before)
    expect((await world.root()).revision).toBe(revision)
  })

  test('drain, deaf to its signal: the incumbent goes on without it', async () => {
    await using world = await World.start({
      behave: { drain: 'hang*1' },
      policy: { drainGraceMs: 300 },
      daemonPolicy: { hookCancelGraceMs: 200, deadlineSlackMs: 100 },
    })
    const swap = world.swap()
    await expectRolledBack(world, swap, 'ERR_HANDOFF_DRAIN_FAILED', /could not drain/)
  })

  test('open of the successor past the deadline: it is ended, the incumbent reopens', async () => {
    await using world = await World.start({ policy: { deadlineMs: 3_000, successorKillGraceMs: 100 } })
    const clients = await world.clients()
    const swap = world.swap({ behave: { begin: 'hang' } })
    await expectRolledBack(world, swap, 'ERR_HANDOFF_DEADLINE_TIMEOUT', /the deadline of the swap passed/)
    await clients.expectUnnoticed()
  })

  test('prepare of the successor: the incumbent is asked nothing, no request waits', async () => {
    await using world = await World.start({ policy: { successorBootMs: 3_000, successorKillGraceMs: 100 } })
    const before = await world.incumbentPid()
    const swap = world.swap({ behave: { prepare: 'hang' } })
    await expectRolledBack(world, swap, 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT', /sent no Hello in time/)
    expect(world.story({ pid: before, hook: 'seal' })).toHaveLength(1) // of the swap that committed afterwards
  })
})

describe('a hook that fails', () => {
  test.each([
    ['drain', 'ERR_HANDOFF_DRAIN_FAILED'],
    ['seal', 'ERR_HANDOFF_SEAL_FAILED'],
  ])('%s: the incumbent resumes, once, and its own words come through', async (hook, code) => {
    await using world = await World.start({ behave: { [hook]: 'throw*1' } })
    const before = await world.incumbentPid()
    await expectRolledBack(world, world.swap(), code, new RegExp(`${hook} fails, as told`))
    expect(world.story({ pid: before, hook: 'resume' })).toHaveLength(1)
  })

  test('seal, in a daemon without resume: closed and opened from disk', async () => {
    await using world = await World.start({ behave: { seal: 'throw*1', noResume: true } })
    const before = await world.incumbentPid()
    await expectRolledBack(world, world.swap(), 'ERR_HANDOFF_SEAL_FAILED', /seal fails, as told/)
    expect(world.story({ pid: before }).map(({ hook }) => hook)).toEqual(
      expect.arrayContaining(['seal', 'close', 'reopen']),
    )
  })

  test('seal and then resume: the incumbent exits, and the successor that waits takes over', async () => {
    await using world = await World.start({ behave: { seal: 'throw', resume: 'throw' } })
    const clients = await world.clients()
    const outcome = await world.swap()
    expect(outcome).toMatchObject({ result: 'committed', reason: expect.stringMatching(/the new build took over/) })
    expect((await world.root()).buildId).toBe('v2')
    await clients.expectUnnoticed(['reset', 'failed']) // the exit cut what was open
  })

  test('resume after the successor died: the incumbent exits, a fresh one serves', async () => {
    await using world = await World.start({ behave: { drain: 'gate=gate', resume: 'throw' } })
    const before = await world.incumbentPid()
    const swap = world.swap()
    await world.told({ pid: before, hook: 'drain' })
    const successor = world.processes().find(({ pid }) => pid !== before)?.pid as number
    await world.kill(successor)
    // The supervisor has heard of it: the order of the two is what this is about.
    await until(async () => (await world.status()).swap?.phase === 'undo')
    world.openGate('gate')
    expect(await swap).toMatchObject({ result: 'nobodyServes', code: 'ERR_HANDOFF_SUCCESSOR_EXITED', incumbent: null })
    await expectFreshStart(world, before)
  })

  test('reopen after the successor died: the incumbent exits, a fresh one serves', async () => {
    await using world = await World.start({ behave: { reopen: 'throw' } })
    const before = await world.incumbentPid()
    const outcome = await world.swap({ behave: { begin: 'crash' } })
    expect(outcome).toMatchObject({ result: 'nobodyServes', incumbent: null })
    await expectFreshStart(world, before)
  })
})

describe('a successor that says what must not be', () => {
  test.each([
    ['unhealthy', { healthy: false }, 'ERR_HANDOFF_SUCCESSOR_UNHEALTHY', /reported itself unhealthy/],
    ['behind what was sealed', { revisions: [1] }, 'ERR_HANDOFF_SUCCESSOR_BEHIND', /older revisions/],
    ['a shard is missing', { revisions: [] }, 'ERR_HANDOFF_SUCCESSOR_BEHIND', /older revisions/],
    ['other data', { fingerprint: 'b'.repeat(64) }, 'ERR_HANDOFF_SUCCESSOR_FINGERPRINT', /other data/],
    ['no revision at all', { revisions: [-1] }, 'ERR_HANDOFF_SUCCESSOR_EXITED', /could not be opened/],
    ['no fingerprint at all', { fingerprint: 'abc' }, 'ERR_HANDOFF_SUCCESSOR_EXITED', /could not be opened/],
  ])('%s: rolled back with code and sentence', async (_name, behave, code, why) => {
    await using world = await World.start({ behave: { sealedFingerprint: 'a'.repeat(64) } })
    await world.put('a', '1')
    await world.put('a', '2')
    await expectRolledBack(world, world.swap({ behave }), code, why)
  })

  test('the same fingerprint, and more revisions than sealed: committed', async () => {
    await using world = await World.start({ behave: { sealedFingerprint: 'a'.repeat(64) } })
    const behave = { fingerprint: 'A'.repeat(64), revisions: [5, 6] }
    expect(await world.swap({ behave })).toMatchObject({ result: 'committed' })
  })

  test('revisions beyond 2^53 are compared exactly', async () => {
    await using world = await World.start({ behave: { sealed: [2 ** 53 - 1] } })
    expect(await world.swap({ behave: { revisions: [2 ** 53 - 2] } })).toMatchObject({
      code: 'ERR_HANDOFF_SUCCESSOR_BEHIND',
    })
  })
})

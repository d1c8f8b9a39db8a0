/** The faults of the reference that show in a swap, each shown to be absent on real processes. See also the other gaps-*.test.ts. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JournalPhase } from '../../machines/handoff/protocol.js'
import { decodeJournal } from '../../src/wire/journal.js'
import { REFERENCE_PEER_FAULT, referencePeer } from '../fixtures/reference-peer.js'
import type { Outcome } from '../wire/reference-run.js'
import { zombiesOf } from './facts.js'
import { until, World } from './harness.js'
import { ReferenceStage } from './reference-stage.js'

const BEATING = { heartbeatPeriodMs: 100, deadlineSlackMs: 100 }

async function expectServes(world: World, pid: number) {
  expect(await world.facts()).toEqual({ accepts: pid, answers: pid, holdsLock: [pid], known: pid })
}

const lastOf = (args: readonly string[], flag: string, value: string): string[] => [...args, flag, value]

describe('gap-01 Ready comes after everything that can fail', () => {
  test('gap-01 a successor that cannot bind its control socket never says Ready: the incumbent serves on', async () => {
    await using world = await World.start()
    const incumbent = await world.incumbentPid()
    const args = lastOf(world.args({ id: 'v2' }), '--control-socket', join(world.dir, 'missing', 'c.sock'))
    const outcome = await world.supervisor.swap({ binary: process.execPath, args })
    expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SUCCESSOR_EXITED' })
    expect(outcome.reason).toMatch(/the control socket could not be published/)
    await expectServes(world, incumbent)
  })

  test('gap-01 a successor that binds it elsewhere is not taken for live: the incumbent is not committed', async () => {
    await using world = await World.start({ policy: { confirmMs: 500, successorKillGraceMs: 100 } })
    const incumbent = await world.incumbentPid()
    const args = lastOf(world.args({ id: 'v2' }), '--control-socket', join(world.dir, 'elsewhere.sock'))
    const outcome = await world.supervisor.swap({ binary: process.execPath, args })
    expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SUCCESSOR_NOT_SERVING' })
    await expectServes(world, incumbent)
    world.forgiveFiles() // it was killed before it could take its own path away
  })
})

test('gap-02 S dies after Begin while N needs longer than any limit of O: O parks, N goes live alone, O sees the proof and exits', async () => {
  await using world = await World.start({ supervisor: 'child', daemonPolicy: { ...BEATING, lockWaitMs: 100 } })
  const incumbent = await world.incumbentPid()
  const swap = world.swap({ behave: { begin: 'gate=gate' } }).catch(() => null)
  const { pid } = await world.told({ build: 'v2', hook: 'begin' })
  await world.supervisorProcess.kill()
  expect(await swap).toBeNull()
  // The reference's O gives up after 2 s; this one is still there, without the lock and without serving.
  await new Promise((resolve) => setTimeout(resolve, 2_200))
  expect(world.processes().map((known) => known.pid)).toContain(incumbent)
  world.openGate('gate')
  await until(async () => (await world.hello())?.pid === pid)
  await until(() => world.processes().length === 1)
  expect(world.processes()[0]?.pid).toBe(pid)
  await world.kill(pid)
})

describe('gap-03 a stalled supervisor holds nobody', () => {
  test.each([
    ['drained', { drain: 'gate=gate' }, 'drain', 'resume'],
    ['sealed', { seal: 'gate=gate' }, 'seal', 'reopen'],
  ])(
    'gap-03 S stops while O is being %s: O serves again by its own clock and greets whoever asks',
    async (_state, behave, hook, last) => {
      await using world = await World.start({
        supervisor: 'child',
        policy: { deadlineMs: 3_000 },
        behave,
        daemonPolicy: { ...BEATING, hookCancelGraceMs: 60_000 },
      })
      const incumbent = await world.incumbentPid()
      const swap = world.swap()
      await world.told({ pid: incumbent, hook })
      process.kill(world.supervisor.pid, 'SIGSTOP')
      world.openGate('gate')
      await until(async () => (await world.hello())?.pid === incumbent)
      expect(world.story({ pid: incumbent }).at(-1)?.hook).toBe(last)
      process.kill(world.supervisor.pid, 'SIGCONT')
      await swap
      await expectServes(world, incumbent)
    },
  )
})

test('gap-04 a drain that fails: O accepts again before anybody is told, and is resumed exactly once', async () => {
  await using world = await World.start({ behave: { drain: 'throw*1' } })
  const incumbent = await world.incumbentPid()
  const clients = await world.clients()
  expect(await world.swap()).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_DRAIN_FAILED' })
  // It has happened by the time that the outcome is known: nothing is waited for.
  expect(world.story({ pid: incumbent, hook: 'resume' })).toHaveLength(1)
  expect((await world.root()).pid).toBe(incumbent)
  expect(world.story({ pid: incumbent, hook: 'resume' })).toHaveLength(1)
  await clients.expectUnnoticed()
})

describe('gap-05 an incumbent that dies in mid-swap: the waiting successor takes over, no zombie stays', () => {
  test.each([['drain'], ['seal']])('gap-05 O is killed in %s', async (hook) => {
    await using world = await World.start({ behave: { [hook]: 'crash' } })
    const revision = await world.put('a', '1')
    const outcome = await world.swap()
    expect(outcome).toMatchObject({ result: 'committed', code: null, incumbent: { buildId: 'v2' } })
    expect(outcome.reason).toMatch(/the new build took over/)
    await expectServes(world, outcome.incumbent?.pid as number)
    expect((await world.root()).revision).toBe(revision)
    await until(() => zombiesOf(process.pid).length === 0)
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })

  test('gap-05 O is killed between letting the lock go and saying so', async () => {
    await using world = World.empty()
    world.forgiveFiles()
    const paths = ['--control-socket', world.controlSocket, '--data-dir', world.dataDir]
    const env = [...Object.entries(world.ownEnv), [REFERENCE_PEER_FAULT, 'crash@sealed'] as const]
    await world.supervise({ binary: referencePeer.daemon, args: paths, env })
    const { revision } = await world.post()
    const outcome = await world.swap()
    expect(outcome).toMatchObject({ result: 'committed', code: null })
    await expectServes(world, outcome.incumbent?.pid as number)
    expect((await world.post()).revision).toBe(revision + 1)
  })
})

describe('gap-06 whatever the successor did to the control path before it was ended, it leads to the incumbent again', () => {
  test('gap-06 the deadline passes while N opens', async () => {
    await using world = await World.start({ policy: { deadlineMs: 3_000, successorKillGraceMs: 100 } })
    const incumbent = await world.incumbentPid()
    expect(await world.swap({ behave: { begin: 'hang' } })).toMatchObject({ code: 'ERR_HANDOFF_DEADLINE_TIMEOUT' })
    await expectServes(world, incumbent)
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })

  test('gap-06 N has published and is killed then: O publishes anew', async () => {
    await using world = await World.start({ policy: { probationMs: 600_000 } })
    const incumbent = await world.incumbentPid()
    const swap = world.swap()
    await until(async () => (await world.status()).swap?.phase === 'probation')
    const successor = (await world.hello())?.pid as number
    expect(successor).not.toBe(incumbent)
    process.kill(successor, 'SIGKILL')
    expect(await swap).toMatchObject({ result: 'rolledBack' })
    await expectServes(world, incumbent)
  })

  test('gap-06 a reference N says Ready and never binds', async () => {
    await using world = await World.start({ policy: { confirmMs: 500, successorKillGraceMs: 100 } })
    const incumbent = await world.incumbentPid()
    const env = [...Object.entries(world.ownEnv), [REFERENCE_PEER_FAULT, 'hang@after-ready'] as const]
    const args = ['--control-socket', world.controlSocket, '--data-dir', world.dataDir]
    const outcome = await world.supervisor.swap({ binary: referencePeer.daemon, args, env })
    expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SUCCESSOR_NOT_SERVING' })
    await expectServes(world, incumbent)
  })
})

test('gap-09 committed means reachable: fifty immediate connects, fifty answers by the new process, and the path is never missing', async () => {
  await using world = await World.start()
  let missing = 0
  let looking = true
  const look = (): void => {
    if (!existsSync(world.controlSocket)) missing += 1
    if (looking) setImmediate(look)
  }
  look()
  for (let round = 0; round < 5; round += 1) {
    const { result, incumbent } = await world.swap()
    expect(result).toBe('committed')
    for (let connect = 0; connect < 10; connect += 1) expect((await world.hello())?.pid).toBe(incumbent?.pid)
  }
  looking = false
  expect(missing).toBe(0)
})

test('gap-10 the deadline caps the drain: an overlong one is ended by it, and O is never asked to seal', async () => {
  await using world = await World.start({
    behave: { drain: 'hangUntilAborted*1' },
    policy: { deadlineMs: 3_000, drainGraceMs: 600_000 },
  })
  const incumbent = await world.incumbentPid()
  expect(await world.swap()).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_DEADLINE_TIMEOUT' })
  expect(world.story({ pid: incumbent, hook: 'seal' })).toEqual([])
  await expectServes(world, incumbent)
})

test('gap-11 after Begin the deadline is the limit: N opens far longer than the liveness limit, and says that it lives', async () => {
  await using world = await World.start({ policy: { livenessMs: 500 }, daemonPolicy: BEATING })
  expect(await world.swap({ behave: { begin: 'sleep=2000' } })).toMatchObject({ result: 'committed' })
})

test('gap-12 N’s Hello has the boot budget, not the limit of a greeting', async () => {
  await using world = await World.start({ policy: { greetingMs: 500 } })
  expect(await world.swap({ behave: { prepare: 'sleep=1500' } })).toMatchObject({ result: 'committed' })
})

test('gap-13 N dies between HelloAck and Begin: noticed at once, O is never asked to seal', async () => {
  await using world = await World.start({ behave: { drain: 'gate=gate' }, policy: { livenessMs: 60_000 } })
  const incumbent = await world.incumbentPid()
  const swap = world.swap()
  await world.told({ pid: incumbent, hook: 'drain' })
  const successor = world.processes().find(({ pid }) => pid !== incumbent)?.pid as number
  process.kill(successor, 'SIGKILL')
  await until(async () => (await world.status()).swap?.phase === 'undo')
  world.openGate('gate')
  expect(await swap).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SUCCESSOR_EXITED' })
  expect(world.story({ pid: incumbent, hook: 'seal' })).toEqual([])
  await expectServes(world, incumbent)
})

test('gap-15 S dies after Ready: the handoff has succeeded, O exits 0', async () => {
  await using stage = new ReferenceStage()
  const incumbent = await stage.incumbent('ours')
  await stage.ask('POST')
  const supervisor = stage.supervisor('ours', { fault: 'crash@s-ready' })
  expect(await supervisor.exit).toBe('SIGKILL')
  expect(await incumbent.exit).toBe(0)
  const [pid] = stage.processes()
  expect(await stage.helloPid()).toBe(pid)
  expect(await stage.ask('POST')).toEqual({ pid, revision: 2 })
})

test('gap-15 the reference’s own N is no different under us: O exits 0 where its own O would not', async () => {
  await using stage = new ReferenceStage()
  const incumbent = await stage.incumbent('ours')
  const outcome = await stage.supervisor('reference').line<Outcome>({ committed: true })
  expect(await incumbent.exit).toBe(0)
  await until(async () => (await stage.helloPid()) === outcome.successor_pid)
})

test('gap-16 the journal names the incumbent’s own pid, and its pid and build id are in the outcome', async () => {
  await using world = await World.start({ behave: { seal: 'gate=gate' } })
  const incumbent = await world.incumbentPid()
  const swap = world.swap()
  await world.told({ pid: incumbent, hook: 'seal' })
  const during: JournalPhase = 'sealing'
  await until(() => decodeJournal(readFileSync(world.journal)).phase === during)
  const journal = decodeJournal(readFileSync(world.journal))
  const successor = world.processes().find(({ pid }) => pid !== incumbent)?.pid
  expect(journal).toMatchObject({ incumbentPid: incumbent, successorPid: successor })
  world.openGate('gate')
  const outcome = await swap
  expect(outcome.handoffId).toBe(journal.handoffId)
  expect(outcome.previous).toEqual({ pid: incumbent, buildId: 'v1' })
  expect(outcome.incumbent).toEqual({ pid: successor, buildId: 'v2' })
})

test('gap-17 the journal stays behind after no way of ending a swap, and a good rollback is never reported as an error', async () => {
  await using world = await World.start({ behave: { drain: 'throw*1', seal: 'throw*1' } })
  const endings = [
    ['ERR_HANDOFF_DRAIN_FAILED', {}],
    ['ERR_HANDOFF_SEAL_FAILED', {}],
    ['ERR_HANDOFF_SUCCESSOR_EXITED', { prepare: 'throw' }],
    ['ERR_HANDOFF_SUCCESSOR_EXITED', { begin: 'throw' }],
    ['ERR_HANDOFF_SUCCESSOR_EXITED', { begin: 'crash' }],
    ['ERR_HANDOFF_SUCCESSOR_UNHEALTHY', { healthy: false }],
    [null, { drain: 'crash' }],
    [null, {}],
  ] as const
  for (const [code, behave] of endings) {
    expect(await world.swap({ behave })).toMatchObject({ code, result: code === null ? 'committed' : 'rolledBack' })
    await until(() => !existsSync(world.journal))
  }
})

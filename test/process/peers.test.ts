/** Each role of the reference against our counterparts, in real processes: commit and rollback, with its habits. */
import { describe, expect, test } from 'vitest'
import { REFERENCE_PEER_FAULT, referencePeer } from '../fixtures/reference-peer.js'
import type { Outcome } from '../wire/reference-run.js'
import { until, World } from './harness.js'
import { type Kind, ReferenceStage, type Trouble } from './reference-stage.js'

describe.each<[Kind, Kind]>([
  ['reference', 'ours'],
  ['ours', 'reference'],
  ['reference', 'reference'],
])('our supervisor, %s incumbent, %s successor', (incumbentKind, successorKind) => {
  const paths = (world: World) => ['--control-socket', world.controlSocket, '--data-dir', world.dataDir]
  const reference = (world: World) => ({ binary: referencePeer.daemon, args: paths(world) })

  async function started(): Promise<World> {
    const world = World.empty()
    await world.supervise(incumbentKind === 'ours' ? {} : reference(world))
    // A reference primitive takes none of its files away when it ends.
    world.forgiveFiles()
    return world
  }

  function swap(world: World, { behave, fault }: Trouble) {
    if (successorKind === 'ours') return world.swap(behave === undefined ? {} : { behave })
    const env = [...Object.entries(world.ownEnv), [REFERENCE_PEER_FAULT, fault ?? ''] as const]
    return world.supervisor.swap({ ...reference(world), env })
  }

  test('commits: the session with a one-session incumbent is closed before the path is asked', async () => {
    await using world = await started()
    const incumbent = await world.incumbentPid()
    const { revision } = await world.post()
    const outcome = await swap(world, {})
    expect(outcome).toMatchObject({ result: 'committed', code: null })
    const pid = outcome.incumbent?.pid as number
    expect(await world.facts()).toEqual({ accepts: pid, answers: pid, holdsLock: [pid], known: pid })
    expect(await world.post()).toEqual({ pid, revision: revision + 1 })
    await until(() => world.processes().every((known) => known.pid !== incumbent))
  })

  test('rolls back when the successor dies with the lock in its hand, and commits the next time', async () => {
    await using world = await started()
    const incumbent = await world.incumbentPid()
    const { revision } = await world.post()
    const outcome = await swap(world, { behave: { begin: 'crash' }, fault: 'crash@before-ready' })
    expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SUCCESSOR_EXITED' })
    expect(outcome.incumbent?.pid).toBe(incumbent)
    expect(await world.facts()).toEqual({
      accepts: incumbent,
      answers: incumbent,
      holdsLock: [incumbent],
      known: incumbent,
    })
    expect(await world.post()).toEqual({ pid: incumbent, revision: revision + 1 })
    expect(await swap(world, {})).toMatchObject({ result: 'committed' })
  })
})

describe('our supervisor and a reference incumbent whose seal fails', () => {
  test('it is told first and resumes after; rolled back, with its own words', async () => {
    await using world = World.empty()
    const paths = ['--control-socket', world.controlSocket, '--data-dir', world.dataDir]
    const env = [...Object.entries(world.ownEnv), [REFERENCE_PEER_FAULT, 'fail@seal'] as const]
    await world.supervise({ binary: referencePeer.daemon, args: paths, env })
    world.forgiveFiles()
    const incumbent = await world.incumbentPid()
    const outcome = await world.swap()
    expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SEAL_FAILED' })
    expect(outcome.reason).toMatch(/told to fail at seal/)
    expect((await world.post()).pid).toBe(incumbent)
  })
})

describe.each<[Kind, Kind]>([
  ['ours', 'ours'],
  ['ours', 'reference'],
  ['reference', 'ours'],
])('the reference’s supervisor, %s incumbent, %s successor', (incumbentKind, successorKind) => {
  test('commits: the end of the channel is the order to go live', async () => {
    await using stage = new ReferenceStage()
    const incumbent = await stage.incumbent(incumbentKind)
    const { revision } = await stage.ask('POST')
    const supervisor = stage.supervisor(successorKind)
    const outcome = await supervisor.line<Outcome>({ committed: true })
    expect(outcome.ready_revisions).toEqual(outcome.sealed_revisions)
    expect(await incumbent.exit).toBe(0)
    await until(async () => (await stage.helloPid()) === outcome.successor_pid)
    expect(await stage.ask('POST')).toEqual({ pid: outcome.successor_pid, revision: revision + 1 })
  })

  test('rolls back when the successor dies before Ready, and commits the next time', async () => {
    await using stage = new ReferenceStage()
    const incumbent = await stage.incumbent(incumbentKind)
    const { revision } = await stage.ask('POST')
    const trouble: Trouble = successorKind === 'ours' ? { behave: { begin: 'crash' } } : { fault: 'crash@before-ready' }
    const failing = stage.supervisor(successorKind, trouble)
    expect(await failing.line<Outcome>({ committed: false })).toMatchObject({ abort_reason: 'EOF where Ready belongs' })
    expect(await failing.exit).toBe(0)
    await until(async () => (await stage.helloPid()) === incumbent.child.pid)
    expect(await stage.ask('POST')).toEqual({ pid: incumbent.child.pid, revision: revision + 1 })

    const outcome = await stage.supervisor(successorKind).line<Outcome>({ committed: true })
    await until(async () => (await stage.helloPid()) === outcome.successor_pid)
    expect(await stage.ask('POST')).toEqual({ pid: outcome.successor_pid, revision: revision + 2 })
  })
})

describe('the reference’s supervisor over our primitives, and its own trouble', () => {
  test('our incumbent’s seal fails: it serves before SealFailed is said', async () => {
    await using stage = new ReferenceStage()
    const incumbent = await stage.incumbent('ours', { behave: { seal: 'throw*1' } })
    const outcome = await stage.supervisor('ours').line<Outcome>({ committed: false })
    expect(outcome.abort_reason).toMatch(/seal fails, as told/)
    expect(await stage.ask('POST')).toEqual({ pid: incumbent.child.pid, revision: 1 })
    expect(stage.hooks(incumbent.child.pid as number)).toEqual(['open', 'coldStart', 'seal', 'resume'])
  })

  test.each([
    ['s-drained', ['seal'], 'resume'],
    ['s-sealed', [], 'reopen'],
  ])('it dies at %s: our incumbent serves again, our successor exits', async (point, never, last) => {
    await using stage = new ReferenceStage()
    const incumbent = await stage.incumbent('ours')
    const supervisor = stage.supervisor('ours', { fault: `crash@${point}` })
    expect(await supervisor.exit).toBe('SIGKILL')
    await until(async () => (await stage.helloPid()) === incumbent.child.pid)
    await until(() => stage.processes().length === 1)
    expect(await stage.ask('POST')).toEqual({ pid: incumbent.child.pid, revision: 1 })
    const hooks = stage.hooks(incumbent.child.pid as number)
    expect(hooks.at(-1)).toBe(last)
    for (const hook of never) expect(hooks).not.toContain(hook)
  })

  test.each(['s-begin', 's-ready'])(
    'it dies at %s: our successor goes on alone, our incumbent sees the proof and exits 0',
    async (point) => {
      await using stage = new ReferenceStage()
      const incumbent = await stage.incumbent('ours')
      await stage.ask('POST')
      const supervisor = stage.supervisor('ours', { fault: `crash@${point}`, behave: { begin: 'sleep=300' } })
      expect(await supervisor.exit).toBe('SIGKILL')
      expect(await incumbent.exit).toBe(0)
      const [pid] = stage.processes()
      expect(await stage.helloPid()).toBe(pid)
      expect(await stage.ask('POST')).toEqual({ pid, revision: 2 })
    },
  )

  test('it hangs after the seal: our incumbent has its own clock, reopens and serves', async () => {
    await using stage = new ReferenceStage()
    const incumbent = await stage.incumbent('ours')
    const supervisor = stage.supervisor('ours', { fault: 'hang@s-sealed' }, ['--deadline-ms', '1000'])
    await supervisor.line({ event: 'hanging', point: 's-sealed' })
    await until(async () => (await stage.helloPid()) === incumbent.child.pid)
    expect(await stage.ask('POST')).toEqual({ pid: incumbent.child.pid, revision: 1 })
    expect(stage.hooks(incumbent.child.pid as number).at(-1)).toBe('reopen')
  })
})

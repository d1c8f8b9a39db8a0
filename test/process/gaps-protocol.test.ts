/** The faults of the reference in what it checks, keeps open and leaves behind, each shown to be absent on real processes. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { checkListenerNames } from '../../src/os/listeners.js'
import { openTrigger } from '../../src/supervisor/trigger.js'
import { fdsOf, inheritableSockets, zombiesOf } from './facts.js'
import { silentLog, until, World } from './harness.js'
import { DrivenSuccessor, OTHER_ID, RawPeer } from './raw-peer.js'

const stranger = fileURLToPath(new URL('../fixtures/process-stranger.mjs', import.meta.url))

async function expectServes(world: World, pid: number) {
  expect(await world.facts()).toEqual({ accepts: pid, answers: pid, holdsLock: [pid], known: pid })
}

test('gap-07 accept fails with EMFILE: neither the control loop nor the lock is lost, and the next swap commits', async () => {
  await using world = await World.start({ program: 'kv' })
  const incumbent = await world.incumbentPid()
  // Ten more than it has open now, and that is the end. What a test runner's parents left open may lie far above.
  const limit = fdsOf(incumbent).size + 10
  limitFiles(incumbent, limit)
  const crowd = await RawPeer.dialMany(world.controlSocket, 60)
  await until(() => freeBelow(incumbent, limit) === 0)
  for (const peer of crowd) peer.close()
  await until(async () => (await world.hello())?.pid === incumbent)
  await expectServes(world, incumbent)
  expect(await world.swap()).toMatchObject({ result: 'committed' })
})

test('gap-14 a peer that trickles stretches no deadline: beats without end are cut off by the budget of the swap', async () => {
  await using world = await World.start({
    policy: { deadlineMs: 3_000, livenessMs: 60_000, successorKillGraceMs: 100 },
  })
  const incumbent = await world.incumbentPid()
  const outcome = await world.supervisor.swap({ binary: stranger, args: ['--say', 'beats-for-ever'] })
  expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_DEADLINE_TIMEOUT' })
  await expectServes(world, incumbent)
})

describe('gap-20 a version is settled only where both speak it', () => {
  test.each([0, 2, 9])('gap-20 a successor told to speak version %i exits with status 76', async (version) => {
    await using world = World.empty()
    await using successor = await DrivenSuccessor.start(world.args({}), world.env)
    await successor.heard('Hello')
    successor.ack(successor.id, version)
    expect(await successor.process.exited).toEqual({ code: 76, signal: null })
    expect(world.story({ hook: 'open' })).toEqual([])
  })

  test('gap-20 an incumbent told so closes the session', async () => {
    await using world = await World.start()
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    peer.ack(peer.id, 2).prepare()
    await peer.closed
    expect(world.story({ hook: 'resume' })).toEqual([])
    await expectServes(world, await world.incumbentPid())
  })
})

describe('gap-21 ids and repetitions', () => {
  test('gap-21 the id of HelloAck counts: a PrepareHandoff under another one drains nothing', async () => {
    await using world = await World.start({ behave: { drain: 'sleep=0' } })
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    peer.ack().prepare(OTHER_ID)
    await peer.closed
    expect(world.story({ hook: 'drain' })).toEqual([])
  })

  test('gap-21 a repeated PrepareHandoff runs no hook again: the session ends, the incumbent serves', async () => {
    await using world = await World.start({ behave: { drain: 'sleep=0' } })
    const incumbent = await world.incumbentPid()
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    peer.ack().prepare()
    await peer.heard('Drained')
    peer.prepare()
    await peer.closed
    await until(async () => (await world.hello())?.pid === incumbent)
    expect(world.story({ hook: 'drain' })).toHaveLength(1)
    expect(world.story({ hook: 'resume' })).toHaveLength(1)
  })

  test.each([
    ['SealRequest', 'sealRequest'],
    ['PrepareHandoff', 'prepare'],
  ] as const)('gap-21 a %s after the seal runs no hook again: the incumbent reopens, once', async (_type, say) => {
    await using world = await World.start({ behave: { drain: 'sleep=0' } })
    const incumbent = await world.incumbentPid()
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    peer.ack().prepare()
    await peer.heard('Drained')
    peer.sealRequest()
    await peer.heard('SealComplete')
    peer[say]()
    await peer.closed
    await until(async () => (await world.hello())?.pid === incumbent)
    for (const hook of ['drain', 'seal', 'reopen']) expect(world.story({ hook })).toHaveLength(1)
  })
})

test('gap-22 a successor takes no Abort and no Begin but its own', async () => {
  await using world = World.empty()
  for (const type of ['Abort', 'Begin'] as const) {
    await using successor = await DrivenSuccessor.start(world.args({}), world.env)
    await successor.heard('Hello')
    successor.ack()
    if (type === 'Abort') successor.say({ type, handoffId: OTHER_ID, reason: '' })
    else successor.begin(OTHER_ID)
    expect(await successor.process.exited).toEqual({ code: 76, signal: null })
  }
  expect(world.story({ hook: 'open' })).toEqual([])
})

test('gap-23 health, revisions and fingerprint are checked, each with a sentence of its own', async () => {
  await using world = await World.start({ behave: { sealedFingerprint: 'a'.repeat(64) } })
  await world.put('a', '1')
  const reasons = []
  for (const behave of [{ healthy: false }, { revisions: [0] }, { fingerprint: 'b'.repeat(64) }]) {
    const outcome = await world.swap({ behave })
    expect(outcome.result).toBe('rolledBack')
    reasons.push(outcome.reason)
  }
  expect(reasons).toEqual([
    expect.stringContaining('unhealthy'),
    expect.stringContaining('older revisions'),
    expect.stringContaining('other data'),
  ])
})

test('gap-24 when SealFailed is said it is true: the incumbent accepts by then, and resume ran once', async () => {
  await using world = await World.start({ behave: { seal: 'throw*1' } })
  const incumbent = await world.incumbentPid()
  const peer = await RawPeer.dial(world.controlSocket)
  await peer.heard('Hello')
  peer.ack().prepare()
  await peer.heard('Drained')
  peer.sealRequest()
  const failed = await peer.heard('SealFailed')
  expect(failed.error).toBe('seal fails, as told')
  expect(world.story({ hook: 'resume' })).toHaveLength(1)
  expect((await world.root()).pid).toBe(incumbent)
  peer.close()
  await until(async () => (await world.hello())?.pid === incumbent)
  expect(world.story({ hook: 'resume' })).toHaveLength(1)
})

test('gap-25 a successor that heeds Abort ends by itself, in order; only a deaf one is killed', async () => {
  await using world = await World.start({ policy: { deadlineMs: 3_000, successorKillGraceMs: 300 } })
  const endOf = (pid: number) =>
    readFileSync(join(world.dir, 'supervisor.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('a primitive has ended'))
      .map((line) => JSON.parse(line))
      .find(({ primitivePid }) => primitivePid === pid)
  await world.swap({ id: 'polite', behave: { begin: 'hang' } })
  expect(endOf((await world.told({ build: 'polite' })).pid)).toMatchObject({ code: 77, signal: null })
  await world.swap({ id: 'deaf', behave: { begin: 'block=60000' } })
  expect(endOf((await world.told({ build: 'deaf' })).pid)).toMatchObject({ code: null, signal: 'SIGKILL' })
})

test('gap-26 a successor whose supervisor is gone after Begin goes on, and does not die of saying Ready', async () => {
  await using world = World.empty()
  world.forgiveFiles()
  await using successor = await DrivenSuccessor.start(world.args({ behave: { begin: 'gate=gate' } }), world.env)
  await successor.heard('Hello')
  successor.ack().begin()
  await world.told({ hook: 'begin' })
  successor.close()
  world.openGate('gate')
  await until(async () => (await world.hello())?.pid === successor.process.pid)
  successor.process.kill('SIGTERM')
  expect(await successor.process.exited).toEqual({ code: 0, signal: null })
})

test('gap-27 nothing inherited leaks into a grandchild: it holds no socket, and does not hide the death of its parent', async () => {
  await using world = await World.start({ policy: { livenessMs: 60_000, deadlineMs: 60_000 } })
  const incumbent = await world.incumbentPid()
  expect(inheritableSockets(incumbent)).toEqual([])
  const outcome = await world.swap({ behave: { orphan: true, begin: 'crash' } })
  expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SUCCESSOR_EXITED' })
  const orphan = world.story().find((line) => line.orphan !== undefined)?.orphan as number
  expect([...fdsOf(orphan).values()].filter((target) => target.startsWith('socket:'))).toEqual([])
  await expectServes(world, incumbent)
  await world.kill(orphan)
})

describe('gap-28 what cannot be started is told as such, whatever descriptors are in use', () => {
  const names = Array.from({ length: 9 }, (_, i) => `l${i}`)
  const listeners = ['http', ...names].map((name) => ({ name, addr: '127.0.0.1:0' }))

  test('gap-28 missing, not executable, a directory, no interpreter', async () => {
    await using world = await World.start({ supervise: { listeners } })
    const incumbent = await world.incumbentPid()
    const plain = join(world.dir, 'gate-plain')
    writeFileSync(plain, 'text')
    const lost = join(world.dir, 'gate-lost')
    writeFileSync(lost, '#!/no/such/interpreter\n')
    chmodSync(lost, 0o755)
    const directory = join(world.dir, 'gate-directory')
    mkdirSync(directory)
    for (const [binary, why] of [
      [join(world.dir, 'missing'), /no such file/],
      ['no-such-name-on-path', /no directory of PATH holds it/],
      [plain, /not executable/],
      [directory, /not a regular file/],
      [lost, /\/no\/such\/interpreter/],
    ] as const) {
      const outcome = await world.supervisor.swap({ binary, args: [] })
      expect(outcome).toMatchObject({ result: 'rolledBack', code: 'ERR_HANDOFF_SPAWN', incumbent: { pid: incumbent } })
      expect(outcome.reason).toMatch(why)
    }
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  })
})

describe('gap-29 listeners: names that would break the list, and those that nobody takes', () => {
  test.each([['a:b'], ['http', 'http'], [''], ['a b']])('gap-29 %j is refused before anything is bound', (...names) => {
    expect(() => checkListenerNames(names)).toThrow(
      expect.objectContaining({ code: 'ERR_HANDOFF_USAGE_LISTENER_NAME' }),
    )
  })

  test('gap-29 a listener that no program takes is open in each of them once, swap after swap', async () => {
    const listeners = ['http', 'spare', 'other'].map((name) => ({ name, addr: '127.0.0.1:0' }))
    await using world = await World.start({ supervise: { listeners } })
    // Three listeners, the copy of one that it accepts on, control and rendezvous socket.
    const expected = 6
    for (let i = 0; i < 4; i += 1) {
      await world.swap()
      // The one before goes, and with it what the two said to each other.
      await until(() => world.processes().length === 1)
      const incumbent = await world.incumbentPid()
      await until(() => socketsOf(incumbent).length === expected)
      for (const fd of [4, 5]) {
        const listener = fdsOf(incumbent).get(fd)
        expect(socketsOf(incumbent).filter((target) => target === listener)).toHaveLength(1)
      }
    }
    expect(inheritableSockets(await world.incumbentPid())).toEqual([])
  })
})

describe('gap-30 the trigger tells how it ended, to everybody, and leaves no zombie', () => {
  test('gap-30 a silent client keeps nobody waiting, a rollback is told with its reason', async () => {
    await using world = await World.start()
    const path = join(world.dir, 'gate-trigger')
    const supervisor = {
      swap: () => world.swap({ behave: { begin: 'throw' } }),
      rehearse: () => Promise.reject(new Error('nobody asked for one')),
      status: () => statusNow,
      subscribe: () => () => {},
    }
    let statusNow = await world.status()
    const trigger = await openTrigger({
      path,
      supervisor,
      binary: process.execPath,
      allowedBinaries: [],
      allowedUids: [],
      onEnd: () => {},
      log: silentLog,
    })
    const silent = await RawPeer.dialMany(path, 20)
    statusNow = await world.status()
    expect(await tell(path, 'handoff\n')).toMatch(
      /^ok: handoff_id=\S+ committed=false abort_reason=Some\("the successor exited .*could not be opened"\)\n$/,
    )
    for (const peer of silent) peer.close()
    await trigger.close()
    await until(() => zombiesOf(process.pid).length === 0)
  })
})

test('gap-31 nothing that throws leaves a swap "in progress"', async () => {
  await using world = await World.start({ behave: { seal: 'throw*1' } })
  expect(await world.swap()).toMatchObject({ result: 'rolledBack' })
  const [first, second] = await Promise.allSettled([world.swap(), world.swap()])
  expect(first).toMatchObject({ value: { result: 'committed' } })
  expect(second).toMatchObject({ reason: { code: 'ERR_HANDOFF_STATE_SWAP_REFUSED' } })
  expect(await world.swap()).toMatchObject({ result: 'committed' })
})

test('gap-32 heartbeats end with their channel: an incumbent whose supervisor died in mid-seal does not spin', async () => {
  await using world = await World.start({
    supervisor: 'child',
    behave: { seal: 'gate=gate' },
    daemonPolicy: { heartbeatPeriodMs: 20, hookCancelGraceMs: 60_000 },
  })
  const incumbent = await world.incumbentPid()
  const swap = world.swap().catch(() => null)
  await world.told({ pid: incumbent, hook: 'seal' })
  await world.supervisorProcess.kill()
  await swap
  const before = cpuTicks(incumbent)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  // A spinning thread would take 100 ticks of a second; 50 is far from both.
  expect(cpuTicks(incumbent) - before).toBeLessThan(50)
  world.openGate('gate')
  await until(async () => (await world.hello())?.pid === incumbent)
  await world.kill(incumbent)
})

const socketsOf = (pid: number): string[] =>
  [...fdsOf(pid)].flatMap(([fd, target]) => (fd > 2 && target.startsWith('socket:') ? [target] : []))

const freeBelow = (pid: number, limit: number): number => {
  const fds = fdsOf(pid)
  return Array.from({ length: limit }, (_, fd) => fd).filter((fd) => !fds.has(fd)).length
}

/** Node has no prlimit(2); python3, which building the addon needs anyway, has. */
function limitFiles(pid: number, count: number): void {
  const program = `import resource; resource.prlimit(${pid}, resource.RLIMIT_NOFILE, (${count}, ${count}))`
  execFileSync('python3', ['-c', program])
}

/** User and system time of all its threads, in clock ticks of 10 ms (proc_pid_stat(5)). */
function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** One command, as `socat` sends it; resolves with the whole answer. */
async function tell(path: string, line: string): Promise<string> {
  const socket = createConnection(path).setEncoding('utf8')
  socket.end(line)
  let answer = ''
  for await (const text of socket) answer += text
  return answer
}

/** Strangers inside a swap: a successor, or whoever stands on the control path, that breaks the protocol. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Message } from '../../machines/handoff/protocol.js'
import { encodeMessage } from '../../src/wire/handoff.js'
import { until, World } from './harness.js'
import { type Direction, ManInTheMiddle, OTHER_ID, type Tamper } from './raw-peer.js'

const stranger = fileURLToPath(new URL('../fixtures/process-stranger.mjs', import.meta.url))

/** Short where a clock has to end a case, long where a busy machine could be mistaken for a stranger. */
const policy = { deadlineMs: 4_000, livenessMs: 1_500, confirmMs: 1_500, successorKillGraceMs: 200, exitNoticeMs: 500 }
const daemonPolicy = { deadlineSlackMs: 100, heartbeatPeriodMs: 100 }

const PROTOCOL = 'ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL'

describe.each<[string, object, [string, string][]]>([
  [
    'speaks',
    policy,
    [
      ['wrong-pid', PROTOCOL],
      ['wrong-role', PROTOCOL],
      ['newer-version', PROTOCOL],
      ['older-version', PROTOCOL],
      ['hello-twice', PROTOCOL],
      ['oversized', PROTOCOL],
      ['too-short', PROTOCOL],
      ['garbage', PROTOCOL],
      ['unknown-message', PROTOCOL],
      ['wrong-side', PROTOCOL],
      ['ready-before-begin', PROTOCOL],
      ['ready-for-another', PROTOCOL],
      ['truncated', 'ERR_HANDOFF_SUCCESSOR_DISCONNECTED'],
      ['closes-after-begin', 'ERR_HANDOFF_SUCCESSOR_DISCONNECTED'],
      ['silent-after-begin', 'ERR_HANDOFF_SUCCESSOR_SILENT'],
      ['trickles-for-ever', 'ERR_HANDOFF_SUCCESSOR_SILENT'],
      ['beats-for-ever', 'ERR_HANDOFF_DEADLINE_TIMEOUT'],
      ['ready-and-never-there', 'ERR_HANDOFF_SUCCESSOR_NOT_SERVING'],
      ['ready-and-gone', 'ERR_HANDOFF_SUCCESSOR_EXITED'],
    ],
  ],
  [
    'never greets',
    { successorBootMs: 1_000, successorKillGraceMs: 200 },
    [
      ['silent', 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT'],
      ['half-a-hello', 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT'],
      ['beats-instead-of-hello', 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT'],
    ],
  ],
])('a successor that %s as it must not is ended, and the incumbent serves', (_how, limits, cases) => {
  let world: World
  beforeAll(async () => {
    world = await World.start({ policy: limits, daemonPolicy, shared: true })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test.each(cases)('%s', async (say, code) => {
    const incumbent = await world.incumbentPid()
    const outcome = await world.supervisor.swap({ binary: stranger, args: ['--say', say] })
    expect(outcome).toMatchObject({ result: 'rolledBack', code, incumbent: { pid: incumbent } })
    expect(outcome.reason).toMatch(/^the (successor|deadline) /)
    if (say === 'wrong-side') expect(outcome.reason).toContain('the peer sent Drained, which its side never says')
    expect(await world.facts()).toEqual({
      accepts: incumbent,
      answers: incumbent,
      holdsLock: [incumbent],
      known: incumbent,
    })
    expect(world.processes().map(({ pid }) => pid)).toEqual([incumbent])
    // The journal is removed durably while the outcome is told already.
    await until(() => world.files().every((name) => /^control\.sock(\.fds)?$/.test(name)))
    if (limits === policy) expect(await world.swap()).toMatchObject({ result: 'committed' })
  })
})

describe('what comes from the control path is not believed when it', () => {
  const type = (wanted: Message['type'], instead: (message: Message) => ReturnType<Tamper>): Tamper => {
    return (message: Message, direction: Direction) =>
      direction === 'fromIncumbent' && message.type === wanted ? instead(message) : [message]
  }
  const withId = (message: Message): Message => ({ ...message, handoffId: OTHER_ID }) as Message

  test.each<[string, Tamper]>([
    ['greets as a successor', type('Hello', (hello) => [{ ...hello, role: 'successor' } as Message])],
    ['greets with the pid of another process', type('Hello', (hello) => [{ ...hello, pid: 1 } as Message])],
    ['speaks no version of ours', type('Hello', (hello) => [{ ...hello, protoMin: 2, protoMax: 3 } as Message])],
    ['greets twice', type('Hello', (hello) => [hello, hello])],
    ['announces 4 GiB', type('Drained', () => [Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 0])])],
    ['sends garbage', type('Drained', () => [Buffer.alloc(64 * 1024, 0xa5)])],
    ['drains twice', type('Drained', (drained) => [drained, drained])],
    ['seals before it drained', type('Drained', (drained) => [sealed(), drained])],
    ['answers for another swap', type('SealComplete', (complete) => [withId(complete)])],
    ['says what only a successor says', type('SealComplete', (complete) => [ready(complete), complete])],
    [
      'breaks off in the middle of a frame',
      type('Drained', (drained) => [encodeMessage(drained).subarray(0, 5), 'close']),
    ],
    ['says nothing any more', type('Drained', () => [])],
    ['still accepts', type('Drained', (drained) => [{ ...drained, acceptClosed: false } as Message])],
  ])('%s', async (_what, tamper) => {
    await using world = await World.start({ policy, daemonPolicy: { ...daemonPolicy, heartbeatPeriodMs: 60_000 } })
    const incumbent = await world.incumbentPid()
    const revision = await world.put('a', '1')
    {
      await using _middle = await ManInTheMiddle.on(world.controlSocket, tamper)
      const outcome = await world.swap()
      expect(outcome.code).toMatch(/^ERR_HANDOFF_(PEER_INCUMBENT_PROTOCOL|INCUMBENT_|DEADLINE)/)
      expect(outcome.result).toBe('rolledBack')
      expect(outcome.incumbent).toMatchObject({ pid: incumbent })
    }
    expect(await world.root()).toMatchObject({ pid: incumbent, revision })
    expect(world.processes().map(({ pid }) => pid)).toEqual([incumbent])
  })

  test('a wrong id is named together with the right one, and the journal does not stay behind (gap-22)', async () => {
    await using world = await World.start({ policy, daemonPolicy })
    await using _middle = await ManInTheMiddle.on(
      world.controlSocket,
      type('SealComplete', (complete) => [withId(complete)]),
    )
    const outcome = await world.swap()
    expect(outcome.code).toBe('ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL')
    expect(outcome.reason).toContain(OTHER_ID)
    expect(outcome.reason).toContain(outcome.handoffId)
    await until(() => !world.files().includes('journal'))
  })
})

const sealed = (): Message => ({
  type: 'SealComplete',
  handoffId: OTHER_ID,
  lastRevisionPerShard: [],
  dataDirFingerprint: new Uint8Array(32),
})
const ready = (like: Message): Message => ({
  type: 'Ready',
  handoffId: (like as { handoffId: string }).handoffId,
  listeningOn: [],
  healthzOk: true,
  advertisedRevisionPerShard: [],
})

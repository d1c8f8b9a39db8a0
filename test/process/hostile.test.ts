/**
 * Hostile frame sequences against real processes: whatever is said, in whatever order and pieces, the incumbent serves
 * afterwards. `HANDOFF_HOSTILE_RUNS` multiplies the runs; a failure prints its seed and the shortest sequence.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Message } from '../../machines/handoff/protocol.js'
import { encodeMessage } from '../../src/wire/handoff.js'
import { anyMessage, cut } from '../wire/arbitraries.js'
import { until, World } from './harness.js'
import { DrivenSuccessor, OTHER_ID, RawPeer } from './raw-peer.js'

const RUNS = Number(process.env.HANDOFF_HOSTILE_RUNS ?? 1)
const ID = '11111111-2222-4333-8444-555555555555'

/** Messages that get somewhere: of the session's own id, in any order, between others. */
const ofSession = (handoffId: string): fc.Arbitrary<Message> =>
  fc.constantFrom<Message>(
    { type: 'HelloAck', protoVersionChosen: 1, handoffId },
    { type: 'PrepareHandoff', handoffId, successorPid: 1, deadlineMs: 60_000n, drainGraceMs: 100n },
    { type: 'PrepareHandoff', handoffId, successorPid: 1, deadlineMs: 2n ** 64n - 1n, drainGraceMs: 0n },
    { type: 'SealRequest', handoffId },
    { type: 'Begin', handoffId },
    { type: 'Abort', handoffId, reason: 'because' },
    { type: 'ResumeAfterAbort', handoffId },
    { type: 'Heartbeat', tsMs: 0n },
  )

const hostileBytes = fc.oneof(
  { weight: 6, arbitrary: ofSession(ID).map((message) => encodeMessage(message)) },
  { weight: 2, arbitrary: ofSession(OTHER_ID).map((message) => encodeMessage(message)) },
  { weight: 2, arbitrary: anyMessage.filter(({ type }) => type !== 'Commit').map((message) => encodeMessage(message)) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 64 }) },
)

const sequence = fc.record({
  // A good beginning often: otherwise most sequences end at the first frame.
  begins: fc.constantFrom<readonly Message['type'][]>(
    [],
    ['HelloAck'],
    ['HelloAck', 'PrepareHandoff'],
    ['HelloAck', 'PrepareHandoff', 'SealRequest'],
  ),
  frames: fc.array(hostileBytes, { maxLength: 8 }),
  cuts: fc.array(fc.nat(4_000), { maxLength: 6 }),
  waits: fc.boolean(),
})

const opening: Partial<Record<Message['type'], Message>> = {
  HelloAck: { type: 'HelloAck', protoVersionChosen: 1, handoffId: ID },
  PrepareHandoff: { type: 'PrepareHandoff', handoffId: ID, successorPid: 1, deadlineMs: 60_000n, drainGraceMs: 100n },
  SealRequest: { type: 'SealRequest', handoffId: ID },
}
const bytesOf = ({ begins, frames }: { begins: readonly Message['type'][]; frames: readonly Uint8Array[] }) =>
  Buffer.concat([...begins.map((type) => encodeMessage(opening[type] as Message)), ...frames])

let world: World
beforeAll(async () => {
  world = await World.start({ shared: true, daemonPolicy: { deadlineSlackMs: 50, sessionIdleMs: 500 } })
})
afterAll(() => world[Symbol.asyncDispose]())

test(
  'an incumbent serves after every sequence on its control socket, and the last swap commits',
  async () => {
    const incumbent = await world.incumbentPid()
    const revision = await world.put('a', '1')
    await fc.assert(
      fc.asyncProperty(sequence, async (said) => {
        const peer = await RawPeer.dial(world.controlSocket)
        await peer.heard('Hello')
        for (const piece of cut(bytesOf(said), said.cuts)) {
          peer.bytes(piece)
          if (said.waits) await new Promise((resolve) => setImmediate(resolve))
        }
        peer.finish()
        await peer.closed
        await until(async () => (await world.hello())?.pid === incumbent)
        const { pid, revision: now } = await world.root()
        return pid === incumbent && now === revision
      }),
      { numRuns: 60 * RUNS },
    )
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  },
  60_000 * RUNS,
)

test(
  'a successor ends or serves after every sequence on its channel, and never touches data that it was not given',
  async () => {
    await fc.assert(
      fc.asyncProperty(sequence, async (said) => {
        // The world's incumbent holds the lock all the while: no successor may open.
        const opened = world.story({ hook: 'begin' }).length
        await using successor = await DrivenSuccessor.start(world.args({ id: 'hostile' }), world.env)
        await successor.heard('Hello')
        for (const piece of cut(bytesOf(said), said.cuts)) successor.bytes(piece)
        successor.finish()
        // Alone, without the lock, and somebody else answers on the path: it is surplus and ends.
        const { signal } = await successor.process.exited
        return signal === null && world.story({ hook: 'begin' }).length === opened
      }),
      { numRuns: 12 * RUNS },
    )
    const { accepts, answers } = await world.facts()
    expect(accepts).toBe(answers)
    expect(await world.swap()).toMatchObject({ result: 'committed' })
  },
  60_000 * RUNS,
)

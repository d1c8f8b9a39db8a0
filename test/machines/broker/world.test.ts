import { describe, expect, test, vi } from 'vitest'
import { brokerProperties } from '../../../machines/broker/invariants.js'
import { type BrokerWorldOptions, CALLS, createBrokerWorld } from '../../../machines/broker/world.js'
import { explore } from '../../../machines/explore/explore.js'

// Seconds each, on a machine that has nothing else to do.
vi.setConfig({ testTimeout: 300_000 })

function exploreBroker(options: BrokerWorldOptions) {
  const world = createBrokerWorld(options)
  return explore(world, { properties: brokerProperties(world) })
}
const summary = ({ complete, states, edges, violations, unwitnessed }: ReturnType<typeof exploreBroker>) => ({
  complete,
  states,
  edges,
  violations: violations.map(({ property }) => property),
  unwitnessed,
})
const closed = { complete: true, violations: [], unwitnessed: [] }

describe('the world of one client, one broker, one backend', () => {
  test('closes without a violation when any one thing breaks', () => {
    expect(summary(exploreBroker({ faults: 1 }))).toEqual({ ...closed, states: 80_533, edges: 234_881 })
  })

  test('W3 closes without a violation when the service speaks first', () => {
    expect(summary(exploreBroker({ faults: 1, serverSpeaksFirst: true }))).toEqual({
      ...closed,
      states: 80_669,
      edges: 235_277,
    })
  })

  test('visits every state and takes every transition when calls may also block', () => {
    const missing = (options: BrokerWorldOptions) =>
      explore(createBrokerWorld({ faults: 1, ...options })).coverage.missing
    const stalled = missing({ stalls: CALLS, mortal: [] })
    const speaking = missing({ serverSpeaksFirst: true })
    // What a machine does at its very start is no step of this world.
    const START = /^client(\.choosing|\.diallingCached)?$|^client\.choosing always #\d$/
    expect(stalled.filter((id) => speaking.includes(id) && !START.test(id))).toEqual([])
  })
})

describe('a client that sends its request right behind Hello', () => {
  test('is served once when broker and backend hold, or the client or the backend dies', () => {
    const world = exploreBroker({ faults: 1, pipelines: true, mortal: ['client', 'backend'] })
    expect(summary(world)).toEqual({ ...closed, states: 52_982, edges: 153_714 })
  })

  test('loses that promise only to a broker killed between ACK and EVENT: the window of the wire', () => {
    const { violations } = exploreBroker({ faults: 1, pipelines: true })
    expect(violations.map(({ property }) => property)).toEqual(['INV-23'])
    expect(JSON.stringify(violations[0])).toContain('kill:broker')
  })
})

// A minute each: `npm run test:long`.
if (process.env.HANDOFF_LONG === '1') {
  test('closes without a violation when any two things break and any one call blocks', () => {
    const world = exploreBroker({ faults: 2, serverSpeaksFirst: true, stalls: [null, ...CALLS] })
    expect(summary(world)).toEqual({ ...closed, states: 1_023_271, edges: 3_279_993 })
  })
}

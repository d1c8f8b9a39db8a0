/**
 * Broker, backend and client as three processes, one row of the failure matrix at a time: the client always gets its
 * answer, from the baseline path, and nothing of the failed handoff.
 *
 * Clients here would wait a minute for EVENT. That they are answered at all within a test shows that it was the end of the
 * connection, and not their patience, that sent them on.
 */
import { describe, expect, test } from 'vitest'
import { connectMany, trio } from './processes.js'

const QUICK = { ack_timeout_ms: 200, handoff_budget_ms: 400 }
const fellBack = (count: number) => ({
  routes: { brokerNegotiated: count },
  answers: { 'dialled N ?': count },
  failed: [],
})

describe('three processes', () => {
  test('adoption: the client is answered by the backend on the connection that carried its Hello', async () => {
    const { clients, broker, backend } = await trio('plain')
    expect(await connectMany(clients, 20, 4)).toMatchObject({
      routes: { handlePassed: 20 },
      answers: { 'adopted N ?': 20 },
      failed: [],
    })
    await broker.hear(/adopted/)
    await backend.hear(/^adopted$/)
  })

  test('W3 adoption by a service that greets first', async () => {
    const { clients } = await trio('greets')
    const { routes, answers, failed } = await connectMany(clients, 50, 10)
    expect({ routes, failed }).toEqual({ routes: { handlePassed: 50 }, failed: [] })
    // The greeting always comes before the answer, and neither is lost.
    expect(Object.keys(answers)).toEqual(['N adopted N\nadopted N ?'])
  })

  test.each<[row: string, mode: string, stage: string, reason: string]>([
    ['dial: endpoint absent', 'absent', 'dial', 'unreachable'],
    ['await ack: backend closes without ACK', 'closes', 'ack', 'backendLeft'],
    ['await ack: explicit rejection', 'rejects', 'ack', 'rejected'],
    ['await ack: bad frame', 'junk', 'ack', 'answeredWrongly'],
    ['await ack: wrong token', 'wrongToken', 'ack', 'answeredWrongly'],
    ['await ack: wrong correlation', 'wrongCorrelation', 'ack', 'answeredWrongly'],
    ['await ack: silence, the connection held', 'silent', 'ack', 'timeout'],
    ['await ack: an ACK that comes too late', 'late', 'ack', 'timeout'],
  ])('%s', async (_, mode, stage, reason) => {
    const { clients, broker, backend } = await trio(mode, QUICK)
    expect(await connectMany(clients, 3)).toMatchObject(fellBack(3))
    const report = JSON.parse(await broker.hear(/fellBack/))
    expect(report).toEqual({ kind: 'fellBack', stage, reason })
    // W4: what the broker gave up, nobody adopts.
    if (mode === 'late') expect(await backend.hear(/^late/)).toBe('late EPIPE')
    expect(backend.lines.filter((line) => line === 'adopted')).toEqual([])
  })

  test('await ack: the backend is killed with the connection in its hands, and comes back', async () => {
    const { clients, broker, startBackend } = await trio('dies', QUICK)
    const { routes, failed } = await connectMany(clients, 1)
    // Its baseline path died with it: refused, or still open for the moment in which the kernel buries the process.
    expect(routes).toEqual({})
    expect(failed).toEqual([expect.stringMatching(/ERR_HANDOFF_BROKER_BACKEND_UNREACHABLE|closed after ''/)])
    expect(JSON.parse(await broker.hear(/fellBack/))).toMatchObject({ stage: 'ack', reason: 'backendLeft' })
    await startBackend('plain')
    expect(await connectMany(clients, 3)).toMatchObject({ routes: { handlePassed: 3 }, failed: [] })
  })

  test('W1 W10 a broker that is killed is replaced by one that takes its stale socket over', async () => {
    const { clients, broker, startBroker } = await trio('plain')
    expect(await connectMany(clients, 1)).toMatchObject({ routes: { handlePassed: 1 } })
    await broker.kill()
    await startBroker()
    expect(await connectMany(clients, 3)).toMatchObject({ routes: { handlePassed: 3 }, failed: [] })
  })

  test('W2 a thousand clients at once, one silent backend: none waits for another', async () => {
    const limits = { ack_timeout_ms: 1_000, handoff_budget_ms: 1_500, max_handoffs: 200, hello_rate_limit: 100_000 }
    const { clients, broker } = await trio('silent', limits)
    expect(await connectMany(clients, 1_000, 1_000)).toMatchObject(fellBack(1_000))
    broker.say('counters')
    const counters = JSON.parse(await broker.hear(/"hello\{/)) as Record<string, number>
    const counted = Object.entries(counters).filter(([name]) => name.startsWith('fellBack'))
    expect(counted.reduce((sum, [, count]) => sum + count, 0)).toBe(1_000)
    // The limit counts handoffs in flight: each failure makes room for one more, until the eighth opens the breaker.
    // All others were told to reconnect at once.
    expect(counters['fellBack{stage=ack,reason=timeout}'] ?? 0).toBeLessThanOrEqual(200 + 8 - 1)
  })
})

/**
 * Broker, backend and client as three processes, one row of the failure matrix at a time: the client always gets its
 * answer, from the baseline path, and nothing of the failed handoff.
 *
 * Clients here would wait a minute for EVENT. That they are answered at all within a test shows that it was the end of the
 * connection, and not their patience, that sent them on.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { connectMany, trio } from './processes.js'
import { privateDirectory } from './support.js'

/** Where a clock is what is shown. */
const QUICK = { ack_timeout_ms: 200, handoff_budget_ms: 400 }
/** Where it is not, none may end first, however busy the machine is. */
const PATIENT = { dial_timeout_ms: 40_000, ack_timeout_ms: 40_000, handoff_budget_ms: 50_000, go_timeout_ms: 60_000 }
const fellBack = (count: number) => ({
  routes: { brokerNegotiated: count },
  answers: { 'dialled N ?': count },
  failed: [],
})

describe('three processes', () => {
  test('adoption: the client is answered by the backend on the connection that carried its Hello', async () => {
    const { clients, broker, backend } = await trio('plain', PATIENT)
    expect(await connectMany(clients, 20, 4)).toMatchObject({
      routes: { handlePassed: 20 },
      answers: { 'adopted N ?': 20 },
      failed: [],
    })
    await broker.hear(/adopted/)
    await backend.hear(/^adopted$/)
  })

  test('W3 adoption by a service that greets first', async () => {
    const { clients } = await trio('greets', PATIENT)
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
    // Two rows of the matrix: what would be a phantom adoption between 2 s and 5 s, and an ACK past the registry's deadline.
    ['await ack, acknowledge: an ACK that comes too late', 'late', 'ack', 'timeout'],
  ])('%s', async (_, mode, stage, reason) => {
    const { clients, broker, backend } = await trio(mode, reason === 'timeout' ? QUICK : PATIENT)
    expect(await connectMany(clients, 3)).toMatchObject(fellBack(3))
    const report = JSON.parse(await broker.hear(/fellBack/))
    expect(report).toEqual({ kind: 'fellBack', stage, reason })
    // W4: what the broker gave up, nobody adopts.
    if (mode === 'late') expect(await backend.hear(/^late/)).toBe('late EPIPE')
    expect(backend.lines.filter((line) => line === 'adopted')).toEqual([])
  })

  test.each<[row: string, breakage: string, fault: RegExp]>([
    ['send: refused by the kernel, nothing has left', 'sendFails', /^dropped brokerLeft$/],
    ['send: a part of the sideband has left, with the descriptor', 'sendsPart', /^dropped shortToken$/],
    ['deliver: the offer cannot be written', 'offerFails', /^dropped brokerLeft$/],
    ['deliver: a part of the offer has left', 'sendsPartOfOffer', /^dropped brokerLeft$/],
  ])('%s', async (_, breakage, fault) => {
    const { clients, broker, backend } = await trio('plain', PATIENT, [breakage])
    expect(await connectMany(clients, 1)).toMatchObject(fellBack(1))
    expect(JSON.parse(await broker.hear(/fellBack/))).toMatchObject({ stage: 'transfer', reason: 'sendFailed' })
    // The backend gives up what it got, and the next client is adopted.
    await backend.hear(fault)
    expect(await connectMany(clients, 1)).toMatchObject({ routes: { handlePassed: 1 }, failed: [] })
  })

  test('event: the client is gone when EVENT is written, and the backend is told', async () => {
    const gate = join(privateDirectory(), 'gate')
    const { clients, broker, backend, startClients } = await trio('plain', PATIENT, ['waitsBeforeEvent', gate])
    clients.say('1 1 60000')
    await broker.hear(/^event due$/)
    await clients.kill()
    writeFileSync(gate, '')
    expect(JSON.parse(await broker.hear(/fellBack/))).toMatchObject({ stage: 'commit', reason: 'hungUp' })
    expect(await backend.hear(/^(dropped|adopted)/)).toBe('dropped withdrawn')
    expect(await connectMany(await startClients(), 1)).toMatchObject({ routes: { handlePassed: 1 }, failed: [] })
  })

  test('event: the broker is killed between taking the ACK and EVENT: the client reconnects when its patience ends', async () => {
    const { clients, broker, backend, startBroker } = await trio('plain', PATIENT, ['diesBeforeEvent'])
    expect(await connectMany(clients, 1, 1, 500)).toMatchObject(fellBack(1))
    // The backend took the silence for the go signal; what it holds ended with the client's end, unread and unwritten.
    await backend.hear(/^adopted$/)
    await backend.hear(/^adopted ended$/)
    await broker.kill()
    await startBroker()
    expect(await connectMany(clients, 1)).toMatchObject({ routes: { handlePassed: 1 }, failed: [] })
  })

  test('await ack: the backend is killed with the connection in its hands, and comes back', async () => {
    const { clients, broker, startBackend } = await trio('dies', PATIENT)
    const { routes, failed } = await connectMany(clients, 1)
    // Its baseline path died with it: refused, or still open for the moment in which the kernel buries the process.
    expect(routes).toEqual({})
    expect(failed).toEqual([expect.stringMatching(/ERR_HANDOFF_BROKER_BACKEND_UNREACHABLE|closed after ''/)])
    expect(JSON.parse(await broker.hear(/fellBack/))).toMatchObject({ stage: 'ack', reason: 'backendLeft' })
    await startBackend('plain')
    expect(await connectMany(clients, 3)).toMatchObject({ routes: { handlePassed: 3 }, failed: [] })
  })

  test('W1 W10 a broker that is killed is replaced by one that takes its stale socket over', async () => {
    const { clients, broker, startBroker } = await trio('plain', PATIENT)
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

/** Open descriptors of all three processes stay the same over many handoffs. `HANDOFF_LONG=1` makes it ten thousand. */
import { describe, expect, test } from 'vitest'
import { connectMany, openDescriptors, trio } from './processes.js'

const ROUNDS = process.env.HANDOFF_LONG === '1' ? 10_000 : 400

describe('descriptors', () => {
  test.each([
    ['plain', 'handlePassed'],
    ['rejects', 'brokerNegotiated'],
    ['closes', 'brokerNegotiated'],
  ])(
    `${ROUNDS} handoffs to a backend that is '%s' leave none behind`,
    async (mode, route) => {
      const limits = { hello_rate_limit: 1_000_000, breaker_failures: 1_000, breaker_window_ms: 1 }
      const { clients, broker, backend } = await trio(mode, limits)
      const count = async () => ({
        broker: await openDescriptors(broker),
        backend: await openDescriptors(backend),
        clients: await openDescriptors(clients),
      })
      await connectMany(clients, 50, 10)
      const before = await settled(count)
      const { routes, failed } = await connectMany(clients, ROUNDS, 10)
      expect({ routes, failed }).toEqual({ routes: { [route]: ROUNDS }, failed: [] })
      expect(await settled(count)).toEqual(before)
    },
    600_000,
  )
})

/** The last connections end a moment after their clients: counted until two counts agree. */
async function settled<T>(count: () => Promise<T>): Promise<T> {
  let last = await count()
  for (;;) {
    const next = await count()
    if (JSON.stringify(next) === JSON.stringify(last)) return next
    last = next
  }
}

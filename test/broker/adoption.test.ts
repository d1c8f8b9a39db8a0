import { describe, expect, test } from 'vitest'
import { ask, setup } from './support.js'

describe('a client whose connection is passed on', () => {
  test('is answered on the connection that carried its Hello', async () => {
    const { connect, broker, backend, report, paths, offer } = await setup()
    const { socket, route, endpoint, negotiated } = await connect()
    expect(route).toBe('handlePassed')
    expect(endpoint).toBe(paths.pipe)
    expect(negotiated?.daemonVersion).toBe('1.2.3')
    expect(await ask(socket, 'hello')).toBe('adopted:hello')
    await Promise.all([report('adopted'), offer('adopted')])
    expect(broker.counters()).toMatchObject({ adopted: 1, 'hello{handoff=true}': 1 })
    expect(backend?.counters()).toEqual({ adopted: 1 })
  })
})

/** What holds the doors together: every effect bound, every limit checked, every option refused with a cure. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import { backendMachine } from '../../machines/broker/backend.machine.js'
import { brokerMachine } from '../../machines/broker/broker.machine.js'
import { clientMachine } from '../../machines/broker/client.machine.js'
import { connectionMachine } from '../../machines/broker/connection.machine.js'
import { unboundName } from '../../machines/effects.js'
import { type BrokerEffects, bindBroker, bindConnection } from '../../src/broker/bind-broker.js'
import { readBrokerConfig } from '../../src/broker/broker-config.js'
import { bindClient } from '../../src/broker/connect-client.js'
import { connectClient, serveBackend, serveBroker } from '../../src/broker/index.js'
import { Counters } from '../../src/broker/reports.js'
import { bindBackend } from '../../src/broker/serve-backend.js'
import { helloBytes } from '../../src/wire/broker/envelope.js'
import { exchange } from './raw.js'
import { ask, setup } from './support.js'

describe('every name a machine has is bound by its door', () => {
  const unbound = ({ implementations }: AnyStateMachine): string[] =>
    Object.values({ ...implementations.actions, ...implementations.actors }).flatMap(
      (effect) => unboundName(effect) ?? [],
    )
  const never = () => {
    throw new Error('nothing runs here')
  }

  test.each<[string, AnyStateMachine, AnyStateMachine]>([
    ['broker', brokerMachine, bindBroker({} as BrokerEffects)],
    ['connection', connectionMachine, bindConnection(never)],
    ['backend', backendMachine, bindBackend(never)],
    ['client', clientMachine, bindClient(never)],
  ])('%s', (_, bare, bound) => {
    expect(unbound(bare).length).toBeGreaterThan(0)
    expect(unbound(bound)).toEqual([])
  })
})

describe('arbitrary bytes in any fragmentation', () => {
  test('W1 whatever a client sends, it gets a refusal or nothing, and the next one is served', async () => {
    const { paths, connect, broker } = await setup({ broker: { policy: { helloRateLimit: 1_000_000 } } })
    const noise = fc.uint8Array({ maxLength: 80 })
    // Noise, and Hellos with a byte or two changed: those come further.
    const mangled = fc.tuple(fc.nat(60), fc.nat(255)).map(([place, value]) => {
      const bytes = helloBytes({
        clientMinProtocol: 1,
        clientMaxProtocol: 1,
        serviceName: 'kv',
        wantedVersion: '1.2.3',
      })
      bytes[place % bytes.length] = value
      return new Uint8Array(bytes)
    })
    await fc.assert(
      fc.asyncProperty(fc.oneof(noise, mangled), fc.array(fc.nat(80), { maxLength: 4 }), async (bytes, cuts) => {
        await exchange(paths.broker, bytes, 'end', cuts)
      }),
      { numRuns: 300 },
    )
    const { socket, route } = await connect()
    expect(route).toBe('handlePassed')
    expect(await ask(socket, 'x')).toBe('adopted:x')
    expect(broker.counters().fault).toBeUndefined()
  })
})

describe('options', () => {
  const usage = 'ERR_HANDOFF_BROKER_USAGE_OPTION'
  test.each<[string, () => Promise<unknown>, string]>([
    ['a relative control socket', () => serveBroker({ controlSocket: 'here', services: {} }), usage],
    ['a relative endpoint', () => serveBackend({ endpoint: 'here', onConnection() {} }), usage],
    ['a relative broker', () => connectClient({ broker: 'here', service: 'kv', wantedVersion: '1.0.0' }), usage],
    [
      'a service no client could name',
      () => serveBroker({ controlSocket: '/tmp/x', services: { KV: { version: '1', backendPipe: '/p' } } }),
      usage,
    ],
    [
      'a limit out of bounds',
      () => serveBroker({ controlSocket: '/tmp/x', services: {}, policy: { maxTokens: 0 } }),
      usage,
    ],
    [
      'a path no socket can have',
      () => serveBroker({ controlSocket: `/${'x'.repeat(200)}`, services: {} }),
      'ERR_HANDOFF_SOCKET_PATH_TOO_LONG',
    ],
  ])('%s is refused at once', async (_, open, code) => {
    await expect(open()).rejects.toMatchObject({ code, todo: expect.any(String) })
  })

  test('an observer that throws harms nobody', async () => {
    const { connect } = await setup({
      broker: {
        observe: () => {
          throw new Error('observer')
        },
      },
    })
    const warned = new Promise((resolve) => process.once('warning', resolve))
    expect((await connect()).route).toBe('handlePassed')
    expect(String(await warned)).toContain('observer')
  })

  test('a service that throws over a connection loses that connection only', async () => {
    let calls = 0
    const { connect, offer } = await setup({
      backend: {
        onConnection: (socket) => {
          if (calls++ === 0) throw new Error('service')
          socket.end('fine')
        },
      },
    })
    const first = await connect()
    await new Promise((resolve) => first.socket.once('close', resolve).resume())
    expect(await offer('fault')).toMatchObject({ where: 'onConnection' })
    const { socket } = await connect()
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toBe('fine')
  })
})

describe('half-open services', () => {
  test('a client that has ended its side still gets the answer', async () => {
    const { connect } = await setup({
      backend: {
        allowHalfOpen: true,
        onConnection: (socket) => {
          socket.resume().on('end', () => socket.end('after your end'))
        },
      },
    })
    const { socket, route } = await connect({ allowHalfOpen: true })
    expect(route).toBe('handlePassed')
    socket.end('my end')
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toBe('after your end')
  })
})

describe('drain and resume', () => {
  test('a drained broker leaves clients waiting, and serves them when it resumes', async () => {
    const { broker, connect } = await setup()
    await broker.drain()
    const waiting = connect()
    // The connection stands in the queue: nobody accepts, nobody refuses.
    await new Promise((resolve) => setImmediate(resolve))
    expect(broker.connections()).toBe(0)
    broker.resume()
    expect((await waiting).route).toBe('handlePassed')
  })

  test('a drain waits for the exchange that is under way', async () => {
    const held: (() => void)[] = []
    const { broker, connect } = await setup({
      raw: (offer) => held.push(() => offer.close()),
      broker: {
        policy: { ackTimeoutMs: 20_000, handoffBudgetMs: 30_000, goTimeoutMs: 40_000, drainTimeoutMs: 60_000 },
      },
    })
    const client = connect({ policy: { readyTimeoutMs: 60_000 } })
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    let drained = false
    const drain = broker.drain().then(() => {
      drained = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(drained).toBe(false)
    held[0]?.()
    await drain
    expect((await client).route).toBe('brokerNegotiated')
  })
})

describe('broker.toml', () => {
  const text = (extra = '') =>
    `socket = "run/b"\ncontrol_socket = "/run/c"\ndata_dir = "d"\n${extra}\n[services.kv]\nversion = "1.0.0"\nbackend = "p"\nhandoff = "h"\n`

  test('is read whole, with paths from its own directory', () => {
    const config = readBrokerConfig(
      `${text('allowed_uids = [1000]')}[policy]\nhandoff_budget_ms = 900\n`,
      '/etc/x/broker.toml',
    )
    expect(config).toEqual({
      file: '/etc/x/broker.toml',
      socket: '/etc/x/run/b',
      controlSocket: '/run/c',
      dataDir: '/etc/x/d',
      services: { kv: { version: '1.0.0', backendPipe: '/etc/x/p', handoffEndpoint: '/etc/x/h' } },
      policy: { handoffBudgetMs: 900 },
      allowedUids: [1000],
    })
  })

  test.each([
    ['socket = ', 'CONFIG_SYNTAX'],
    ['socket = "x"', 'CONFIG_MISSING_KEY'],
    [text('sokcet = "x"'), 'CONFIG_UNKNOWN_KEY'],
    [text().replace('"1.0.0"', '7'), 'CONFIG_VALUE'],
    [`${text()}[policy]\nhandoff_bugdet_ms = 1`, 'CONFIG_UNKNOWN_KEY'],
    [`${text()}[policy]\nhandoff_budget_ms = "1"`, 'CONFIG_VALUE'],
    [text('allowed_uids = ["me"]'), 'CONFIG_VALUE'],
  ])('%# is refused', (toml, code) => {
    expect(() => readBrokerConfig(toml, 'broker.toml')).toThrow(
      expect.objectContaining({ code: `ERR_HANDOFF_USAGE_${code}` }),
    )
  })
})

test('counters read as OpenMetrics', () => {
  const counters = new Counters()
  counters.count('fellBack', 'stage=ack,reason=timeout')
  counters.count('adopted')
  counters.count('adopted')
  expect(counters.toOpenMetrics('x')).toBe(
    '# TYPE x_adopted counter\nx_adopted_total 2\n# TYPE x_fell_back counter\nx_fell_back_total{stage="ack",reason="timeout"} 1\n# EOF\n',
  )
})

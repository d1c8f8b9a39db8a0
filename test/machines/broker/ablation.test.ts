/** Each decision is switched off once: the weakness it removes must come back as a counterexample. */
import { expect, test, vi } from 'vitest'
import { backendMachine } from '../../../machines/broker/backend.machine.js'
import { clientMachine } from '../../../machines/broker/client.machine.js'
import { connectionMachine } from '../../../machines/broker/connection.machine.js'
import { brokerProperties } from '../../../machines/broker/invariants.js'
import { type BrokerWorldOptions, CALLS, createBrokerWorld } from '../../../machines/broker/world.js'
import { explore } from '../../../machines/explore/explore.js'
import { at, rewired, without } from './rewire.js'

// Seconds each, on a machine that has nothing else to do.
vi.setConfig({ testTimeout: 300_000 })

/** Is there a counterexample to this one property? The first is enough. */
function breaks(id: string, options: BrokerWorldOptions): boolean {
  const world = createBrokerWorld({ faults: 1, ...options })
  const properties = brokerProperties(world).filter((property) => property.id === id)
  expect(properties).toHaveLength(1)
  return explore(world, { properties, limits: { violations: 1 } }).violations.length > 0
}

type Edit = Parameters<typeof rewired>[1]
const connection = (edit: Edit) => ({ machines: { connection: rewired(connectionMachine, edit) } })
const backend = (edit: Edit) => ({ machines: { backend: rewired(backendMachine, edit) } })
const client = (edit: Edit) => ({ machines: { client: rewired(clientMachine, edit) } })

test('W2 without the ACK and budget clocks a silent backend holds the broker for ever', () => {
  const off = connection((states) => {
    without(states, 'handingOff', 'states', 'awaitingAck', 'after')
    without(states, 'handingOff', 'after')
  })
  expect(breaks('INV-25', off)).toBe(true)
})

test('W2 without the clock on Hello a silent client holds its connection for ever', () => {
  const off = connection((states) => without(states, 'readingHello', 'after'))
  expect(breaks('INV-25', off)).toBe(true)
})

test('W2 without the clock on the reply a client that reads nothing holds its connection for ever', () => {
  const off = connection((states) => without(states, 'answering', 'after'))
  expect(breaks('INV-25', { ...off, stalls: CALLS, faults: 0 })).toBe(true)
})

test('W3 a backend that touches the connection at its ACK speaks before EVENT', () => {
  const off = backend((states) => {
    at(states, 'accepting', 'on')['ack.sent'] = 'adopted'
  })
  expect(breaks('INV-26', { ...off, serverSpeaksFirst: true })).toBe(true)
})

test('W4 a backend that keeps what the broker gave up is a phantom adoption', () => {
  const off = backend((states) => {
    at(states, 'awaitingGo', 'on')['broker.withdrew'] = 'adopted'
  })
  expect(breaks('INV-22', off)).toBe(true)
})

test('W5 without a look at the client a handoff is made for nobody', () => {
  const off = connection((states) => {
    at(states, 'handingOff').initial = 'dialling'
  })
  expect(breaks('W5', off)).toBe(true)
})

test('W9 a broker that only forgets, and cuts nothing, never lets go of the connection', () => {
  const off = connection((states) => {
    at(states, 'withdrawing').entry = 'revokeToken'
    at(states, 'closed').entry = 'reportOutcome'
  })
  expect(breaks('INV-29', off)).toBe(true)
})

test('W9 a backend without a clock on the verdict of a broker that hangs keeps the connection for ever', () => {
  const off = backend((states) => without(states, 'awaitingGo', 'after'))
  expect(breaks('INV-25', off)).toBe(true)
})

test('INV-24 a backend that drops a promised connection when it is stopped breaks a client', () => {
  const off = backend((states) => {
    at(states, 'awaitingGo', 'on')['backend.stopped'] = 'dropped'
  })
  expect(breaks('INV-24', off)).toBe(true)
})

test('INV-24 a client that takes a failed handoff for an error reports one', () => {
  const off = client((states) => {
    at(states, 'awaitingReady', 'on')['broker.left'] = 'failed'
  })
  expect(breaks('INV-24', off)).toBe(true)
})

test('INV-25 a client without a clock on EVENT waits for ever', () => {
  const off = client((states) => without(states, 'awaitingReady', 'after'))
  expect(breaks('INV-25', off)).toBe(true)
})

test('INV-29 a backend that forgets the descriptor of a rejected offer leaks it', () => {
  const off = backend((states) => {
    at(states, 'rejecting').entry = 'sendRejection'
    at(states, 'dropped').entry = 'closeHandoff'
  })
  expect(breaks('INV-29', off)).toBe(true)
})

test('INV-29 a broker that forgets its handles leaks them', () => {
  const off = connection((states) => {
    at(states, 'done').entry = 'releaseBackend'
  })
  expect(breaks('INV-29', off)).toBe(true)
})

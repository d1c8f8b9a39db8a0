/** Each decision is switched off once: the weakness it removes must come back as a counterexample. */
import { expect, test } from 'vitest'
import { backendMachine } from '../../../machines/broker/backend.machine.js'
import { clientMachine } from '../../../machines/broker/client.machine.js'
import { connectionMachine } from '../../../machines/broker/connection.machine.js'
import { brokerProperties } from '../../../machines/broker/invariants.js'
import { type BrokerWorldOptions, CALLS, createBrokerWorld } from '../../../machines/broker/world.js'
import { explore } from '../../../machines/explore/explore.js'
import { at, rewired, without } from './rewire.js'

function broken(options: BrokerWorldOptions): string[] {
  const world = createBrokerWorld({ faults: 1, ...options })
  return [
    ...new Set(explore(world, { properties: brokerProperties(world) }).violations.map(({ property }) => property)),
  ]
}
const connection = (edit: Parameters<typeof rewired>[1]) => ({
  machines: { connection: rewired(connectionMachine, edit) },
})
const backend = (edit: Parameters<typeof rewired>[1]) => ({ machines: { backend: rewired(backendMachine, edit) } })
const client = (edit: Parameters<typeof rewired>[1]) => ({ machines: { client: rewired(clientMachine, edit) } })

test('W2 without the ACK and budget clocks a silent backend holds the broker for ever', () => {
  const found = broken(
    connection((states) => {
      without(states, 'handingOff', 'states', 'awaitingAck', 'after')
      without(states, 'handingOff', 'after')
    }),
  )
  expect(found).toContain('INV-25')
})

test('W2 without the clock on Hello a silent client holds its connection for ever', () => {
  expect(broken(connection((states) => without(states, 'readingHello', 'after')))).toContain('INV-25')
})

test('W2 without the clock on the reply a client that reads nothing holds its connection for ever', () => {
  const off = connection((states) => without(states, 'answering', 'after'))
  expect(broken({ ...off, stalls: CALLS, faults: 0 })).toContain('INV-25')
})

test('W3 a backend that touches the connection at its ACK speaks before EVENT', () => {
  const found = broken({
    ...backend((states) => {
      at(states, 'accepting', 'on')['ack.sent'] = 'adopted'
    }),
    serverSpeaksFirst: true,
  })
  expect(found).toContain('INV-26')
})

test('W4 a backend that keeps what the broker gave up is a phantom adoption', () => {
  const found = broken(
    backend((states) => {
      at(states, 'awaitingGo', 'on')['broker.withdrew'] = 'adopted'
    }),
  )
  expect(found).toContain('INV-22')
})

test('W5 without a look at the client a handoff is made for nobody', () => {
  const found = broken(
    connection((states) => {
      at(states, 'handingOff').initial = 'dialling'
    }),
  )
  expect(found).toContain('W5')
})

test('W9 a broker that only closes, and cuts nothing, leaves the client waiting for a silent backend', () => {
  const found = broken(
    connection((states) => {
      at(states, 'withdrawing').entry = 'revokeToken'
      at(states, 'closed').entry = 'reportOutcome'
    }),
  )
  expect(found.length).toBeGreaterThan(0)
})

test('W9 a backend that waits for no verdict after a broker that hangs keeps the connection for ever', () => {
  expect(broken(backend((states) => without(states, 'awaitingGo', 'after')))).toContain('INV-25')
})

test('INV-24 a backend that drops a promised connection when it is stopped breaks a client', () => {
  const found = broken(
    backend((states) => {
      at(states, 'awaitingGo', 'on')['backend.stopped'] = 'dropped'
    }),
  )
  expect(found).toContain('INV-24')
})

test('INV-24 a client that takes a failed handoff for an error reports one', () => {
  const found = broken(
    client((states) => {
      at(states, 'awaitingReady', 'on')['broker.left'] = 'failed'
    }),
  )
  expect(found).toContain('INV-24')
})

test('INV-25 a client without a clock on EVENT waits for ever', () => {
  expect(broken(client((states) => without(states, 'awaitingReady', 'after')))).toContain('INV-25')
})

test('INV-29 a backend that forgets the descriptor of a rejected offer leaks it', () => {
  const found = broken(
    backend((states) => {
      at(states, 'rejecting').entry = 'sendRejection'
      at(states, 'dropped').entry = 'closeHandoff'
    }),
  )
  expect(found).toContain('INV-29')
})

test('INV-29 a broker that forgets its handles leaks them', () => {
  const found = broken(
    connection((states) => {
      at(states, 'done').entry = 'releaseBackend'
    }),
  )
  expect(found).toContain('INV-29')
})

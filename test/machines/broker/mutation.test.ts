/** Every decision of the broker's machines is taken away once. What its small world does not notice is known, each with a reason. */
import { expect, test, vi } from 'vitest'
import { BROKER_ROLES, type BrokerRole, mutateBrokerRole } from '../../../machines/broker/mutation.js'

// Half a minute each, on a machine that has nothing else to do.
vi.setConfig({ testTimeout: 600_000 })

const LATER = 'a clock ends it later: this world has orders of events, not durations'
const UNASKED = 'this world delivers by state, whether or not somebody listens; over sockets it would hang'
const SAME = 'both orders, or the next step alone, come to the same'

const UNNOTICED: Record<BrokerRole, Readonly<Record<string, string>>> = {
  connection: {
    'connection.readingHello entry: dropAction readHello[0]': UNASKED,
    'connection.readingHello client.asked #0: dropTransition': LATER,
    'connection.answering entry: dropAction sendReply[0]': LATER,
    'connection.answering reply.sent #0: dropTransition': LATER,
    'connection.answering reply.failed #0: dropTransition': LATER,
    'connection.negotiated reply.failed #0: dropTransition': LATER,
    'connection.handingOff: dropTimer handoffBudgetMs': LATER,
    'connection.handingOff.screening handoff.declined #0: dropTransition': LATER,
    'connection.handingOff.transferring transfer.failed #0: dropTransition': LATER,
    'connection.handingOff.awaitingAck entry: dropAction awaitAck[0]': UNASKED,
    'connection.handingOff.awaitingAck backend.rejected #0: dropTransition': LATER,
    'connection.handingOff.awaitingAck backend.left #0: dropTransition': LATER,
    'connection.handingOff.awaitingAck client.left #0: dropTransition': LATER,
    'connection.handingOff.awaitingAck: dropTimer ackTimeoutMs': LATER,
    'connection.handingOff.ready commit.impossible #0: dropTransition': LATER,
    'connection.withdrawing entry: swapActions cutConnection[0] revokeToken': SAME,
    'connection.done entry: dropAction releaseBackend[0]': SAME,
    'connection.done entry: swapActions releaseBackend[0] closeHandles': SAME,
    'connection.done entry: swapActions closeHandles[1] reportOutcome': SAME,
    'connection.closed entry: swapActions closeHandles[0] reportOutcome': SAME,
  },
  backend: {
    'offer.receiving.connection entry: dropAction receiveConnection[0]': UNASKED,
    'offer.receiving.offer entry: dropAction readOffer[0]': UNASKED,
    'offer.receiving.offer offer.unacceptable #0: dropTransition': LATER,
    'offer.rejecting entry: dropAction dropConnection[0]': LATER,
    'offer.rejecting entry: swapActions dropConnection[0] sendRejection': LATER,
    'offer.rejecting entry: dropAction sendRejection[1]': LATER,
    'offer.rejecting ack.sent #0: dropTransition': LATER,
    'offer.rejecting ack.failed #0: dropTransition': LATER,
    'offer.accepting ack.failed #0: dropTransition': LATER,
    'offer.awaitingGo entry: dropAction awaitGo[0]': UNASKED,
    'offer.adopted entry: dropAction adoptConnection[0]': UNASKED,
    'offer.adopted entry: swapActions adoptConnection[0] closeHandoff': SAME,
    'offer.adopted entry: swapActions closeHandoff[1] reportOffer': SAME,
    'offer.dropped entry: swapActions dropConnection[0] closeHandoff': SAME,
    'offer.dropped entry: swapActions closeHandoff[1] reportOffer': SAME,
  },
  client: {
    'client.negotiating broker.negotiated #0: dropTransition': LATER,
    'client.negotiating broker.refused #0: dropTransition': LATER,
    'client.negotiating broker.namedNothing #0: dropTransition': LATER,
    'client.negotiating broker.violatedProtocol #0: dropTransition': LATER,
    'client.negotiating broker.left #0: dropTransition': LATER,
    'client.awaitingReady entry: dropAction awaitEvent[0]': UNASKED,
    'client.awaitingReady broker.left #0: dropTransition': LATER,
    'client.reconnecting backend.unnamed #0: dropTransition': LATER,
    'client.failed entry: swapActions dropConnection[0] deliverFault': SAME,
    'client.failed entry: dropAction deliverFault[1]': UNASKED,
  },
}

const NOTICED: Record<BrokerRole, number> = { connection: 22, backend: 13, client: 13 }

// Minutes on a busy machine for all three: `npm run test:long`.
const roles = process.env.HANDOFF_LONG === '1' ? BROKER_ROLES : (['backend'] as const)

test.each(roles)('%s: what is not noticed is known', (role) => {
  const { killed, survived } = mutateBrokerRole(role)
  expect(survived.every(({ complete }) => complete)).toBe(true)
  expect(survived.map(({ id }) => id).sort()).toEqual(Object.keys(UNNOTICED[role]).sort())
  expect(killed).toHaveLength(NOTICED[role])
})

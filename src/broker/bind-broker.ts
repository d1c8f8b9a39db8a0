/** Binds the broker's machines to this process: every name in them gets its effect here, and only here. */
import { brokerMachine } from '../../machines/broker/broker.machine.js'
import { connectionMachine } from '../../machines/broker/connection.machine.js'
import type { BrokerConnection } from './broker-connection.js'

export interface BrokerEffects {
  openEndpoint(): void
  startAccepting(): void
  stopAccepting(): void
  startConnection(pressed: boolean): void
  turnAway(): void
  abandonConnections(): void
  closeEndpoint(): void
  reportDrained(): void
}

export function bindBroker(effects: BrokerEffects) {
  return brokerMachine.provide({
    actions: {
      openEndpoint: () => effects.openEndpoint(),
      startAccepting: () => effects.startAccepting(),
      stopAccepting: () => effects.stopAccepting(),
      startConnection: (_, { pressed }) => effects.startConnection(pressed),
      turnAway: () => effects.turnAway(),
      abandonConnections: () => effects.abandonConnections(),
      closeEndpoint: () => effects.closeEndpoint(),
      reportDrained: () => effects.reportDrained(),
    },
  })
}

/** One bound machine serves all connections; each finds its handles by the id in its context. */
export function bindConnection(find: (id: number) => BrokerConnection) {
  return connectionMachine.provide({
    actions: {
      readHello: ({ context }) => find(context.id).readHello(),
      sendReply: ({ context }) => find(context.id).sendReply(),
      screenHandoff: ({ context }) => find(context.id).screenHandoff(),
      dialBackend: ({ context }) => find(context.id).dialBackend(),
      transferConnection: ({ context }) => find(context.id).transferConnection(),
      awaitAck: ({ context }) => find(context.id).awaitAck(),
      commitHandoff: ({ context }) => find(context.id).commitHandoff(),
      releaseBackend: ({ context }) => find(context.id).releaseBackend(),
      cutConnection: ({ context }) => find(context.id).cutConnection(),
      revokeToken: ({ context }) => {
        const connection = find(context.id)
        connection.home.revokeToken(connection)
      },
      closeHandles: ({ context }) => find(context.id).closeHandles(),
      reportOutcome: ({ context }, { adopted, failure }) => {
        const connection = find(context.id)
        connection.home.ended(connection, adopted, failure)
      },
    },
  })
}

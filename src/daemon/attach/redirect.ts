/** Requests on the connections of a replaced server reach the handlers of the one that replaced it. */
import type { Server } from 'node:net'

/** What an HTTP server hands to its handlers. `connection` stays: it is the server's own parser that listens there. */
const HANDLER_EVENTS = [
  'request',
  'checkContinue',
  'checkExpectation',
  'upgrade',
  'connect',
  'clientError',
  'dropRequest',
  'timeout',
] as const

/**
 * A daemon that reopens its state often builds a new server around it, while clients stay connected to the old one. Their
 * next requests must see the new state; answers already begun end with the handler that began them. Events without a
 * listener on either side stay without one, because Node treats that as a refusal.
 */
export function redirectHandlers(from: Server, to: Server): void {
  for (const event of HANDLER_EVENTS) {
    from.removeAllListeners(event)
    if (event !== 'request' && to.listenerCount(event) === 0) continue
    from.on(event, (...args: unknown[]) => to.emit(event, ...args))
  }
}

/**
 * The broker's doors: a client's live connection passes from broker to backend, and any failure of that ends silently on
 * the path that always works.
 *
 * @packageDocumentation
 */
export type { OfferFault, Reason, Route, Stage } from '../../machines/broker/outcomes.js'
export { BROKER_LIMITS, type BrokerPolicy, DEFAULT_BROKER_POLICY } from '../../machines/broker/policy.js'
export {
  AdminReplyKind,
  AdminVerb,
  type AdminVerbName,
  BrokerIsolation,
  type DaemonProcess,
  type ServiceDefinition,
} from '../wire/broker/messages.js'
export { type AdminAnswer, askBroker } from './ask-broker.js'
export { type Connected, type ConnectOptions, connectClient } from './connect-client.js'
export { answeringProbes, ownIdentity, probeAnswer, probeIdentity } from './identity-probe.js'
export type { BackendReport, BrokerReport } from './reports.js'
export { type Backend, type BackendOptions, type ConnectionInfo, serveBackend } from './serve-backend.js'
export { type Broker, type BrokerOptions, serveBroker } from './serve-broker.js'
export { readServiceDefinition, serviceDefinitionDirectory, writeServiceDefinition } from './service-definitions.js'
export type { BrokerService, Services } from './services.js'

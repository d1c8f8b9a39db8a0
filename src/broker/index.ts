/**
 * The broker's doors: a client's live connection passes from broker to backend, and any failure of that ends silently on
 * the path that always works.
 *
 * @packageDocumentation
 */
export type { OfferFault, Reason, Route, Stage } from '../../machines/broker/outcomes.js'
export { BROKER_LIMITS, type BrokerPolicy, DEFAULT_BROKER_POLICY } from '../../machines/broker/policy.js'
export { type Connected, type ConnectOptions, connectClient } from './connect-client.js'
export type { BackendReport, BrokerReport } from './reports.js'
export { type Backend, type BackendOptions, type ConnectionInfo, serveBackend } from './serve-backend.js'
export { type Broker, type BrokerOptions, serveBroker } from './serve-broker.js'
export type { BrokerService, Services } from './services.js'

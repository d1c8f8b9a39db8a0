/** Public door `handoff-machines/machines`: the roles as XState v5 machines, to be provided with effects of your own. */

export { backendMachine } from './broker/backend.machine.js'
export { breakerMachine } from './broker/breaker.machine.js'
export { brokerMachine } from './broker/broker.machine.js'
export { clientMachine } from './broker/client.machine.js'
export { connectionMachine } from './broker/connection.machine.js'
export { UnboundEffectError, unboundAction, unboundActor, unboundName } from './effects.js'
export { EXIT, type ExitStatus, FAILURES, type FailureCode, meaningOfExit } from './handoff/failures.js'
export * from './handoff/incumbent.machine.js'
export * from './handoff/messages.js'
export {
  checkPolicy,
  DEFAULT_POLICY,
  LIMITS,
  type Limit,
  type LimitName,
  type Policy,
  type PolicyProblem,
  respawnPauseMs,
} from './handoff/policy.js'
export * from './handoff/protocol.js'
export * from './handoff/successor.machine.js'
export * from './handoff/supervisor.machine.js'
export * from './handoff/swap.machine.js'

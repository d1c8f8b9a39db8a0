/** Public door `handoff-machines/machines`: the roles as XState v5 machines, to be provided with effects of your own. */
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

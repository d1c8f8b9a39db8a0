/** Public door `handoff-machines/supervisor`: hold the listeners, start the daemon, replace its program. */
export type { DiagnosticChannel, DiagnosticMessages } from '../observe/diagnostics.js'
export { createSupervisor } from './create-supervisor.js'
export type {
  IncumbentFacts,
  ListenerSpec,
  ListenerStatus,
  ProcessFacts,
  RehearsalReport,
  Supervisor,
  SupervisorOptions,
  SupervisorStatus,
  SwapOutcome,
  SwapProgress,
  SwapResult,
  SwapSpec,
} from './types.js'

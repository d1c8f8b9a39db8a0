/**
 * Why a swap, a start or a process ended as it did: a closed set of codes, so that contexts stay finite, each with the
 * sentence a person reads. Details (an error text, a pid) are added at the edge.
 */
export const FAILURES = {
  ERR_HANDOFF_JOURNAL_WRITE: 'the supervisor could not write its journal',
  ERR_HANDOFF_SPAWN: 'the successor could not be started',
  ERR_HANDOFF_SUCCESSOR_EXITED: 'the successor exited before it was ready',
  ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT: 'the successor sent no Hello in time',
  ERR_HANDOFF_SUCCESSOR_SILENT: 'the successor fell silent',
  ERR_HANDOFF_SUCCESSOR_DISCONNECTED: 'the successor closed its channel before it was ready',
  ERR_HANDOFF_SUCCESSOR_NOT_SERVING: 'the successor said Ready but never answered on the control path',
  ERR_HANDOFF_SUCCESSOR_UNHEALTHY: 'the successor reported itself unhealthy',
  ERR_HANDOFF_SUCCESSOR_BEHIND: 'the successor opened older revisions than the incumbent had sealed',
  ERR_HANDOFF_SUCCESSOR_FINGERPRINT: 'the successor opened other data than the incumbent had sealed',
  ERR_HANDOFF_PEER_SUCCESSOR_PROTOCOL: 'the successor broke the protocol',
  ERR_HANDOFF_PEER_INCUMBENT_PROTOCOL: 'the incumbent broke the protocol',
  ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL: 'the supervisor broke the protocol',
  ERR_HANDOFF_INCUMBENT_UNREACHABLE: 'the incumbent did not answer on its control socket',
  ERR_HANDOFF_INCUMBENT_SILENT: 'the incumbent fell silent',
  ERR_HANDOFF_INCUMBENT_DISCONNECTED: 'the incumbent closed the control session',
  ERR_HANDOFF_INCUMBENT_EXITED: 'the incumbent exited',
  ERR_HANDOFF_INCUMBENT_STILL_ACCEPTING: 'the incumbent drained but still accepts connections',
  ERR_HANDOFF_INCUMBENT_RESUME: 'the incumbent did not serve again in time',
  ERR_HANDOFF_DRAIN_FAILED: 'the incumbent could not drain',
  ERR_HANDOFF_SEAL_FAILED: 'the incumbent could not seal its data',
  ERR_HANDOFF_DEADLINE_TIMEOUT: 'the deadline of the swap passed',
  ERR_HANDOFF_CANCELLED: 'the swap was cancelled',
  ERR_HANDOFF_PREPARE_FAILED: 'the prepare hook failed',
  ERR_HANDOFF_LOCK_HELD: 'another process holds the data-dir lock',
  ERR_HANDOFF_OPEN_FAILED: 'the state could not be opened',
  ERR_HANDOFF_RESUME_FAILED: 'the resume hook failed',
  ERR_HANDOFF_CONTROL_SOCKET: 'the control socket could not be published',
  ERR_HANDOFF_HOOK_TIMEOUT: 'a hook ran past its budget',
  ERR_HANDOFF_CLOSE_FAILED: 'the state could not be closed in order',
  ERR_HANDOFF_START_TIMEOUT: 'the primitive did not answer on its control path after its start',
  ERR_HANDOFF_LISTENERS: 'the listeners could not be bound',
} as const satisfies Record<`ERR_HANDOFF_${string}`, string>

export type FailureCode = keyof typeof FAILURES

/**
 * How a primitive tells its supervisor why it ended, as an exit status. From 64 up where sysexits.h has a fitting
 * meaning (EX_UNAVAILABLE 69, EX_SOFTWARE 70, EX_CANTCREAT 73, EX_TEMPFAIL 75, EX_PROTOCOL 76).
 */
export const EXIT = {
  done: 0,
  failed: 1,
  hookTimeout: 70,
  openFailed: 72,
  controlSocket: 73,
  prepareFailed: 74,
  lockHeld: 75,
  protocol: 76,
  aborted: 77,
  resumeFailed: 78,
} as const
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT]

const EXIT_MEANING: { readonly [status: number]: FailureCode } = {
  [EXIT.hookTimeout]: 'ERR_HANDOFF_HOOK_TIMEOUT',
  [EXIT.openFailed]: 'ERR_HANDOFF_OPEN_FAILED',
  [EXIT.controlSocket]: 'ERR_HANDOFF_CONTROL_SOCKET',
  [EXIT.prepareFailed]: 'ERR_HANDOFF_PREPARE_FAILED',
  [EXIT.lockHeld]: 'ERR_HANDOFF_LOCK_HELD',
  [EXIT.protocol]: 'ERR_HANDOFF_PEER_SUPERVISOR_PROTOCOL',
  [EXIT.resumeFailed]: 'ERR_HANDOFF_RESUME_FAILED',
}

/** What an exit status of one of our primitives means, or null for any other program's. */
export function meaningOfExit(status: number | null): string | null {
  const code = status === null ? undefined : EXIT_MEANING[status]
  return code === undefined ? null : FAILURES[code]
}

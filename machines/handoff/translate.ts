/** What a message means to the machine that gets it. Pure tables, for worlds; the doors do the same with real ids. */
import type {
  FromIncumbent,
  FromSuccessor,
  IncumbentEvent,
  RehearsedEvent,
  SuccessorEvent,
  SupervisorToIncumbentEvent,
  SupervisorToSuccessorEvent,
  ToIncumbent,
  ToSuccessor,
} from './messages.js'
import type { Policy } from './policy.js'

/** HelloAck belongs to the greeting before the session, and is no event of the incumbent's. */
export function toIncumbentEvent(
  said: Exclude<ToIncumbent, { kind: 'HelloAck' }>,
  policy: Policy,
): SupervisorToIncumbentEvent {
  switch (said.kind) {
    case 'PrepareHandoff':
      return {
        type: 'supervisor.requestedDrain',
        successorPid: said.successorPid,
        drainBudgetMs: Math.min(policy.drainGraceMs, policy.deadlineMs),
        decisionBudgetMs: policy.deadlineMs,
      }
    case 'SealRequest':
      return { type: 'supervisor.requestedSeal' }
    case 'Commit':
      return { type: 'supervisor.committed' }
    case 'Abort':
      return { type: 'supervisor.aborted' }
    case 'ResumeAfterAbort':
      return { type: 'supervisor.requestedResume' }
  }
}

export function toSuccessorEvent(kind: ToSuccessor['kind']): SupervisorToSuccessorEvent {
  switch (kind) {
    case 'HelloAck':
      return { type: 'supervisor.acknowledged', versionOk: true }
    case 'Begin':
      return { type: 'supervisor.began' }
    case 'Commit':
      return { type: 'supervisor.committed' }
    case 'Abort':
      return { type: 'supervisor.aborted' }
  }
}

/** @param pid of the speaker, and whether it greets others while a session is open. */
export function fromIncumbent(
  said: FromIncumbent | { readonly kind: 'Hello' },
  pid: number,
  session: 'one' | 'many' = 'many',
): IncumbentEvent {
  switch (said.kind) {
    case 'Hello':
      return { type: 'incumbent.greeted', pid, versionOk: true, session }
    case 'Drained':
      return { type: 'incumbent.drained', acceptClosed: said.acceptClosed }
    case 'SealComplete':
      return { type: 'incumbent.sealed', revisions: said.revisions, fingerprint: said.fingerprint }
    case 'SealFailed':
      return { type: 'incumbent.sealFailed' }
    case 'Heartbeat':
      return { type: 'incumbent.progressed' }
  }
}

export function fromSuccessor(said: FromSuccessor, pid: number): SuccessorEvent {
  switch (said.kind) {
    case 'Hello':
      return { type: 'successor.greeted', pid, versionOk: true }
    case 'Ready':
      return {
        type: 'successor.becameReady',
        healthy: said.healthy,
        revisions: said.revisions,
        fingerprint: said.fingerprint,
      }
    case 'Heartbeat':
      return { type: 'successor.progressed' }
  }
}

/** It owes a Hello; null: a sign of life, which nobody waits for here. */
export function fromRehearsed(said: FromSuccessor, pid: number): RehearsedEvent | null {
  switch (said.kind) {
    case 'Hello':
      return { type: 'rehearsed.greeted', pid, versionOk: true }
    case 'Ready':
      return { type: 'rehearsed.violatedProtocol' }
    case 'Heartbeat':
      return null
  }
}

/** What the last supervisor had under way when it ended: who took part, and, once it is known, how it ended (INV-07, INV-12). */
import type { Journal, JournalPhase } from '../../machines/handoff/protocol.js'
import { supervisorError } from '../errors/supervisor.js'
import { isAlive, processStartedAt } from '../os/processes.js'
import type { LeftJournal } from './journal.js'
import type { ProcessFacts, SwapOutcome, SwapResult } from './types.js'

/** The kernel tells a process's start to the second, and the clock may have been slewed since, ms. */
const CLOCK_SLACK_MS = 2_000

/** Pids in the record that still mean the processes it was written about: one that started later bears a reused pid. */
export function journaledPids(left: LeftJournal): number[] {
  return [left.incumbentPid, left.successorPid].filter((pid): pid is number => {
    if (pid === null || pid === 0 || !isAlive(pid)) return false
    const startedAt = processStartedAt(pid)
    return startedAt === null || startedAt <= left.writtenAtMs + CLOCK_SLACK_MS
  })
}

/** A record without an incumbent is of a first start, not of a swap. */
export const isSwap = (record: Journal): boolean => record.incumbentPid !== 0

const DOING: { readonly [phase in JournalPhase]: string } = {
  negotiating: 'starting the successor',
  draining: 'draining the incumbent',
  sealing: 'sealing the incumbent',
  awaitingReady: 'waiting for the successor to open',
  committed: 'committing',
  resumingAfterAbort: 'bringing the incumbent back',
}

const WHO_SERVES: { readonly [result in SwapResult]: string } = {
  committed: 'the successor serves',
  rolledBack: 'the incumbent serves',
  nobodyServes: 'neither incumbent nor successor serves; the program is started afresh',
}

/** @param serving who answers on the control path now; null when nobody did and nobody is left who could. */
export function interruptedOutcome(left: LeftJournal, serving: ProcessFacts | null): SwapOutcome {
  const result =
    serving === null
      ? 'nobodyServes'
      : serving.pid === left.successorPid
        ? 'committed'
        : serving.pid === left.incumbentPid
          ? 'rolledBack'
          : 'nobodyServes'
  const error = supervisorError('ERR_HANDOFF_STATE_SUPERVISOR_DIED', [DOING[left.phase], WHO_SERVES[result]])
  const startedAtMs = Number(left.startedAtUnixMs)
  return {
    handoffId: left.handoffId,
    result,
    code: result === 'committed' ? null : error.code,
    reason: `${error.happened}; ${error.now}`,
    phases: [],
    totalMs: Math.max(0, Math.round(left.writtenAtMs - startedAtMs)),
    incumbent: serving,
    previous: { pid: left.incumbentPid, buildId: '' },
  }
}

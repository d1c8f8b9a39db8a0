/**
 * INV-08 in numbers: from any state, when faults stop, somebody serves within so many ms. Each wait weighs what the policy
 * says; a hook weighs its budget, since nobody may wait longer for it.
 */
import { type Bound, boundTo, type Exploration, goalMark, type Label } from '../../explore/index.js'
import { type Policy, respawnPauseMs } from '../policy.js'
import { POLLS } from './primitive.js'
import type { HandoffState } from './state.js'

/** Waits whose length is more than one number of the policy. */
const COMPOSED: Readonly<Record<string, (policy: Policy) => number>> = {
  drainOverdueMs: (policy) => policy.drainGraceMs + policy.deadlineSlackMs,
  decisionOverdueMs: (policy) => policy.deadlineMs + policy.deadlineSlackMs,
  ownDeadlineMs: (policy) => policy.successorDeadlineMs + 2 * policy.deadlineSlackMs,
  prepareMs: (policy) => policy.successorBootMs,
  stopGraceMs: (policy) => policy.stopGraceMs + policy.deadlineSlackMs,
  respawnPauseMs: (policy) => respawnPauseMs(policy, policy.crashLoopLimit),
}

/** The budget a hook has. */
const HOOKS: Readonly<Record<string, keyof Policy>> = {
  prepare: 'successorBootMs',
  openState: 'openBudgetMs',
  drain: 'drainGraceMs',
  seal: 'deadlineMs',
  resume: 'openBudgetMs',
  closeState: 'hookCancelGraceMs',
  finishConnections: 'lingerMs',
}

/** What a step of the world may take, ms; 0 for system calls and messages. */
export function weightMs({ name, kind }: Pick<Label, 'name' | 'kind'>, policy: Policy): number {
  if (kind === 'timer') {
    if (name.startsWith('S:retire.')) return name.endsWith('SIGTERM') ? policy.retireGraceMs : policy.stopGraceMs
    if (name === 'S:watchSuccessor:misses') return 3 * policy.greetingMs
    // A poll is counted by what it waits for; its own pause is below the rounding of every limit.
    const delay = /~(?:swap\.)?(\w+)@/.exec(name)?.[1] ?? ''
    if (POLLS.has(delay)) return 0
    return COMPOSED[delay]?.(policy) ?? policy[delay as keyof Policy]
  }
  const hook = /^[A-H]:(\w+)$/.exec(name)?.[1]
  const budget = hook === undefined ? undefined : HOOKS[hook]
  return budget === undefined ? 0 : policy[budget]
}

export const serviceBound = (
  { graph }: Exploration<HandoffState>,
  policy: Policy,
  scenario?: (from: HandoffState, fault: string) => string,
): Bound =>
  boundTo(graph, {
    goal: goalMark('INV-08'),
    weightMs: (label) => weightMs(label, policy),
    ...(scenario && { scenario }),
  })

/** Short names for what happens, so that a transcript's cause reads as a sentence. */

import { doneEvent, errorEvent, type SystemEvent } from '../../../machines/explore/index.js'
import { DEFAULT_POLICY } from '../../../machines/handoff/policy.js'

export const done = (id: string, output?: unknown) => doneEvent(id, output) as SystemEvent
export const failed = (id: string, error: unknown = 'EIO') => errorEvent(id, error) as SystemEvent
/** The timer `delay` of the state `node`, e.g. `after('livenessMs', 'swap.attempting.draining.listening')`. */
export const after = (delay: string, node: string) => ({ type: `xstate.after.${delay}.${node}` }) as SystemEvent

export const policy = DEFAULT_POLICY
export const SEALED = { revisions: ['5'], fingerprint: null }

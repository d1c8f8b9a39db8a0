/** What the shell gets. From 64 up as sysexits.h has it, 130 as a shell reports SIGINT. */
import { isHandoffError } from '../errors/handoff-error.js'
import type { SwapResult } from '../supervisor/types.js'

export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  rolledBack: 10,
  nobodyServes: 20,
  usage: 64,
  unreachable: 69,
  alreadyRunning: 75,
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES]

const OF_RESULT = { committed: 'ok', rolledBack: 'rolledBack', nobodyServes: 'nobodyServes' } as const
export const exitCodeOfResult = (result: SwapResult): ExitCode => EXIT_CODES[OF_RESULT[result]]

export function exitCodeOfError(error: unknown): ExitCode {
  if (!isHandoffError(error)) return EXIT_CODES.failed
  if (/^ERR_HANDOFF_STATE_(SWAP_RUNNING|SWAP_REFUSED|REHEARSAL_REFUSED|SUPERVISOR_RUNNING)$/.test(error.code))
    return EXIT_CODES.alreadyRunning
  if (error.code === 'ERR_HANDOFF_INTERRUPTED') return EXIT_CODES.interrupted
  if (/^ERR_HANDOFF_(SUPERVISOR_(UNREACHABLE|SILENT|LOST)|PEER_TRIGGER_ANSWER)$/.test(error.code))
    return EXIT_CODES.unreachable
  return error.code.startsWith('ERR_HANDOFF_USAGE_') ? EXIT_CODES.usage : EXIT_CODES.failed
}

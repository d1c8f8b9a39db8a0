/** Where the log of swaps is: in the config file, also when nobody runs; else the supervisor is asked. */
import { existsSync } from 'node:fs'
import { cliError } from '../errors/cli.js'
import { type HistoryEntry, readHistory } from '../observe/history.js'
import { loadConfig } from '../supervisor/config.js'
import { historyPath } from '../supervisor/historian.js'
import type { Flag } from './args.js'
import type { Io } from './io.js'
import { DEFAULT_CONFIG, TARGET_FLAGS, triggerPath } from './target.js'
import { askOne } from './trigger-client.js'

export const HISTORY_FLAGS = {
  file: { type: 'string', short: 'f', value: 'FILE', help: 'the log itself' },
  ...TARGET_FLAGS,
} as const satisfies Record<string, Flag>

export interface HistoryTarget {
  readonly file?: string
  readonly socket?: string
  readonly config?: string
}

/** @throws HandoffError ERR_HANDOFF_NO_HISTORY, ERR_HANDOFF_HISTORY_UNREADABLE and those of finding a supervisor */
export async function findHistory(flags: HistoryTarget, io: Io): Promise<HistoryEntry[]> {
  const path = flags.file ?? (await pathOf(flags, io))
  if (path === null) throw cliError('ERR_HANDOFF_NO_HISTORY', [])
  try {
    return await readHistory(path)
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    throw cliError('ERR_HANDOFF_HISTORY_UNREADABLE', [path, why], error)
  }
}

async function pathOf(flags: HistoryTarget, io: Io): Promise<string | null> {
  const named = flags.socket === undefined && !io.env.HANDOFF_TRIGGER_SOCKET
  const config = flags.config ?? (named && existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : undefined)
  if (config !== undefined && flags.socket === undefined) return historyPath(loadConfig(config))
  const { status } = await askOne(triggerPath(flags, io), { cmd: 'status' }, 'status')
  return status.history ?? null
}

/** Which supervisor a command talks to. */
import { existsSync } from 'node:fs'
import { cliError } from '../errors/cli.js'
import { loadConfig } from '../supervisor/config.js'
import type { Flag } from './args.js'
import type { Io } from './io.js'

/** Read from the current directory when no flag names another. */
export const DEFAULT_CONFIG = 'handoff.toml'

export const TARGET_FLAGS = {
  socket: { type: 'string', short: 's', value: 'PATH', help: 'the supervisor’s trigger socket' },
  config: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    help: `take trigger_socket from it (default: ${DEFAULT_CONFIG})`,
  },
} as const satisfies Record<string, Flag>

export const TARGET_NOTE = `The supervisor is found by --socket, --config, the variable HANDOFF_TRIGGER_SOCKET, or ./${DEFAULT_CONFIG}, in this order.`

/** @throws HandoffError ERR_HANDOFF_USAGE_FLAG, ERR_HANDOFF_USAGE_CONFIG_… */
export function triggerPath(flags: { readonly socket?: string; readonly config?: string }, io: Io): string {
  if (flags.socket !== undefined && flags.config !== undefined) {
    throw cliError('ERR_HANDOFF_USAGE_FLAG', ['--socket and --config name two targets', 'give one of them'])
  }
  if (flags.socket !== undefined) return flags.socket
  if (flags.config !== undefined) return loadConfig(flags.config).triggerSocket
  if (io.env.HANDOFF_TRIGGER_SOCKET) return io.env.HANDOFF_TRIGGER_SOCKET
  if (existsSync(DEFAULT_CONFIG)) return loadConfig(DEFAULT_CONFIG).triggerSocket
  throw cliError('ERR_HANDOFF_USAGE_FLAG', [
    `no supervisor is named and there is no ./${DEFAULT_CONFIG}`,
    'give --socket PATH or --config FILE',
  ])
}

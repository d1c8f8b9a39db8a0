/** What the trigger socket answers when it does not do what it was asked. Clients of the reference see one line of it. */
import { errorFactory } from './handoff-error.js'

const UNTOUCHED = 'nothing was changed'

export const triggerErrors = {
  ERR_HANDOFF_USAGE_TRIGGER_UID: (uid: number) => ({
    happened: `uid ${uid} may not command this supervisor`,
    now: UNTOUCHED,
    todo: 'add the uid to allowed_uids in handoff.toml and restart the supervisor, or ask as its own user or root',
  }),
  ERR_HANDOFF_USAGE_TRIGGER_OWNER_ONLY: (command: string, uid: number) => ({
    happened: `uid ${uid} may ask for swaps and the status, but not for '${command}'`,
    now: UNTOUCHED,
    todo: 'ask as the user the supervisor runs as, or as root',
  }),
  ERR_HANDOFF_USAGE_TRIGGER_BINARY: (binary: string, real: string) => ({
    happened: `the binary ${binary} is not allowed${real === binary ? '' : ` (it leads to ${real})`}`,
    now: UNTOUCHED,
    todo: `add "${binary}" to allowed_binaries in handoff.toml and restart the supervisor`,
  }),
  ERR_HANDOFF_USAGE_TRIGGER_COMMAND: (line: string) => ({
    happened: `'${line}' is no command`,
    now: UNTOUCHED,
    todo: "send 'handoff' or 'handoff <binary>', or a JSON request of version 1",
  }),
  ERR_HANDOFF_USAGE_TRIGGER_TOO_LONG: (limit: number) => ({
    happened: `the command is longer than ${limit} bytes`,
    now: UNTOUCHED,
    todo: 'send one line and end it with a newline',
  }),
  ERR_HANDOFF_USAGE_TRIGGER_TIMEOUT: (ms: number) => ({
    happened: `no whole command arrived within ${ms} ms`,
    now: UNTOUCHED,
    todo: 'send one line and end it with a newline',
  }),
  ERR_HANDOFF_STATE_TRIGGER_BUSY: (clients: number) => ({
    happened: `${clients} clients are connected to the trigger socket already`,
    now: UNTOUCHED,
    todo: 'try again when some of them have left',
  }),
  ERR_HANDOFF_STATE_SWAP_RUNNING: (handoffId: string, phase: string, elapsedMs: number) => ({
    happened: `a swap is already running (handoff_id=${handoffId}, ${phase}, for ${elapsedMs} ms)`,
    now: 'that swap goes on and this request was dropped',
    todo: 'wait until it has ended, then ask again',
  }),
  ERR_HANDOFF_STATE_SUPERVISOR_RUNNING: (path: string) => ({
    happened: `a supervisor already answers on ${path}`,
    now: 'that one goes on and nothing was started',
    todo: 'stop it first, or give this one a trigger_socket and a control_socket of its own',
  }),
  ERR_HANDOFF_UNFORESEEN: (message: string) => ({
    happened: `the request failed in a way nobody foresaw: ${message}`,
    now: 'the supervisor goes on',
    todo: 'look into its log, and ask for the status',
  }),
}

export const triggerError = errorFactory(triggerErrors)

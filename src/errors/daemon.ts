/** Errors of the daemon's door. */
import { errorFactory } from './handoff-error.js'

export const daemonErrors = {
  ERR_HANDOFF_USAGE_DAEMON_OPTION: (option: string, problem: string, cure: string) => ({
    happened: `serveDaemon: ${option} ${problem}`,
    now: 'nothing was opened, bound or changed',
    todo: cure,
  }),
  ERR_HANDOFF_USAGE_WARM_UP: (what: string, problem: string, cure: string) => ({
    happened: `warmUpHttp: ${what} ${problem}`,
    now: 'nothing was asked, and no client noticed anything; in prepare this ends the successor while the incumbent serves',
    todo: cure,
  }),
  ERR_HANDOFF_USAGE_LISTENER_UNKNOWN: (name: string, known: string) => ({
    happened: `the daemon asked for the listener '${name}', which was neither inherited nor configured`,
    now: 'the process does not serve',
    todo: `name it under 'listeners', or hand it in; there are: ${known}`,
  }),
  ERR_HANDOFF_CONTROL_PATH_TAKEN: (path: string, pid: number) => ({
    happened: `process ${pid} already answers on the control socket ${path}, although this process holds its data-dir lock`,
    now: 'this process does not serve; the other one is untouched',
    todo: 'two daemons with different data directories need different control sockets',
  }),
  ERR_HANDOFF_USAGE_REVISION: (value: string) => ({
    happened: `a revision is ${value}`,
    now: 'the swap is undone',
    todo: 'give whole numbers from 0 to 2^64-1, as safe integers or bigints',
  }),
  ERR_HANDOFF_USAGE_FINGERPRINT: (length: number) => ({
    happened: `a fingerprint has ${length} bytes`,
    now: 'the swap is undone',
    todo: 'give exactly 32 bytes, e.g. a SHA-256, or their 64 hex digits',
  }),
} as const

export const daemonError = errorFactory(daemonErrors)

/** What the OS layer says when the kernel, a file or the environment is not as it must be. */
import { errorFactory } from './handoff-error.js'

export const osErrors = {
  ERR_HANDOFF_NATIVE_MISSING: (path: string) => ({
    happened: `the native addon could not be loaded (looked at ${path})`,
    now: 'nothing was started',
    todo: 'run `npm rebuild handoff-machines`; it needs a C compiler, make and python3',
  }),
  ERR_HANDOFF_NATIVE_STALE: (path: string, made: string, wanted: string) => ({
    happened: `the native addon ${path} was built from other sources (${made}) than this program needs (${wanted})`,
    now: 'nothing was started',
    todo: 'run `npm rebuild handoff-machines`, or in a checkout `npm run install && npm run build`',
  }),
  ERR_HANDOFF_USAGE_ADDRESS: (text: string, why: string) => ({
    happened: `'${text}' is not an address to listen on: ${why}`,
    now: 'nothing was bound',
    todo: "write '127.0.0.1:8080', '[::1]:8080', ':8080', or 'unix:/path/to.sock'",
  }),
  ERR_HANDOFF_USAGE_LISTENER_NAME: (name: string, why: string) => ({
    happened: `'${name}' cannot name a listener: ${why}`,
    now: 'nothing was bound',
    todo: 'use letters, digits, dot, dash and underscore, each name once',
  }),
  ERR_HANDOFF_LISTEN: (what: string, reason: string) => ({
    happened: `cannot listen on ${what}: ${reason}`,
    now: 'nothing listens there on behalf of this process',
    todo: 'free the address or choose another one',
  }),
  ERR_HANDOFF_SOCKET_PATH_TOO_LONG: (path: string, bytes: number, limit: number) => ({
    happened: `the socket path ${path} is ${bytes} bytes long, the kernel takes ${limit}`,
    now: 'nothing was bound or connected',
    todo: 'choose a shorter directory, such as /run/<name>',
  }),
  ERR_HANDOFF_SOCKET_PATH_BUSY: (path: string, why: string) => ({
    happened: `${path} cannot be taken: ${why}`,
    now: 'the path was left as it was',
    todo: 'stop its owner, or choose another path',
  }),
  ERR_HANDOFF_INHERITED: (variable: string, why: string) => ({
    happened: `the environment of this process is contradictory: ${variable} ${why}`,
    now: 'no inherited descriptor was touched',
    todo: 'start it by a supervisor, or without the LISTEN_* and HANDOFF_* variables',
  }),
  ERR_HANDOFF_INHERITED_FD: (fd: number, why: string) => ({
    happened: `fd ${fd} was announced as inherited, but ${why}`,
    now: 'nothing listens on it here',
    todo: 'correct the parent: fds must be contiguous from 3, bound and already listening',
  }),
  ERR_HANDOFF_DIAL: (path: string, reason: string) => ({
    happened: `cannot connect to ${path}: ${reason}`,
    now: 'no connection exists',
    todo: 'check that a daemon runs there and that this user may open the path',
  }),
  ERR_HANDOFF_FDS_TRUNCATED: (arrived: number) => ({
    happened: `descriptors were sent to this process that it could not take; ${arrived} arrived`,
    now: 'those that arrived were closed again; the sender still holds all of them',
    todo: 'raise the limit of open files (ulimit -n) and try again',
  }),
  ERR_HANDOFF_FDS_CLOSED: (what: string) => ({
    happened: `the descriptor channel closed while ${what}`,
    now: 'everything received so far in this step was closed',
    todo: 'see why the peer left',
  }),
  ERR_HANDOFF_FDS_TIMEOUT: (what: string, ms: number) => ({
    happened: `${what} took longer than ${ms} ms`,
    now: 'the descriptor channel is in an unknown state and should be closed',
    todo: 'see whether the peer is stopped or overloaded',
  }),
  ERR_HANDOFF_FDS_UNEXPECTED: (why: string) => ({
    happened: `the descriptor channel carried something else than agreed: ${why}`,
    now: 'received descriptors were closed',
    todo: 'check that both ends speak the same version',
  }),
  ERR_HANDOFF_LOCK_DIR: (dir: string, reason: string) => ({
    happened: `the data directory ${dir} cannot be locked: ${reason}`,
    now: 'the lock is not held and no state was opened',
    todo: 'create the directory and let this user write to it',
  }),
  ERR_HANDOFF_FILE: (action: string, path: string, reason: string) => ({
    happened: `cannot ${action} ${path}: ${reason}`,
    now: 'no half-written file exists under that name',
    todo: 'check permissions and free space',
  }),
  ERR_HANDOFF_SPAWN: (file: string, reason: string) => ({
    happened: `cannot start ${file}: ${reason}`,
    now: 'no process was started',
    todo: 'check the path, its execute permission and its #! line',
  }),
  ERR_HANDOFF_PROCESS_WATCH: (pid: number, reason: string) => ({
    happened: `cannot watch process ${pid}: ${reason}`,
    now: 'its end would go unnoticed',
    todo: 'a Linux kernel of 5.3 or later without a seccomp filter on pidfd_open is needed',
  }),
} as const

export const osError = errorFactory(osErrors)

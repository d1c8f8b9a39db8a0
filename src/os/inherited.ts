/** What a parent left to this process: listeners, the channel to the supervisor, the deadline. Read once, then gone. */
import { osError } from '../errors/os.js'
import { isErrno } from './errno.js'
import { describeFd, type FdFacts, setCloseOnExec } from './fds.js'
import { checkListenerNames } from './listeners.js'
import type { SocketName } from './native.js'

type Env = { [name: string]: string | undefined }

export interface InheritedListener {
  readonly name: string
  readonly fd: number
  readonly address: SocketName
}

export interface HandoffEnv {
  /** `successor` when a supervisor started us to take over; null in every other case. */
  readonly role: 'successor' | null
  /** The socketpair end that leads to the supervisor; null without a role. */
  readonly channelFd: number | null
  /** Budget of the whole handoff, ms, where the supervisor names it. */
  readonly deadlineMs: number | null
  readonly listeners: readonly InheritedListener[]
}

/** First inherited fd: sd_listen_fds(3) and the wire spec agree. */
const FIRST_FD = 3
/** setTimeout takes no more, ms. */
const LONGEST_DEADLINE_MS = 2 ** 31 - 1

const LISTEN_VARIABLES = ['LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PID'] as const
const HANDOFF_VARIABLES = ['HANDOFF_ROLE', 'HANDOFF_SOCK_FD', 'HANDOFF_DEADLINE_MS'] as const

/**
 * Reads, checks and removes all six variables, so that our own children inherit no lie, and marks every fd
 * close-on-exec, so that they do not keep our listeners and our channel open.
 * @throws ERR_HANDOFF_INHERITED, ERR_HANDOFF_INHERITED_FD
 */
export function consumeHandoffEnv(env: Env = process.env, pid: number = process.pid): HandoffEnv {
  try {
    const named = namedFds(env, pid)
    const { role, channelFd, deadlineMs } = handoffVariables(env, named.length)
    const listeners = named.map(adoptListener)
    if (channelFd !== null) adoptChannel(channelFd)
    return { role, channelFd, deadlineMs, listeners }
  } finally {
    for (const name of [...LISTEN_VARIABLES, ...HANDOFF_VARIABLES]) delete env[name]
  }
}

/** Only the `LISTEN_*` block, as socket activation gives it. Same checks, same removal. */
export function inheritedListeners(env: Env = process.env, pid: number = process.pid): InheritedListener[] {
  try {
    return namedFds(env, pid).map(adoptListener)
  } finally {
    for (const name of LISTEN_VARIABLES) delete env[name]
  }
}

function namedFds(env: Env, pid: number): { name: string; fd: number }[] {
  const meantFor = optionalInteger(env, 'LISTEN_PID', 1, 2 ** 31 - 1)
  if (meantFor !== null && meantFor !== pid) return []
  const count = optionalInteger(env, 'LISTEN_FDS', 0, 1024)
  if (count === null || count === 0) return []
  const list = env.LISTEN_FDNAMES
  const names = list === undefined ? Array.from({ length: count }, (_, i) => `fd${FIRST_FD + i}`) : list.split(':')
  if (names.length !== count) {
    throw osError('ERR_HANDOFF_INHERITED', ['LISTEN_FDNAMES', `has ${names.length} names for ${count} descriptors`])
  }
  try {
    checkListenerNames(names)
  } catch (error) {
    throw osError('ERR_HANDOFF_INHERITED', ['LISTEN_FDNAMES', `is '${list}': names must be distinct and plain`], error)
  }
  return names.map((name, i) => ({ name, fd: FIRST_FD + i }))
}

function handoffVariables(env: Env, listenerCount: number): Pick<HandoffEnv, 'role' | 'channelFd' | 'deadlineMs'> {
  const role = env.HANDOFF_ROLE
  // Without a role the other two mean nothing: they leaked from somebody else's environment.
  if (role === undefined) return { role: null, channelFd: null, deadlineMs: null }
  if (role !== 'successor') throw osError('ERR_HANDOFF_INHERITED', ['HANDOFF_ROLE', `is '${role}', not 'successor'`])
  const channelFd = optionalInteger(env, 'HANDOFF_SOCK_FD', FIRST_FD, 2 ** 31 - 1)
  if (channelFd === null)
    throw osError('ERR_HANDOFF_INHERITED', ['HANDOFF_SOCK_FD', 'is missing although HANDOFF_ROLE is set'])
  if (channelFd < FIRST_FD + listenerCount) {
    throw osError('ERR_HANDOFF_INHERITED', ['HANDOFF_SOCK_FD', `is ${channelFd}, the place of a listener`])
  }
  const deadlineMs = optionalInteger(env, 'HANDOFF_DEADLINE_MS', 1, LONGEST_DEADLINE_MS)
  return { role, channelFd, deadlineMs }
}

function optionalInteger(env: Env, name: string, least: number, most: number): number | null {
  const text = env[name]
  if (text === undefined) return null
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw osError('ERR_HANDOFF_INHERITED', [name, `is '${text}', not a whole number from ${least} to ${most}`])
}

function adoptListener({ name, fd }: { name: string; fd: number }): InheritedListener {
  const { socket } = inheritedSocket(fd)
  if (socket.family === 'other') throw osError('ERR_HANDOFF_INHERITED_FD', [fd, 'its address family is not known here'])
  if (!socket.listening) throw osError('ERR_HANDOFF_INHERITED_FD', [fd, 'nobody has called listen(2) on it'])
  setCloseOnExec(fd)
  return { name, fd, address: socket.local }
}

function adoptChannel(fd: number): void {
  const { socket } = inheritedSocket(fd)
  if (socket.listening || socket.family !== 'unix') {
    throw osError('ERR_HANDOFF_INHERITED_FD', [fd, 'it is not a connected Unix socket'])
  }
  setCloseOnExec(fd)
}

function inheritedSocket(fd: number): Required<FdFacts> {
  let facts: FdFacts
  try {
    facts = describeFd(fd)
  } catch (error) {
    if (!isErrno(error, 'EBADF')) throw error
    throw osError('ERR_HANDOFF_INHERITED_FD', [fd, 'it is not open'], error)
  }
  if (facts.socket === undefined)
    throw osError('ERR_HANDOFF_INHERITED_FD', [fd, `it is not a socket (kind: ${facts.kind})`])
  if (facts.socket.type !== 'stream') throw osError('ERR_HANDOFF_INHERITED_FD', [fd, 'it is not a stream socket'])
  return { ...facts, socket: facts.socket }
}

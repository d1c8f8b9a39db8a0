/**
 * Unix stream sockets with a path: appear in one rename(2), disappear only when still ours, dial with a plain answer.
 *
 * Binding straight onto the path would first need an unlink, and in between nobody answers there (INV-09).
 */
import {
  chmodSync,
  closeSync,
  constants as fsConstants,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  unlinkSync,
} from 'node:fs'
import { Socket, type SocketConstructorOpts } from 'node:net'
import { basename, dirname, join } from 'node:path'
import type { HandoffError } from '../errors/handoff-error.js'
import { osError } from '../errors/os.js'
import { isErrno, reasonOf } from './errno.js'
import { native } from './native.js'
import { fdOfSocket } from './node-handles.js'
import { isAlive } from './processes.js'

const { constants } = native

/** Longest socket path the kernel takes, bytes: the closing NUL needs one of sun_path's 108 (Linux) or 104 (macOS). */
export const SOCKET_PATH_LIMIT = constants.SUN_PATH_BYTES - 1

/** @throws ERR_HANDOFF_SOCKET_PATH_TOO_LONG */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes > SOCKET_PATH_LIMIT) throw osError('ERR_HANDOFF_SOCKET_PATH_TOO_LONG', [path, bytes, SOCKET_PATH_LIMIT])
}

export interface StagedUnixServer {
  /** Bound and listening; close-on-exec, non-blocking. Connections queue from the first moment on. */
  readonly fd: number
  readonly path: string
  readonly stagingPath: string
  /** One rename(2) onto the path, over whatever is there. Once; later calls do nothing. */
  publish(): void
  /** Whether its name, staging or published, still leads to this socket: a successor may have renamed its own over it. */
  leadsHere(): boolean
  /** Removes the name that is still ours, never one that somebody else has put there since. */
  unpublish(): void
  /** unpublish(), then closes the fd. Once. */
  close(): void
}

export interface StageOptions {
  /** Permissions of the path. Default 0o600: the owner, and root. */
  readonly mode?: number
  /** Connections the kernel queues. Default 128: control sockets see few, and a full queue is a plain EAGAIN to the dialler. */
  readonly backlog?: number
}

let staged = 0

/** @throws ERR_HANDOFF_SOCKET_PATH_TOO_LONG, ERR_HANDOFF_LISTEN */
export function stageUnixServer(path: string, options: StageOptions = {}): StagedUnixServer {
  checkSocketPath(path)
  sweepStagedSockets(path)
  staged += 1
  const stagingPath = join(dirname(path), `${stagingPrefix(path)}${process.pid}-${staged}`)
  const fd = native.socket(constants.AF_UNIX, constants.SOCK_STREAM)
  let inode: string
  let bound = false
  try {
    bindAnyLength(fd, stagingPath)
    bound = true
    // Between bind and listen a connect is refused, so the wider mode that umask left is never usable.
    chmodSync(stagingPath, options.mode ?? 0o600)
    native.listen(fd, options.backlog ?? 128)
    inode = inodeOf(stagingPath) as string
  } catch (error) {
    native.close(fd)
    if (bound) unlinkSync(stagingPath)
    throw osError('ERR_HANDOFF_LISTEN', [path, reasonOf(error)], error)
  }

  let name: 'staging' | 'published' | 'none' = 'staging'
  let open = true
  const unpublish = (): void => {
    const at = name === 'published' ? path : stagingPath
    // The inode number cannot be reused while the fd is open: the socket holds its inode.
    if (name !== 'none' && inodeOf(at) === inode) unlinkSync(at)
    name = 'none'
  }
  return {
    fd,
    path,
    stagingPath,
    publish() {
      if (name !== 'staging') return
      renameSync(stagingPath, path)
      name = 'published'
    },
    leadsHere: () => open && name !== 'none' && inodeOf(name === 'published' ? path : stagingPath) === inode,
    unpublish,
    close() {
      if (!open) return
      open = false
      unpublish()
      native.close(fd)
    },
  }
}

// Cut, so that it stays short enough for bindAnyLength; two names with one beginning share a sweep, which is harmless.
const stagingPrefix = (path: string): string => `.${basename(path).slice(0, 16)}.staging-`

export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

/** Whether a file name is one that a socket for `path` was bound under before it was renamed. */
export const isStagingName = (name: string, path: string): boolean => name.startsWith(stagingPrefix(path))

/** Removes staging names next to `path` whose process is dead: a successor that was killed could not. */
export function sweepStagedSockets(path: string): void {
  const prefix = stagingPrefix(path)
  for (const name of namesIn(dirname(path))) {
    if (!name.startsWith(prefix)) continue
    const pid = /^(\d+)-\d+$/.exec(name.slice(prefix.length))?.[1]
    const leftover = join(dirname(path), name)
    if (pid === undefined || isAlive(Number(pid)) || answers(leftover)) continue
    try {
      unlinkSync(leftover)
    } catch (error) {
      // Another process swept first, or may write here when we may not.
      if (!isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) throw error
    }
  }
}

/** A pid can be dead here and alive in the container next door, which shares the directory. */
function answers(path: string): boolean {
  if (Buffer.byteLength(path) > SOCKET_PATH_LIMIT) return false
  const outcome = dialOnce(path)
  if (outcome.ok) native.close(outcome.fd)
  return outcome.ok || outcome.why === 'busy'
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch (error) {
    // Missing or unreadable: bind(2) tells it better.
    if (isErrno(error)) return []
    throw error
  }
}

/** A staging name may pass the limit that its path keeps; seen through the open directory it is short. */
function bindAnyLength(fd: number, path: string): void {
  if (Buffer.byteLength(path) <= SOCKET_PATH_LIMIT) {
    native.bindUnix(fd, path)
    return
  }
  if (process.platform !== 'linux') checkSocketPath(path)
  const dir = openSync(dirname(path), fsConstants.O_RDONLY | fsConstants.O_DIRECTORY)
  try {
    native.bindUnix(fd, `/proc/self/fd/${dir}/${basename(path)}`)
  } finally {
    closeSync(dir)
  }
}

function inodeOf(path: string): string | null {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`
}

/** `absent`: no such path. `refused`: a socket file without a listener. `busy`: its queue stayed full. `denied`: permissions. */
export type DialFailure = 'absent' | 'refused' | 'busy' | 'denied'
export type DialOutcome =
  | { readonly ok: true; readonly fd: number }
  | { readonly ok: false; readonly why: DialFailure; readonly error: HandoffError }

export interface DialOptions {
  /** How long a full queue is tried again, ms. Default 2_000. Everything else is known at once. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** The kernel sends no event when a Unix queue has room again, so a full one is tried again this often, ms. */
const DIAL_AGAIN_MS = 10

const FAILURES: { readonly [code: string]: DialFailure } = {
  ENOENT: 'absent',
  ENOTDIR: 'absent',
  ECONNREFUSED: 'refused',
  EPROTOTYPE: 'refused',
  ENOTSOCK: 'refused',
  EAGAIN: 'busy',
  EACCES: 'denied',
  EPERM: 'denied',
}

/**
 * Connects; the fd is the caller's, non-blocking and close-on-exec. {@link socketFromFd} makes a net.Socket of it.
 * @throws the signal's reason, ERR_HANDOFF_SOCKET_PATH_TOO_LONG, and ERR_HANDOFF_DIAL for what no caller can expect (EMFILE)
 */
export async function dialUnix(path: string, options: DialOptions = {}): Promise<DialOutcome> {
  checkSocketPath(path)
  const giveUpAt = performance.now() + (options.timeoutMs ?? 2_000)
  for (;;) {
    options.signal?.throwIfAborted()
    const outcome = dialOnce(path)
    if (outcome.ok || outcome.why !== 'busy' || performance.now() >= giveUpAt) return outcome
    await new Promise((resolve) => setTimeout(resolve, DIAL_AGAIN_MS))
  }
}

/** One connect(2), which for Unix sockets never has to wait. */
export function dialOnce(path: string): DialOutcome {
  const fd = native.socket(constants.AF_UNIX, constants.SOCK_STREAM)
  try {
    native.connectUnix(fd, path)
    return { ok: true, fd }
  } catch (error) {
    native.close(fd)
    const why = isErrno(error) ? FAILURES[error.code] : undefined
    const wrapped = osError('ERR_HANDOFF_DIAL', [path, reasonOf(error)], error)
    if (why === undefined) throw wrapped
    return { ok: false, why, error: wrapped }
  }
}

/** Takes the fd over. */
export function socketFromFd(fd: number, options: { allowHalfOpen?: boolean } = {}): Socket {
  return new Socket({ fd, readable: true, writable: true, ...options })
}

/**
 * As {@link socketFromFd}, made ahead: it reads nothing before {@link startReading}. Making a socket takes longer than all system calls
 * of a handoff; so it is made while the other side has its turn.
 */
export function restingSocket(fd: number, options: { allowHalfOpen?: boolean } = {}): Socket {
  // Node's own word, which tty and net have used since long before 20; not in its types.
  const made: SocketConstructorOpts & { manualStart: true } = {
    fd,
    readable: true,
    writable: true,
    manualStart: true,
    ...options,
  }
  return new Socket(made)
}

export function startReading(socket: Socket): void {
  socket.read(0)
}

export interface PeerCredentials {
  /** Null where the kernel does not tell (macOS). On a socketpair: its creator, not who holds the other end now. */
  readonly pid: number | null
  readonly uid: number
  readonly gid: number
}

/** Who connected, as the kernel noted it then. @throws errno exception when it is no Unix stream socket */
export function peerCredentials(connection: Socket | number): PeerCredentials {
  const { pid, uid, gid } = native.peerCredentials(typeof connection === 'number' ? connection : fdOfSocket(connection))
  return { pid: pid > 0 ? pid : null, uid, gid }
}

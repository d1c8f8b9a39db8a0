/** File descriptors: what they are, copies of them, and how they end. */
import { fstatSync, readdirSync, readlinkSync } from 'node:fs'
import { isErrno } from './errno.js'
import { native, type SocketName } from './native.js'

const { constants } = native

export interface SocketFacts {
  readonly type: 'stream' | 'datagram' | 'seqpacket' | 'other'
  readonly family: SocketName['family']
  readonly listening: boolean
  readonly local: SocketName
  /** Null when not connected. */
  readonly peer: SocketName | null
}

export type FdKind = 'socket' | 'file' | 'directory' | 'pipe' | 'character' | 'block' | 'other'

export interface FdFacts {
  readonly fd: number
  readonly kind: FdKind
  readonly socket?: SocketFacts
}

/** A close-on-exec copy at 3 or above, so that it can never be taken for stdio. @throws EBADF, EMFILE */
export const dup = (fd: number): number => native.dup(fd, 3)

/** @throws EBADF when it is closed already: somebody else's fd may bear that number by now, so this is never ignored */
export const closeFd = (fd: number): void => native.close(fd)

export const setCloseOnExec = (fd: number, on = true): void => native.setCloseOnExec(fd, on ? 1 : 0)
export const isCloseOnExec = (fd: number): boolean => native.getCloseOnExec(fd)

/** The flag belongs to the open file description: every holder of the same socket, in any process, sees it change. */
export const setNonBlocking = (fd: number, on = true): void => native.setNonBlocking(fd, on ? 1 : 0)
export const isNonBlocking = (fd: number): boolean => native.getNonBlocking(fd)

/** Bytes that can be read now (FIONREAD). @throws EINVAL for a listening socket */
export const pendingBytes = (fd: number): number => native.pendingBytes(fd)

/** @throws EBADF when the fd is not open */
export function describeFd(fd: number): FdFacts {
  const stat = fstatSync(fd)
  if (stat.isSocket()) return { fd, kind: 'socket', socket: describeSocket(fd) }
  const kind = stat.isFile()
    ? 'file'
    : stat.isDirectory()
      ? 'directory'
      : stat.isFIFO()
        ? 'pipe'
        : stat.isCharacterDevice()
          ? 'character'
          : stat.isBlockDevice()
            ? 'block'
            : 'other'
  return { fd, kind }
}

const SOCKET_TYPES = new Map<number, SocketFacts['type']>([
  [constants.SOCK_STREAM, 'stream'],
  [constants.SOCK_DGRAM, 'datagram'],
  [constants.SOCK_SEQPACKET, 'seqpacket'],
])

function describeSocket(fd: number): SocketFacts {
  const local = native.getsockname(fd)
  return {
    type: SOCKET_TYPES.get(native.getsockopt(fd, constants.SOL_SOCKET, constants.SO_TYPE)) ?? 'other',
    family: local.family,
    listening: native.getsockopt(fd, constants.SOL_SOCKET, constants.SO_ACCEPTCONN) !== 0,
    local,
    peer: peerName(fd),
  }
}

function peerName(fd: number): SocketName | null {
  try {
    return native.getpeername(fd)
  } catch (error) {
    // EINVAL: the connection was shut down under us.
    if (isErrno(error, 'ENOTCONN', 'EINVAL')) return null
    throw error
  }
}

/** A connected pair of Unix stream sockets, both close-on-exec and blocking. */
export const streamPair = (): [number, number] => native.socketpair(constants.SOCK_STREAM)

/** Soft and hard limit of open files of this process. */
export const openFilesLimit = (): { soft: number; hard: number } => native.limitNofile()

/** Every open fd of this process with what it leads to, e.g. `socket:[4242]`. For leak checks. */
export function openFds(): Map<number, string> {
  const dir = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd'
  const found = new Map<number, string>()
  for (const name of readdirSync(dir)) {
    try {
      found.set(Number(name), readlinkSync(`${dir}/${name}`))
    } catch (error) {
      // The fd of the listing itself is gone by now.
      if (!isErrno(error, 'ENOENT', 'EINVAL', 'EBADF')) throw error
    }
  }
  return found
}

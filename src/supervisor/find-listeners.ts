/**
 * Copies of a living primitive's listeners by pidfd_getfd(2), for one that has no rendezvous socket: a program of another
 * implementation. Needs the same uid (or root) and no Yama restriction; where the kernel refuses, they are bound anew.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import type { Logger } from '../observe/log.js'
import { isErrno } from '../os/errno.js'
import { closeFd, describeFd } from '../os/fds.js'
import { isSameAddress } from '../os/listener-address.js'
import { parseAddress } from '../os/listeners.js'
import { native, type SocketName } from '../os/native.js'
import type { GivenListener } from './held-listeners.js'
import type { ListenerSpec } from './types.js'

interface Found {
  readonly fd: number
  readonly local: SocketName
}

/** One for each wanted address that the process listens on; the others are left out. Never throws. */
export function findListeners(pid: number, wanted: readonly ListenerSpec[], log: Logger): GivenListener[] {
  let found: Found[]
  try {
    found = listeningSockets(pid)
  } catch (error) {
    log.warn({ pid, err: error }, 'the primitive’s descriptors cannot be copied; its listeners are bound anew')
    return []
  }
  const given: GivenListener[] = []
  for (const { name, addr } of inOrderOfCertainty(wanted)) {
    const address = parseAddress(addr)
    const fitting = found.filter(({ local }) => isSameAddress(local, address))
    // Port 0 fits every port: then only a single candidate is an answer.
    const [only] = address.kind === 'tcp' && address.port === 0 && fitting.length > 1 ? [] : fitting
    if (only === undefined) continue
    found = found.filter((other) => other !== only)
    given.push({ name, fd: only.fd })
  }
  for (const { fd } of found) closeFd(fd)
  return given
}

const inOrderOfCertainty = (wanted: readonly ListenerSpec[]): ListenerSpec[] =>
  [...wanted].sort((a, b) => Number(a.addr.endsWith(':0')) - Number(b.addr.endsWith(':0')))

/** One fd for each listening stream socket, however many copies the process has. */
function listeningSockets(pid: number): Found[] {
  const pidfd = native.pidfdOpen(pid)
  const found: Found[] = []
  try {
    const seen = new Set<string>()
    for (const name of readdirSync(`/proc/${pid}/fd`)) {
      const target = linkTarget(`/proc/${pid}/fd/${name}`)
      if (!target.startsWith('socket:') || seen.has(target)) continue
      seen.add(target)
      const socket = copyListener(pidfd, Number(name))
      if (socket !== null) found.push(socket)
    }
    return found
  } catch (error) {
    for (const { fd } of found) closeFd(fd)
    throw error
  } finally {
    native.close(pidfd)
  }
}

function copyListener(pidfd: number, fd: number): Found | null {
  let copy: number
  try {
    copy = native.pidfdGetfd(pidfd, fd)
  } catch (error) {
    if (isErrno(error, 'EBADF')) return null // closed since it was listed
    throw error
  }
  const { socket } = describeFd(copy)
  if (socket?.listening === true && socket.type === 'stream') return { fd: copy, local: socket.local }
  closeFd(copy)
  return null
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed since it was listed
  }
}

/** Whether a listening socket that came from another process is the one a configured address means. */
import { isIPv6, SocketAddress } from 'node:net'
import { basename, dirname } from 'node:path'
import type { ListenAddress } from './listeners.js'
import { native, type SocketName } from './native.js'
import { dialOnce, isStagingName } from './unix-socket.js'

/** A configured port 0 means whatever the kernel chose. */
export function isSameAddress(local: SocketName, wanted: ListenAddress): boolean {
  if (wanted.kind === 'unix') return local.family === 'unix' && unixPathLeadsTo(wanted.path, local.path)
  if (local.family !== 'IPv4' && local.family !== 'IPv6') return false
  if (wanted.port !== 0 && wanted.port !== local.port) return false
  if (wanted.host === null) return local.address === '::' || local.address === '0.0.0.0'
  return canonical(wanted.host) === canonical(local.address)
}

/** IPv6 has many spellings of one address. */
const canonical = (host: string): string =>
  isIPv6(host) ? new SocketAddress({ address: host, family: 'ipv6' }).address : host

/**
 * A Unix socket keeps the name it was bound under, which here is a staging name that was renamed since. Whoever
 * answers on the path tells that name; a connection that says nothing and leaves costs the program behind it nothing.
 */
export function unixPathLeadsTo(path: string, boundAs: string): boolean {
  const outcome = dialOnce(path)
  if (!outcome.ok) return outcome.why === 'busy' && couldBe(path, boundAs)
  try {
    const peer = native.getpeername(outcome.fd)
    return peer.family === 'unix' && peer.path === boundAs
  } finally {
    native.close(outcome.fd)
  }
}

/** The queue is full, so it cannot be asked: the names must do. */
const couldBe = (path: string, boundAs: string): boolean =>
  boundAs === path || (dirname(boundAs) === dirname(path) && isStagingName(basename(boundAs), path))

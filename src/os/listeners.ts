/** Listeners: bound and listening here, accepted elsewhere. The kernel queues clients while no process accepts (INV-04). */
import { lstatSync, type Stats } from 'node:fs'
import { isIP } from 'node:net'
import { osError } from '../errors/os.js'
import { isErrno, reasonOf } from './errno.js'
import { setNonBlocking } from './fds.js'
import { native, type SocketName } from './native.js'
import { checkSocketPath, dialOnce, stageUnixServer } from './unix-socket.js'

const { constants } = native

/** `host: null` means every address of this machine. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string | null; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Connections the kernel queues in a gap: arrivals a second × gap. Capped by net.core.somaxconn, which is 4096 on current Linux. */
export const DEFAULT_BACKLOG = 4096

/**
 * `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `:8080`, `8080`, `unix:/path` or an absolute path.
 * @throws ERR_HANDOFF_USAGE_ADDRESS
 */
export function parseAddress(text: string): ListenAddress {
  if (text.startsWith('unix:') || text.startsWith('/')) {
    const path = text.startsWith('unix:') ? text.slice('unix:'.length) : text
    if (!path.startsWith('/')) throw osError('ERR_HANDOFF_USAGE_ADDRESS', [text, 'the path must be absolute'])
    return { kind: 'unix', path }
  }
  const parts = /^(?:\[(?<v6>[^\]]*)\]:|(?<v4>[^:]*):)?(?<port>\d{1,5})$/.exec(text)?.groups
  if (parts === undefined)
    throw osError('ERR_HANDOFF_USAGE_ADDRESS', [text, 'it has no port, or its IPv6 address no brackets'])
  const { v6, v4 } = parts
  const port = Number(parts.port)
  if (port > 65_535) throw osError('ERR_HANDOFF_USAGE_ADDRESS', [text, 'the port is above 65535'])
  if (v6 !== undefined && isIP(v6) !== 6)
    throw osError('ERR_HANDOFF_USAGE_ADDRESS', [text, `[${v6}] is not an IPv6 address`])
  const host = v6 ?? (v4 === 'localhost' ? '127.0.0.1' : v4)
  if (host === undefined || host === '' || host === '*') return { kind: 'tcp', host: null, port }
  // A name could mean another machine tomorrow, and a successor must not resolve again.
  if (isIP(host) === 0) throw osError('ERR_HANDOFF_USAGE_ADDRESS', [text, `'${host}' is not a numeric IP address`])
  return { kind: 'tcp', host, port }
}

/** The inverse of {@link parseAddress}, also for what the kernel says is bound. */
export function formatAddress(address: ListenAddress | SocketName): string {
  if ('kind' in address) {
    if (address.kind === 'unix') return `unix:${address.path}`
    return address.host === null ? `:${address.port}` : hostAndPort(address.host, address.port)
  }
  if (address.family === 'unix') return `unix:${address.path}`
  return address.family === 'other' ? 'unknown' : hostAndPort(address.address, address.port)
}

const hostAndPort = (host: string, port: number): string => (isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`)

/** Names travel in LISTEN_FDNAMES, which ':' separates. @throws ERR_HANDOFF_USAGE_LISTENER_NAME */
export function checkListenerNames(names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (!/^[A-Za-z0-9_.-]{1,255}$/.test(name)) {
      throw osError('ERR_HANDOFF_USAGE_LISTENER_NAME', [
        name,
        'it is empty, too long or has other characters than A-Z a-z 0-9 _ . -',
      ])
    }
    if (seen.has(name)) throw osError('ERR_HANDOFF_USAGE_LISTENER_NAME', [name, 'another listener has it already'])
    seen.add(name)
  }
}

export interface ListenerSpec {
  readonly name: string
  readonly address: ListenAddress | string
  /** Default {@link DEFAULT_BACKLOG}. */
  readonly backlog?: number
  /** Lets other sockets share the port. Default false: a second daemon on it is a mistake. */
  readonly reusePort?: boolean
  /** An IPv6 listener serves IPv4 too unless this is set. Default false. */
  readonly v6only?: boolean
  /** Permissions of a Unix path. Default 0o600. */
  readonly mode?: number
}

export interface BoundListener {
  readonly name: string
  readonly fd: number
  /** The real one: a port 0 has become a number. */
  readonly address: SocketName
  /** Closes the fd and, while it is still this listener's, removes the Unix path. Once. */
  close(): void
}

/** Bound, listening, close-on-exec, blocking; never accepting. @throws ERR_HANDOFF_LISTEN, ERR_HANDOFF_SOCKET_PATH_* */
export function bindListener(spec: ListenerSpec): BoundListener {
  checkListenerNames([spec.name])
  const address = typeof spec.address === 'string' ? parseAddress(spec.address) : spec.address
  const listener = address.kind === 'unix' ? bindUnix(spec, address.path) : bindTcp(spec, address.host, address.port)
  // As systemd passes them. The flag is shared by all holders: a program with a plain accept() would fail on EAGAIN,
  // while one with an event loop, as Node, sets it itself. Never cleared later: an acceptor would freeze.
  setNonBlocking(listener.fd, false)
  return listener
}

/** All or none. */
export function bindListeners(specs: readonly ListenerSpec[]): BoundListener[] {
  checkListenerNames(specs.map((spec) => spec.name))
  const bound: BoundListener[] = []
  try {
    for (const spec of specs) bound.push(bindListener(spec))
    return bound
  } catch (error) {
    for (const listener of bound) listener.close()
    throw error
  }
}

function bindTcp(spec: ListenerSpec, host: string | null, port: number): BoundListener {
  try {
    return bindTcpTo(spec, host ?? '::', port)
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    // A machine without IPv6 still has every IPv4 address.
    if (host === null && isErrno(cause, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')) return bindTcpTo(spec, '0.0.0.0', port)
    throw error
  }
}

function bindTcpTo(spec: ListenerSpec, host: string, port: number): BoundListener {
  const v6 = isIP(host) === 6
  let fd = -1
  try {
    fd = native.socket(v6 ? constants.AF_INET6 : constants.AF_INET, constants.SOCK_STREAM)
    native.setsockopt(fd, constants.SOL_SOCKET, constants.SO_REUSEADDR, 1)
    if (spec.reusePort === true) native.setsockopt(fd, constants.SOL_SOCKET, constants.SO_REUSEPORT, 1)
    // Said either way: the default is the machine's (net.ipv6.bindv6only).
    if (v6) native.setsockopt(fd, constants.IPPROTO_IPV6, constants.IPV6_V6ONLY, spec.v6only === true ? 1 : 0)
    native.bindInet(fd, host, port)
    native.listen(fd, spec.backlog ?? DEFAULT_BACKLOG)
    return { name: spec.name, fd, address: native.getsockname(fd), close: closeOnce(() => native.close(fd)) }
  } catch (error) {
    if (fd >= 0) native.close(fd)
    throw osError('ERR_HANDOFF_LISTEN', [`${spec.name} (${hostAndPort(host, port)})`, reasonOf(error)], error)
  }
}

function bindUnix(spec: ListenerSpec, path: string): BoundListener {
  checkPathIsFree(path)
  const server = stageUnixServer(path, { mode: spec.mode ?? 0o600, backlog: spec.backlog ?? DEFAULT_BACKLOG })
  try {
    server.publish()
  } catch (error) {
    server.close()
    throw osError('ERR_HANDOFF_LISTEN', [`${spec.name} (${path})`, reasonOf(error)], error)
  }
  return { name: spec.name, fd: server.fd, address: { family: 'unix', path }, close: () => server.close() }
}

/**
 * Free: nothing there, or a socket that a dead process left. @throws ERR_HANDOFF_SOCKET_PATH_BUSY for anything else
 * A file without a listener behind it answers ECONNREFUSED just as a stale socket does, so its type is asked first.
 */
export function checkPathIsFree(path: string): void {
  checkSocketPath(path)
  const stat = statOf(path)
  if (stat === undefined) return
  if (!stat.isSocket()) throw osError('ERR_HANDOFF_SOCKET_PATH_BUSY', [path, 'something other than a socket is there'])
  const outcome = dialOnce(path)
  if (outcome.ok) native.close(outcome.fd)
  if (outcome.ok || outcome.why === 'busy')
    throw osError('ERR_HANDOFF_SOCKET_PATH_BUSY', [path, 'a living process listens on it'])
  if (outcome.why === 'denied')
    throw osError('ERR_HANDOFF_SOCKET_PATH_BUSY', [path, 'it belongs to another user'], outcome.error)
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw osError('ERR_HANDOFF_SOCKET_PATH_BUSY', [path, reasonOf(error)], error)
  }
}

function closeOnce(close: () => void): () => void {
  let open = true
  return () => {
    if (!open) return
    open = false
    close()
  }
}

export interface QueueFacts {
  /** Connections the kernel has finished and nobody has accepted. */
  readonly queued: number
  /** What listen(2) was last called with, after the cap by somaxconn. */
  readonly backlog: number
}

/** The accept queue of a listening TCP socket; null where the kernel does not tell (Unix sockets, macOS). */
export function queueFacts(fd: number): QueueFacts | null {
  try {
    return native.tcpQueue(fd)
  } catch (error) {
    if (isErrno(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENOPROTOOPT', 'ENOSYS', 'EINVAL')) return null
    throw error
  }
}

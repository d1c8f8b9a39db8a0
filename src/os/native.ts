/** Loads the addon and gives it types. Everything else in src/os reaches the kernel through `native`. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { osError } from '../errors/os.js'
import { NATIVE_SOURCES } from './native-sources.js'

export type SocketName =
  | { readonly family: 'IPv4' | 'IPv6'; readonly address: string; readonly port: number }
  | { readonly family: 'unix'; readonly path: string }
  | { readonly family: 'other' }

export interface Received {
  readonly count: number
  readonly fds: number[]
  readonly truncated: boolean
}

/** Readiness of one fd on the event loop. `failed`: an error is pending on the fd and the watcher has stopped itself. */
export interface Poll {
  start(events: number): void
  stop(): void
  ref(): void
  unref(): void
  /** The fd may be closed as soon as this returns. */
  close(): void
}

/**
 * Many fds behind one watcher of the loop (Linux only). Each is told once, then silent until `change`. `room` takes pairs
 * of key and events; `onReady` gets the number of pairs. Alive until `close`, but holds the loop only after `ref`.
 */
export interface Readiness {
  add(fd: number, key: number, events: number): void
  change(fd: number, key: number, events: number): void
  /** Needed only for an fd whose connection lives on in another process: others leave when they are closed. */
  remove(fd: number): void
  ref(): void
  unref(): void
  close(): void
}

/** Frames and heartbeats on one stream socket under one lock. Borrows the fd. */
export interface Writer {
  /** @returns bytes that the kernel has not taken yet. @throws errno exception when the peer is gone */
  write(bytes: Uint8Array): number
  flush(): number
  startBeating(frame: Uint8Array, tsOffset: number, tsBytes: number, periodMs: number): void
  stopBeating(): void
  look(): { pending: number; beats: number; skipped: number; errno: number }
  close(): void
}

type Constant =
  | 'AF_UNIX'
  | 'AF_INET'
  | 'AF_INET6'
  | 'SOCK_STREAM'
  | 'SOCK_DGRAM'
  | 'SOCK_SEQPACKET'
  | 'SOL_SOCKET'
  | 'SO_REUSEADDR'
  | 'SO_REUSEPORT'
  | 'SO_TYPE'
  | 'SO_ACCEPTCONN'
  | 'SO_ERROR'
  | 'SO_SNDBUF'
  | 'SO_RCVBUF'
  | 'IPPROTO_IPV6'
  | 'IPV6_V6ONLY'
  | 'LOCK_SH'
  | 'LOCK_EX'
  | 'LOCK_NB'
  | 'LOCK_UN'
  | 'SHUT_RD'
  | 'SHUT_WR'
  | 'SHUT_RDWR'
  | 'POLL_READABLE'
  | 'POLL_WRITABLE'
  | 'POLL_DISCONNECT'
  | 'MAX_FDS'
  | 'SUN_PATH_BYTES'

/** Every function is one system call and throws Node's errno exception: `{ code, errno, syscall }`. */
export interface Native {
  readonly constants: { readonly [C in Constant]: number }
  /** Close-on-exec and non-blocking. */
  socket(domain: number, type: number): number
  /** Close-on-exec and blocking: one end usually goes to another program, which may expect that. */
  socketpair(type: number): [number, number]
  bindInet(fd: number, host: string, port: number): void
  bindUnix(fd: number, path: string): void
  listen(fd: number, backlog: number): void
  connectUnix(fd: number, path: string): void
  /** Close-on-exec, non-blocking unless `blocking`. `quiet`: -1 instead of EAGAIN, here and below. */
  accept(fd: number, blocking?: boolean, quiet?: boolean): number
  getsockname(fd: number): SocketName
  getpeername(fd: number): SocketName
  setsockopt(fd: number, level: number, name: number, value: number): void
  getsockopt(fd: number, level: number, name: number): number
  shutdown(fd: number, how: number): void
  dup(fd: number, lowest: number): number
  close(fd: number): void
  getCloseOnExec(fd: number): boolean
  setCloseOnExec(fd: number, on: number): void
  getNonBlocking(fd: number): boolean
  setNonBlocking(fd: number, on: number): void
  flock(fd: number, operation: number): void
  pendingBytes(fd: number): number
  send(fd: number, bytes: Uint8Array): number
  recv(fd: number, into: Uint8Array, quiet?: boolean): number
  /** As recv, and the bytes stay queued. */
  peek(fd: number, into: Uint8Array, quiet?: boolean): number
  /**
   * Whose peer is gone altogether? Bit 0 for `fd`, bit 1 for `other`. Also set while its bytes are still queued; not while
   * it is only half-closed.
   */
  hungUp(fd: number, other?: number): number
  /** A leading NUL in `path` means the abstract namespace. */
  sendtoUnix(fd: number, bytes: Uint8Array, path: string): number
  sendmsg(fd: number, bytes: Uint8Array, fds: readonly number[]): number
  recvmsg(fd: number, into: Uint8Array, maxFds: number): Received
  recvmsg(fd: number, into: Uint8Array, maxFds: number, quiet: true): Received | null
  peerCredentials(fd: number): { pid: number; uid: number; gid: number }
  peerPidfd(fd: number): number
  tcpQueue(fd: number): { queued: number; backlog: number }
  limitNofile(): { soft: number; hard: number }
  /** waitpid(2) for that child alone: whether it had ended. Never for one that libuv started: it would wait for ever. */
  reap(pid: number): boolean
  pidfdOpen(pid: number): number
  pidfdGetfd(pidfd: number, fd: number): number
  pidfdSendSignal(pidfd: number, signal: number): void
  /** _exit(2): no handler runs, no buffer is flushed. */
  exit(code: number): never
  readonly Poll: new (fd: number, onEvent: (events: number, failed: boolean) => void) => Poll
  readonly Readiness: (new (room: Uint32Array, onReady: (pairs: number) => void) => Readiness) | undefined
  readonly Writer: new (fd: number) => Writer
}

/** The package root is where binding.gyp lies: two levels above src/os, three above dist/src/os. */
export function addonPath(start: string): string {
  let root = start
  while (!existsSync(join(root, 'binding.gyp')) && dirname(root) !== root) root = dirname(root)
  return join(root, 'build', 'Release', 'handoff_native.node')
}

/**
 * @param sources what it must have been compiled from: functions of an older addon bear the same names and may answer otherwise
 * @throws ERR_HANDOFF_NATIVE_MISSING, ERR_HANDOFF_NATIVE_STALE
 */
export function loadAddon(path: string, sources: string = NATIVE_SOURCES): Native {
  let addon: Native & { readonly sources?: string }
  try {
    addon = createRequire(import.meta.url)(path)
  } catch (error) {
    throw osError('ERR_HANDOFF_NATIVE_MISSING', [path], error)
  }
  if (addon.sources !== sources)
    throw osError('ERR_HANDOFF_NATIVE_STALE', [path, addon.sources ?? 'older ones', sources])
  return addon
}

export const native: Native = loadAddon(addonPath(dirname(fileURLToPath(import.meta.url))))

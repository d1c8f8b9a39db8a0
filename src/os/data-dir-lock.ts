/**
 * The data-dir lock: flock(2) on `<dir>/.handoff.lock`. Whoever holds it owns the data (INV-01, INV-05).
 *
 * The lock file is never unlinked: two inodes could mean two owners. The pidfile is a hint for people and for the
 * error message; nobody decides by it, so it is not synced to disk, and failing to write it is a warning.
 */
import { closeSync, fstatSync, openSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { HandoffError } from '../errors/handoff-error.js'
import { osError } from '../errors/os.js'
import { replaceFileSync } from './atomic-file.js'
import { isErrno, reasonOf } from './errno.js'
import { native } from './native.js'
import { isAlive } from './processes.js'

export const LOCK_FILE = '.handoff.lock'
export const PID_FILE = '.handoff.pidfile'

export interface DataDirLock {
  readonly path: string
  readonly fd: number
  /** Which code asked the kernel. Both mean the same kernel lock. */
  readonly via: FlockVia
  /** The pidfile could not be written; the lock is held all the same. */
  readonly warning: HandoffError | null
  /** Writes the pidfile, where that was put off. @returns why it could not be written */
  announce(): HandoffError | null
  /** Removes the pidfile, unless that is put off, unlocks, closes. Once. */
  release(options?: PidFileOptions): void
  /** Removes the pidfile while it names this process. */
  retract(): void
}
export interface PidFileOptions {
  /** `later`: the caller will announce or retract. In a handoff others wait for the lock, nobody for the hint. Default `now`. */
  readonly pidFile?: 'now' | 'later'
}
export type FlockVia = 'fs-ext' | 'native'

export type LockAttempt =
  | { readonly held: true; readonly lock: DataDirLock }
  /** `holderPid` is what the pidfile says, a hint; `holderAlive` is false only on proof. */
  | { readonly held: false; readonly holderPid: number | null; readonly holderAlive: boolean }

/** Never waits. @throws ERR_HANDOFF_LOCK_DIR when the directory is missing, read-only or not a directory */
export function tryLockDataDir(dir: string, options: PidFileOptions = {}): LockAttempt {
  const path = join(dir, LOCK_FILE)
  const fd = openLockFile(dir, path)
  try {
    if (lockOnce(fd)) return { held: true, lock: held(dir, path, fd, options) }
    const holderPid = readPidFile(dir)
    const holderAlive = holderPid === null || isAlive(holderPid)
    // The kernel lets a dead holder's lock go a moment after its death: once more, on the same inode.
    if (!holderAlive && lockOnce(fd)) return { held: true, lock: held(dir, path, fd, options) }
    closeSync(fd)
    return { held: false, holderPid, holderAlive }
  } catch (error) {
    closeSync(fd)
    throw osError('ERR_HANDOFF_LOCK_DIR', [dir, reasonOf(error)], error)
  }
}

function openLockFile(dir: string, path: string): number {
  try {
    // 'a+' creates, never truncates, and is close-on-exec: a child that kept it would keep the lock (INV-01).
    return openSync(path, 'a+', 0o600)
  } catch (error) {
    throw osError('ERR_HANDOFF_LOCK_DIR', [dir, reasonOf(error)], error)
  }
}

function isSameFile(fd: number, path: string): boolean {
  const mine = fstatSync(fd)
  const there = statSync(path, { throwIfNoEntry: false })
  return there !== undefined && there.dev === mine.dev && there.ino === mine.ino
}

function held(dir: string, path: string, fd: number, options: PidFileOptions): DataDirLock {
  // Somebody unlinked the file between our open and our lock: another process could lock its replacement (INV-01).
  if (!isSameFile(fd, path)) throw new Error(`${path} was removed while it was being locked`)
  const warning = options.pidFile === 'later' ? null : writePidFile(dir)
  let open = true
  return {
    path,
    fd,
    via: flock().via,
    warning,
    announce: () => (open ? writePidFile(dir) : null),
    retract: () => retract(dir),
    release({ pidFile } = {}) {
      if (!open) return
      open = false
      // First the hint, while the lock still keeps others from writing theirs.
      if (pidFile !== 'later') retract(dir)
      // Explicitly: closing would leave it to a copy of the fd that somebody may have inherited.
      flock().unlock(fd)
      closeSync(fd)
    },
  }
}

function retract(dir: string): void {
  if (readPidFile(dir) === process.pid) removePidFile(dir)
}

function writePidFile(dir: string): HandoffError | null {
  try {
    replaceFileSync(join(dir, PID_FILE), Buffer.from(`${process.pid}\n`), { mode: 0o644, sync: false })
    return null
  } catch (error) {
    return error as HandoffError
  }
}

function removePidFile(dir: string): void {
  try {
    unlinkSync(join(dir, PID_FILE))
  } catch (error) {
    if (!isErrno(error)) throw error
  }
}

/** The holder by its own account, or null when the file is missing, unreadable or garbage. */
export function readPidFile(dir: string): number | null {
  try {
    const text = /^(\d{1,10})\n?$/.exec(readFileSync(join(dir, PID_FILE), 'latin1'))?.[1]
    const pid = Number(text ?? 0)
    return pid > 0 ? pid : null
  } catch (error) {
    if (isErrno(error)) return null
    throw error
  }
}

function lockOnce(fd: number): boolean {
  try {
    flock().tryLock(fd)
    return true
  } catch (error) {
    if (isErrno(error, 'EAGAIN', 'EWOULDBLOCK')) return false
    throw error
  }
}

interface Flock {
  readonly via: FlockVia
  tryLock(fd: number): void
  unlock(fd: number): void
}
interface FsExt {
  flockSync(fd: number, operation: 'exnb' | 'un'): void
}

let chosen: Flock | undefined

/** fs-ext is built for one Node ABI; after a swap to another Node version its binary is refused and the addon's flock(2) serves. */
function flock(): Flock {
  chosen ??= viaFsExt() ?? viaNative()
  return chosen
}

function viaFsExt(): Flock | null {
  try {
    const { flockSync } = createRequire(import.meta.url)('fs-ext') as FsExt
    return { via: 'fs-ext', tryLock: (fd) => flockSync(fd, 'exnb'), unlock: (fd) => flockSync(fd, 'un') }
  } catch {
    return null
  }
}

function viaNative(): Flock {
  const { LOCK_EX, LOCK_NB, LOCK_UN } = native.constants
  return {
    via: 'native',
    tryLock: (fd) => native.flock(fd, LOCK_EX | LOCK_NB),
    unlock: (fd) => native.flock(fd, LOCK_UN),
  }
}

/** Who holds a data-dir lock, as the kernel tells it: for people to read, never to decide by. Linux; elsewhere nobody is known. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { LOCK_FILE } from './data-dir-lock.js'

export interface LockFacts {
  readonly path: string
  /** Null: nobody, or the kernel does not tell. */
  readonly holder: number | null
}

/** The lock file that a process has open; null when it has none, or we may not look. */
export function lockPathOf(pid: number): string | null {
  const fds = orNull(() => readdirSync(`/proc/${pid}/fd`)) ?? []
  const paths = fds.map((fd) => orNull(() => readlinkSync(`/proc/${pid}/fd/${fd}`)))
  return paths.find((path) => path?.endsWith(`/${LOCK_FILE}`) === true) ?? null
}

/** From /proc/locks, by the inode: `1: FLOCK  ADVISORY  WRITE 4211 08:01:1234 0 EOF`. */
export function holderOf(path: string): number | null {
  const inode = orNull(() => statSync(path).ino)
  const locks = (orNull(() => readFileSync('/proc/locks', 'utf8')) ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  const held = locks.find(([, kind, , , , where]) => kind === 'FLOCK' && where?.split(':')[2] === String(inode))
  return held === undefined ? null : Number(held[4])
}

function orNull<T>(look: () => T): T | null {
  try {
    return look()
  } catch {
    return null
  }
}

/** What is true in the kernel, read from /proc, whatever the programs say about themselves. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { LOCK_FILE } from '../../src/os/data-dir-lock.js'

export interface ProcessFact {
  readonly pid: number
  readonly ppid: number
  /** As ps(1) shows it: R, S, T, Z … */
  readonly state: string
  readonly command: string
}

/** Every process that lives, zombies included. */
export function allProcesses(): ProcessFact[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processFact(Number(name)) ?? [])
}

export function processFact(pid: number): ProcessFact | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '?', ppid = '0'] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
    return { pid, ppid: Number(ppid), state, command }
  } catch {
    return null // it ended meanwhile
  }
}

/** Living processes that were started with `name=value` in their environment, or below one that was. */
export function markedProcesses(name: string, value: string): ProcessFact[] {
  return allProcesses().filter(({ pid, state }) => state !== 'Z' && environmentOf(pid).includes(`${name}=${value}`))
}

/** Children of `ppid` that have ended and were not reaped. */
export const zombiesOf = (ppid: number): ProcessFact[] =>
  allProcesses().filter((fact) => fact.ppid === ppid && fact.state === 'Z')

export function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    return []
  }
}

/** Descriptors with what they lead to. */
export function fdsOf(pid: number): Map<number, string> {
  const fds = new Map<number, string>()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      fds.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`))
    } catch {
      // closed meanwhile
    }
  }
  return fds
}

/** Sockets and files by kind, for a comparison before and after: inode numbers differ, how many there are must not. */
export function fdCount(pid: number): number {
  return [...fdsOf(pid).values()].filter((target) => /^(socket|pipe):|^\//.test(target)).length
}

/** Those of `pids` that hold the data-dir lock, by what the kernel says about their descriptors (proc_pid_fdinfo(5)). */
export function lockHolders(dataDir: string, pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      return [...fdsOf(pid)].some(
        ([fd, target]) =>
          target === `${dataDir}/${LOCK_FILE}` &&
          /^lock:.*FLOCK.*WRITE/m.test(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')),
      )
    } catch {
      return false // it ended meanwhile
    }
  })
}

/** Sockets that a child of this process would inherit: no O_CLOEXEC in proc_pid_fdinfo(5). Standard streams are meant to be. */
export function inheritableSockets(pid: number): number[] {
  const sockets = [...fdsOf(pid)].filter(([fd, target]) => fd > 2 && target.startsWith('socket:'))
  return sockets.map(([fd]) => fd).filter((fd) => isInheritable(pid, fd))
}

function isInheritable(pid: number, fd: number): boolean {
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0'
    return (Number.parseInt(flags, 8) & 0o2000000) === 0
  } catch {
    return false // a connection that was closed meanwhile
  }
}

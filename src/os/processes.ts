/** Processes: start one with descriptors in exact places, notice the end of any, tell a pid from its reuse. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { osError } from '../errors/os.js'
import { isErrno, reasonOf } from './errno.js'
import { native } from './native.js'

export interface SpawnOptions {
  /** A path, or a name to be found on PATH. */
  readonly file: string
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Placed at 3, 4, … without a gap: a Node child marks only a gapless run close-on-exec. Stay open here. */
  readonly fds?: readonly number[]
  /** What the child finds at 0, 1 and 2. Default: nothing to read, our own stdout and stderr. */
  readonly stdio?: readonly [StdioSlot, StdioSlot, StdioSlot]
  /** A process group of its own, so that a Ctrl-C on the terminal does not reach it. Default false. */
  readonly detached?: boolean
}
export type StdioSlot = 'ignore' | 'inherit' | 'pipe' | number

export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface SpawnedProcess {
  readonly pid: number
  /** Resolves when it was reaped: by then the kernel has given up its locks, however much memory it held. */
  readonly exited: Promise<ProcessEnd>
  /** @returns false when it is gone already; its pid is never signalled after it was reaped */
  kill(signal: NodeJS.Signals): boolean
  /** For the pipes in slots 0 to 2, and `unref`. */
  readonly child: ChildProcess
}

/** @throws ERR_HANDOFF_SPAWN when nothing was executed: missing file or interpreter, no permission, no process slot */
export async function spawnWithFds(options: SpawnOptions): Promise<SpawnedProcess> {
  const { file, args = [], env = process.env, cwd, fds = [], stdio = ['ignore', 'inherit', 'inherit'] } = options
  const refused = (error: unknown) => osError('ERR_HANDOFF_SPAWN', [file, spawnReason(error, file, cwd)], error)
  let child: ChildProcess
  try {
    child = spawn(file, [...args], {
      env,
      stdio: [...stdio, ...fds],
      detached: options.detached ?? false,
      ...(cwd === undefined ? {} : { cwd }),
    })
  } catch (error) {
    // Node throws what it thinks is rare (ENOTDIR, E2BIG, ETXTBSY) and emits the rest.
    throw refused(error)
  }
  const exited = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const { pid } = child
  if (pid !== undefined) {
    ownChildren.add(pid)
    child.once('exit', () => ownChildren.delete(pid))
  }
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (error) => reject(refused(error)))
  })
  // A later 'error' only says that a kill() failed, which kill() itself reports.
  child.on('error', () => {})
  return { pid: child.pid as number, exited, kill: (signal) => child.kill(signal), child }
}

/** ENOENT names no culprit: the file, its interpreter or the working directory may be the one that is missing. */
function spawnReason(error: unknown, file: string, cwd: string | undefined): string {
  if (!isErrno(error, 'ENOENT')) return reasonOf(error)
  if (cwd !== undefined && !existsSync(cwd)) return `its working directory ${cwd} does not exist`
  if (file.includes('/') && existsSync(file)) return 'the interpreter in its #! line does not exist'
  return 'no such file'
}

/** Children that libuv waits for itself. */
const ownChildren = new Set<number>()

/**
 * Zombies of which this process is the parent without having started them: as process 1 it inherits what its programs
 * leave behind, and nobody else can reap those.
 */
export function foreignZombies(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      const [state, parent] = (pid > 0 && statFields(pid)) || []
      return state === 'Z' && Number(parent) === process.pid && !ownChildren.has(pid)
    })
}

/** False only on proof. A zombie counts as dead: its files, locks and sockets are closed. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return !isErrno(error, 'ESRCH')
  }
  const state = statFields(pid)?.[0]
  return state !== 'Z' && state !== 'X'
}

/** Clock ticks from boot to its start; with the pid it names a process for good. Null where there is no such process or no /proc. */
export function processStartTime(pid: number): string | null {
  return statFields(pid)?.[19] ?? null
}

/** Clock ticks a second in everything the kernel tells user space (USER_HZ). */
const TICKS_PER_SECOND = 100

/** When it started, Unix ms, to the second; null where that is not known. Moves when the clock is set. */
export function processStartedAt(pid: number): number | null {
  const ticks = processStartTime(pid)
  const bootedAt = ticks === null ? undefined : /^btime (\d+)$/m.exec(readOr('/proc/stat', ''))?.[1]
  return bootedAt === undefined ? null : Number(bootedAt) * 1000 + (Number(ticks) / TICKS_PER_SECOND) * 1000
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

/** Fields of proc_pid_stat(5) from the third on: the second, the name, may itself hold spaces and parentheses. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

export interface ExitWatch {
  /** Resolves once the process has ended, at once when it had already. Never rejects. */
  readonly exited: Promise<void>
  /** Stops watching; `exited` then stays pending. */
  cancel(): void
}

export interface WatchOptions {
  /** From {@link processStartTime}: a process that bears the pid now but started at another time is not the one. */
  readonly startTime?: string | null
  /** Whether the watch keeps this process running. Default true. */
  readonly ref?: boolean
}

/** Where there is no pidfd (macOS) the pid is asked this often, ms. */
const ASK_AGAIN_MS = 50

/** Notices the end of any process, a child or not. @throws ERR_HANDOFF_PROCESS_WATCH */
export function watchProcessExit(pid: number, options: WatchOptions = {}): ExitWatch {
  let pidfd: number
  try {
    pidfd = native.pidfdOpen(pid)
  } catch (error) {
    if (isErrno(error, 'ESRCH')) return { exited: Promise.resolve(), cancel() {} }
    if (isErrno(error, 'ENOSYS')) return watchByAsking(pid, options)
    throw osError('ERR_HANDOFF_PROCESS_WATCH', [pid, reasonOf(error)], error)
  }
  // Compared after the open: from here on the pidfd, unlike the pid, cannot come to mean another process.
  if (wasReused(pid, options.startTime)) {
    native.close(pidfd)
    return { exited: Promise.resolve(), cancel() {} }
  }
  const end = withResolvers()
  const poll = new native.Poll(pidfd, () => {
    cancel()
    end.resolve()
  })
  let open = true
  const cancel = (): void => {
    if (!open) return
    open = false
    poll.close()
    native.close(pidfd)
  }
  poll.start(native.constants.POLL_READABLE)
  if (options.ref === false) poll.unref()
  return { exited: end.promise, cancel }
}

function wasReused(pid: number, startTime: string | null | undefined): boolean {
  if (startTime === undefined || startTime === null) return false
  const now = processStartTime(pid)
  return now !== null && now !== startTime
}

function watchByAsking(pid: number, options: WatchOptions): ExitWatch {
  const end = withResolvers()
  const timer = setInterval(() => {
    if (isAlive(pid)) return
    clearInterval(timer)
    end.resolve()
  }, ASK_AGAIN_MS)
  if (options.ref === false) timer.unref()
  return { exited: end.promise, cancel: () => clearInterval(timer) }
}

// Promise.withResolvers came with Node 22.
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** What `handoff doctor` looks at on this machine. Nothing is changed, and nothing that is missing is an error. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { constants as os } from 'node:os'
import { dirname } from 'node:path'
import { lockPathOf } from '../os/lock-holder.js'
import { native } from '../os/native.js'
import type { SupervisorConfig } from '../supervisor/config.js'
import type { SupervisorStatus } from '../supervisor/types.js'
import type { Facts } from './doctor-checks.js'

/** @param status of the running supervisor, or null when none answers */
export async function gatherFacts(config: SupervisorConfig, status: SupervisorStatus | null): Promise<Facts> {
  const primitive = status?.incumbent?.pid ?? null
  const lockPath = primitive === null ? null : lockPathOf(primitive)
  const init = orNull(() => readFileSync('/proc/1/comm', 'utf8').trim()) ?? 'unknown'
  return {
    config,
    somaxconn: orNull(() => Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))),
    nofile: (primitive === null ? null : limitOf(primitive)) ?? native.limitNofile(),
    openFds: primitive === null ? null : orNull(() => readdirSync(`/proc/${primitive}/fd`).length),
    dataDir: lockPath === null ? null : { path: dirname(lockPath), fileSystem: fileSystemOf(lockPath) },
    socketDirs: [...new Set([config.controlSocket, config.triggerSocket].map(dirname))].flatMap(directoryFacts),
    uid: process.geteuid?.() ?? 0,
    killMode: status === null ? null : killModeOf(status.pid),
    init: { name: init, isSupervisor: status?.pid === 1 },
    caught: status === null ? null : caughtBy(status.pid),
    nodeOptions: process.env.NODE_OPTIONS ?? '',
    clockStepMs: await clockStep(),
  }
}

/** The program's own: a unit or a script may have set another one than this shell's. */
export function limitOf(pid: number): Facts['nofile'] | null {
  const limits = orNull(() => readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? ''
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? []
  const number = (text: string) => (text === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(text))
  return soft === undefined || hard === undefined ? null : { soft: number(soft), hard: number(hard) }
}

/** By the longest mount point that the path lies under. */
function fileSystemOf(path: string): string {
  const mounts = (orNull(() => readFileSync('/proc/self/mounts', 'utf8')) ?? '')
    .split('\n')
    .map((line) => line.split(' '))
  const under = (point: string) => point === '/' || path === point || path.startsWith(`${point}/`)
  const [best] = mounts
    .filter(([, point]) => point !== undefined && under(point))
    .sort((a, b) => (b[1]?.length ?? 0) - (a[1]?.length ?? 0))
  return best?.[2] ?? 'unknown'
}

function directoryFacts(path: string): Facts['socketDirs'] {
  const stat = statSync(path, { throwIfNoEntry: false })
  // One that does not exist is made by the supervisor, for its user alone.
  return stat === undefined ? [] : [{ path, mode: stat.mode, uid: stat.uid, sticky: (stat.mode & 0o1000) !== 0 }]
}

/** From the unit's own file: no bus is asked. */
function killModeOf(pid: number): string | null {
  const cgroup = orNull(() => readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? ''
  const unit = /\/([^/\n]+\.service)/.exec(cgroup)?.[1]
  if (unit === undefined) return null
  for (const dir of ['/etc/systemd/system', '/run/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system']) {
    const text = orNull(() => readFileSync(`${dir}/${unit}`, 'utf8'))
    if (text !== null) return /^KillMode=(\S+)/m.exec(text)?.[1] ?? 'control-group'
  }
  return null
}

function caughtBy(pid: number): string[] | null {
  const mask = /^SigCgt:\s*([0-9a-f]+)/m.exec(orNull(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '')?.[1]
  if (mask === undefined) return null
  const bits = BigInt(`0x${mask}`)
  return Object.entries(os.signals).flatMap(([name, number]) => ((bits >> BigInt(number - 1)) & 1n ? [name] : []))
}

/** Long enough to see a step, short enough not to be noticed, ms. */
const CLOCK_WATCH_MS = 100

async function clockStep(): Promise<number> {
  const [wall, monotonic] = [Date.now(), performance.now()]
  await new Promise((resolve) => setTimeout(resolve, CLOCK_WATCH_MS))
  return Date.now() - wall - (performance.now() - monotonic)
}

function orNull<T>(look: () => T): T | null {
  try {
    return look()
  } catch {
    return null
  }
}

/** How much memory a process uses, as the kernel counts it. */
import { readFileSync } from 'node:fs'

export interface MemoryUse {
  /** Resident now, bytes. */
  readonly rss: number
  /** The most that was ever resident, bytes. */
  readonly peak: number
}

/** @returns null when it has ended, or where there is no /proc */
export function memoryOf(pid: number): MemoryUse | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const bytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024
    const use = { rss: bytes('VmRSS'), peak: bytes('VmHWM') }
    // A zombie has a status and no memory.
    return Number.isNaN(use.rss) || Number.isNaN(use.peak) ? null : use
  } catch {
    return null
  }
}

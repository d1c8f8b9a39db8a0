/**
 * Misbehaviour on request, for the demo and the tests: `crash-before-ready,slow-seal=200`.
 *
 * A fault says what a broken build would do; nothing here knows how a supervisor should answer it.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** What a fault's `=value` means: none at all, how many times it strikes (default: always), or how long it takes. */
const FAULTS = {
  'crash-before-ready': 'none',
  hang: 'none',
  unhealthy: 'none',
  'open-fails': 'times',
  'drain-fails': 'times',
  'seal-fails': 'times',
  'slow-open': 'ms',
  'slow-open-sync': 'ms',
  'slow-drain': 'ms',
  'slow-drain-sync': 'ms',
  'slow-seal': 'ms',
  'slow-seal-sync': 'ms',
} as const satisfies Record<string, 'none' | 'times' | 'ms'>

export type FaultName = keyof typeof FAULTS
export type FaultedHook = 'open' | 'drain' | 'seal'

/** Longest delay that a timer can hold, ms. */
const MAX_MS = 2 ** 31 - 1

/** Reads a comma-separated list; empty entries are ignored. Throws an Error that names the entry and what is allowed. */
export function parseFaults(list: string): Faults {
  const values = new Map<FaultName, number>()
  for (const entry of list.split(',').map((text) => text.trim())) {
    if (entry === '') continue
    const [name = '', value, ...rest] = entry.split('=')
    if (!isFaultName(name)) {
      throw new Error(`unknown fault '${name}'; known are ${Object.keys(FAULTS).join(', ')}`)
    }
    values.set(name, faultValue(entry, FAULTS[name], rest.length > 0 ? '' : value))
  }
  return new Faults(values)
}

export class Faults {
  readonly #values: Map<FaultName, number>

  constructor(values: Map<FaultName, number>) {
    this.#values = values
  }

  has(name: FaultName): boolean {
    return this.#values.has(name)
  }

  /** Delays, blocks or fails a hook as told. The delays ignore every signal: a slow build would, too. */
  async beforeHook(hook: FaultedHook): Promise<void> {
    await sleep(this.#values.get(`slow-${hook}`) ?? 0)
    blockThread(this.#values.get(`slow-${hook}-sync`) ?? 0)
    if (this.#strikes(`${hook}-fails`)) throw new Error(`${hook} fails, as told by the fault ${hook}-fails`)
  }

  /** Strikes at the worst moment: the store is open, the lock is held, nobody has been told that it is ready. */
  async beforeReady(): Promise<void> {
    if (this.has('crash-before-ready')) process.kill(process.pid, 'SIGKILL')
    // The timer keeps the process alive: a promise alone would let it end.
    if (this.has('hang')) await sleep(MAX_MS)
  }

  #strikes(name: FaultName): boolean {
    const left = this.#values.get(name) ?? 0
    if (left > 0) this.#values.set(name, left - 1)
    return left > 0
  }
}

function faultValue(entry: string, meaning: 'none' | 'times' | 'ms', value: string | undefined): number {
  if (meaning === 'none' && value === undefined) return Number.POSITIVE_INFINITY
  if (meaning === 'times' && value === undefined) return Number.POSITIVE_INFINITY
  const number = /^\d{1,10}$/.test(value ?? '') ? Number(value) : Number.NaN
  if (meaning === 'times' && number >= 1) return number
  if (meaning === 'ms' && number <= MAX_MS) return number
  const wants = { none: 'takes no value', times: 'takes a number of times, 1 or more', ms: 'needs a number of ms' }
  throw new Error(`fault '${entry}': ${wants[meaning]}`)
}

function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name)
}

function blockThread(ms: number): void {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Live connections and the moves they are part of, as records of the world's state. */
import type { Slot } from './slot.js'

export interface Connection {
  readonly phase: 'absent' | 'open' | 'over'
  /** `unread`: its bytes lie in the kernel. `taken`: read, half-parsed or half-answered, in the process `takenBy`. */
  readonly request: 'none' | 'unread' | 'taken' | 'done'
  readonly takenBy: Slot
  /** Processes with a descriptor of it, as bits of slots; the client sees an end when none is left. */
  readonly holds: number
  /** Those of them that only stage a copy. */
  readonly staged: number
  /** Processes that read it (INV-14). */
  readonly reads: number
  /** Successors to whom a cut has said that it rests and will be theirs. */
  readonly told: number
  /** Incumbents that know it was told. */
  readonly given: number
  /** Incumbents whose successor said that it reads it from now on. */
  readonly left: number
  /** Ghost: holders for whom somebody else has read on since they knew where it rests (INV-15). */
  readonly stale: number
}

/** The channel between an incumbent and a successor that asked it for its connections. */
export interface Move {
  readonly from: Slot
  readonly to: Slot
  /** The successor has no room for another descriptor. */
  readonly full: boolean
  /** `told`: the successor knows the whole cut, the incumbent not yet that it does. */
  readonly stage: 'copied' | 'told' | 'agreed'
}

export interface Traffic {
  readonly connections: readonly Connection[]
  readonly moves: readonly Move[]
  readonly id: number
}

export const trafficKey = ({ connections, moves }: Omit<Traffic, 'id'>): string =>
  `${connections.map((c) => `${c.phase}${c.request}${c.takenBy},${c.holds},${c.staged},${c.reads},${c.told},${c.given},${c.left},${c.stale}`).join(';')}|${moves.map((m) => `${m.from}${m.to}${m.full ? 'f' : ''}${m.stage}`).join(';')}`

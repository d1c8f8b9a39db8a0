/**
 * Our own addition to wire version 1: what became of live connections at the cut, behind SealComplete, inside the same
 * frame, as JSON. Readers of version 1 ignore trailing bytes; without a live connection there are none.
 */
import type { DecodedPayload } from './handoff.js'

/** Live connections of an incumbent that had drained. */
export interface ConnectionTally {
  /** Told to the successor, which reads them once it serves. */
  readonly moved: number
  /** Those that stay with the old program until they end or come to rest, counted by reason. */
  readonly staying: { readonly [reason: string]: number }
}

/** Longest tally that is read, bytes: an order of magnitude more than all reasons there are. */
const MAX_TALLY_BYTES = 2_048
const MAX_REASONS = 32
const REASON = /^[A-Za-z]{1,32}$/

export const encodeTally = (tally: ConnectionTally): Uint8Array => Buffer.from(JSON.stringify(tally))

/** Null where there is none, or what stands there is not ours to read: it is a report, no reason to fail a swap. */
export function tallyBehindSealComplete({ message, trailing }: DecodedPayload): ConnectionTally | null {
  if (message.type !== 'SealComplete' || trailing.length === 0 || trailing.length > MAX_TALLY_BYTES) return null
  try {
    return checked(JSON.parse(Buffer.from(trailing).toString('utf8')))
  } catch {
    return null
  }
}

function checked(said: unknown): ConnectionTally | null {
  if (typeof said !== 'object' || said === null) return null
  const { moved, staying } = said as Record<string, unknown>
  if (!isCount(moved) || typeof staying !== 'object' || staying === null) return null
  const reasons = Object.entries(staying)
  if (reasons.length > MAX_REASONS || !reasons.every(([name, count]) => REASON.test(name) && isCount(count)))
    return null
  return { moved, staying: Object.fromEntries(reasons) }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

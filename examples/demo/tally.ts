/** What the clients count, and which of it means that a client noticed a swap. */
import type { FailureKind } from './http-client.js'

export interface Tally {
  /** Requests answered as they should be. */
  readonly requests: number
  /** Requests by how they failed. */
  readonly refused: number
  readonly reset: number
  readonly failed: number
  /** Requests that met an idle keep-alive connection just as it was closed; each was sent again on a new one. */
  readonly idleClosed: number
  /** Keep-alive connections opened anew because the server had closed the old one. */
  readonly reconnects: number
  readonly writesAcknowledged: number
  /** Acknowledged writes that cannot be read back with their value and revision. */
  readonly writesLost: number
  /** Revisions that were given to two writes. */
  readonly writesDuplicated: number
  /** Revisions that went backwards, for one writer or one reader. */
  readonly revisionsDisordered: number
  /** Writes that were applied although no client got an answer: store revision less acknowledged writes. */
  readonly writesUnanswered: number
  /** Up to {@link REASONS_MAX} distinct reasons of failures, with how often each occurred. */
  readonly reasons: Readonly<Record<string, number>>
}

/** Distinct failure reasons kept, so that a broken run cannot fill the memory. */
const REASONS_MAX = 20

/** Counts that must be 0 in any run, also one in which serving processes are killed. */
export const MUST_BE_ZERO = [
  'refused',
  'reset',
  'failed',
  'writesLost',
  'writesDuplicated',
  'revisionsDisordered',
  'writesUnanswered',
] as const satisfies readonly (keyof Tally)[]

/** Counts that must be 0 as well where swaps are all that happens: established connections move with them. */
export const MUST_MOVE = ['idleClosed', 'reconnects'] as const satisfies readonly (keyof Tally)[]

export type Counter = Exclude<keyof Tally, 'reasons'>

export class Counters {
  readonly #counts: Record<Counter, number> = {
    requests: 0,
    refused: 0,
    reset: 0,
    failed: 0,
    idleClosed: 0,
    reconnects: 0,
    writesAcknowledged: 0,
    writesLost: 0,
    writesDuplicated: 0,
    revisionsDisordered: 0,
    writesUnanswered: 0,
  }
  readonly #reasons = new Map<string, number>()

  add(counter: Counter, by = 1): void {
    this.#counts[counter] += by
  }

  failure(kind: FailureKind, reason: string): void {
    this.#counts[kind] += 1
    this.note(`${kind}: ${reason}`)
  }

  note(reason: string): void {
    if (this.#reasons.has(reason) || this.#reasons.size < REASONS_MAX) {
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1)
    }
  }

  read(): Tally {
    return { ...this.#counts, reasons: Object.fromEntries(this.#reasons) }
  }
}

/**
 * One-time tokens and the ACKs they are owed, for the whole life of a broker (W6, INV-21).
 *
 * Time and randomness come in as arguments, the comparison of secrets as a function: this decides, src/broker knows the
 * clock, the random source and the constant-time comparison.
 */
import type { BrokerPolicy } from './policy.js'

/** Compares two secrets; the caller sees to it that it takes the same time whatever they hold. */
export type SecretEquals = (a: Uint8Array, b: Uint8Array) => boolean

export type ConsumeVerdict = 'consumed' | 'notPending' | 'expired' | 'mismatch'

interface Pending {
  readonly token: Uint8Array
  readonly text: string
  readonly expiresAt: number
}

type TokenPolicy = Pick<BrokerPolicy, 'maxTokens' | 'tokenTtlMs' | 'tokenCandidates'>

/** Tokens by the id of the connection they were given to: no lookup ever depends on the bytes of a secret. */
export class TokenStore {
  readonly #pending = new Map<number, Pending>()
  /** Only for collisions among candidates of our own making; nothing from outside is looked up here. */
  readonly #taken = new Set<string>()

  constructor(
    readonly policy: TokenPolicy,
    readonly equals: SecretEquals,
  ) {}

  get size(): number {
    return this.#pending.size
  }

  /** A token for one connection, or null when the store is full or every candidate is taken: no error, no handoff. */
  issue(connection: number, now: number, candidate: () => Uint8Array): Uint8Array | null {
    if (this.#pending.size >= this.policy.maxTokens) this.#prune(now)
    if (this.#pending.size >= this.policy.maxTokens) return null
    for (let attempt = 0; attempt < this.policy.tokenCandidates; attempt++) {
      const token = candidate()
      const text = String.fromCharCode(...token)
      if (this.#taken.has(text)) continue
      this.#taken.add(text)
      this.#pending.set(connection, { token, text, expiresAt: now + this.policy.tokenTtlMs })
      return token
    }
    return null
  }

  /** Removes the token when it is the one, and when it is too old; a wrong guess consumes nothing. */
  consume(connection: number, presented: Uint8Array, now: number): ConsumeVerdict {
    const pending = this.#pending.get(connection)
    if (pending === undefined) return 'notPending'
    if (now >= pending.expiresAt) {
      this.revoke(connection)
      return 'expired'
    }
    if (!this.equals(pending.token, presented)) return 'mismatch'
    this.revoke(connection)
    return 'consumed'
  }

  /** @returns whether it was there */
  revoke(connection: number): boolean {
    const pending = this.#pending.get(connection)
    if (pending === undefined) return false
    this.#taken.delete(pending.text)
    return this.#pending.delete(connection)
  }

  // Insertion order is expiry order, since every token lives equally long.
  #prune(now: number): void {
    for (const [connection, { expiresAt }] of this.#pending) {
      if (now < expiresAt) return
      this.revoke(connection)
    }
  }
}

/** Tokens from the operating system's random source, fetched for many at once: the call costs more than the bytes. */
import { randomFillSync } from 'node:crypto'
import { TOKEN_BYTES } from '../../machines/broker/protocol.js'

const pool = Buffer.alloc(64 * TOKEN_BYTES)
let used = pool.length

/** Sixteen fresh bytes. What was given away is wiped from the pool: a token exists in one place only. */
export function takeToken(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const token = Uint8Array.prototype.slice.call(pool, used, used + TOKEN_BYTES)
  pool.fill(0, used, used + TOKEN_BYTES)
  used += TOKEN_BYTES
  return token
}

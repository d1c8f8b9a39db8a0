/** Handoff ids: canonical UUID text here, 16 bytes in network order on the wire. */

export const UUID_BYTES = 16
// Lower case only: ids are compared as text, and 'A' ≠ 'a' would look like another handoff.
const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** @returns 16 bytes, or null when the text is not a lower-case UUID. Any version and variant is taken, nil too. */
export function uuidToBytes(text: string): Uint8Array | null {
  if (typeof text !== 'string' || !CANONICAL.test(text)) return null
  return new Uint8Array(Buffer.from(text.replaceAll('-', ''), 'hex'))
}

/** @param bytes exactly {@link UUID_BYTES}. */
export function uuidFromBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

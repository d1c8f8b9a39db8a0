/** Fingerprints between the wire (32 bytes, all zero for none) and the machines (hex, null for none). */
import type { Fingerprint } from '../../machines/handoff/messages.js'
import { FINGERPRINT_BYTES } from '../../machines/handoff/protocol.js'

export function wireFingerprint(bytes: Uint8Array): Fingerprint {
  return bytes.every((byte) => byte === 0) ? null : Buffer.from(bytes).toString('hex')
}

export function fingerprintBytes(fingerprint: Fingerprint): Uint8Array {
  return fingerprint === null ? new Uint8Array(FINGERPRINT_BYTES) : Buffer.from(fingerprint, 'hex')
}

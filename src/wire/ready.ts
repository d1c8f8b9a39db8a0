/**
 * Our own addition to wire version 1: the successor's data-dir fingerprint behind Ready, inside the same frame.
 * A reference supervisor ignores trailing bytes; ours compares the fingerprint with the sealed one (INV-13).
 */
import { FINGERPRINT_BYTES, type Ready } from '../../machines/handoff/protocol.js'
import { wireError } from '../errors/wire.js'
import { type DecodedPayload, encodeMessage } from './handoff.js'

/** @param fingerprint exactly 32 bytes. @throws ERR_HANDOFF_USAGE_WIRE_FIELD otherwise. */
export function encodeReadyWithFingerprint(ready: Ready, fingerprint: Uint8Array, protoVersion = 1): Uint8Array {
  if (fingerprint.length !== FINGERPRINT_BYTES) {
    const expected = `a Uint8Array of ${FINGERPRINT_BYTES} bytes`
    throw wireError('ERR_HANDOFF_USAGE_WIRE_FIELD', ['fingerprint', `${fingerprint.length} bytes`, expected])
  }
  return encodeMessage(ready, { protoVersion, trailing: fingerprint })
}

/** The fingerprint behind a Ready, or null: a reference successor gives none, and any other length is not ours to read. */
export function fingerprintBehindReady(decoded: DecodedPayload): Uint8Array | null {
  return decoded.message.type === 'Ready' && decoded.trailing.length === FINGERPRINT_BYTES ? decoded.trailing : null
}

/** Revisions and fingerprints between a daemon's hooks, the machines (text) and the wire (u64, 32 bytes). */
import type { Fingerprint, Revisions } from '../../machines/handoff/messages.js'
import { FINGERPRINT_BYTES } from '../../machines/handoff/protocol.js'
import { wireFingerprint } from '../channel/fingerprint.js'
import { daemonError } from '../errors/daemon.js'
import type { Revision } from './options.js'

const U64_MAX = 2n ** 64n - 1n

/** @throws ERR_HANDOFF_USAGE_REVISION */
export function revisionTexts(revisions: readonly Revision[]): Revisions {
  return revisions.map((revision) => {
    const whole = typeof revision === 'bigint' || Number.isSafeInteger(revision)
    if (!whole || BigInt(revision) < 0n || BigInt(revision) > U64_MAX) {
      throw daemonError('ERR_HANDOFF_USAGE_REVISION', [String(revision)])
    }
    return String(revision)
  })
}

/** @throws ERR_HANDOFF_USAGE_FINGERPRINT */
export function fingerprintHex(fingerprint: Uint8Array | string | undefined): Fingerprint {
  if (fingerprint === undefined) return null
  const bytes = typeof fingerprint === 'string' ? Buffer.from(fingerprint, 'hex') : Buffer.from(fingerprint)
  if (bytes.length !== FINGERPRINT_BYTES) throw daemonError('ERR_HANDOFF_USAGE_FINGERPRINT', [bytes.length])
  return wireFingerprint(bytes)
}

/**
 * A Heartbeat frame with a hole for the time, so that a native thread can send signs of life without an encoder
 * while JavaScript is blocked.
 */
import { encodeMessage } from './handoff.js'

/** From 2^35 ms (1971) to 2^42 ms (2109) the canonical varint has six groups; the template is used within that span. */
const TS_BYTES = 6
const SMALLEST_TS_MS = 2n ** 35n

export interface HeartbeatTemplate {
  /** A legal frame as it stands; its time is in 1971. */
  readonly frame: Uint8Array
  /** Where the varint of `ts_ms` starts, bytes from the frame's first. */
  readonly tsOffset: number
  /** How many groups of seven bits it has, lowest first; each byte but the last has its top bit set. */
  readonly tsBytes: number
}

export function heartbeatTemplate(protoVersion = 1): HeartbeatTemplate {
  const frame = encodeMessage({ type: 'Heartbeat', tsMs: SMALLEST_TS_MS }, { protoVersion })
  return { frame, tsOffset: frame.length - TS_BYTES, tsBytes: TS_BYTES }
}

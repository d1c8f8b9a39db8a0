/** How a process presents itself on a control connection. */
import { type Hello, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, type Side } from '../../machines/handoff/protocol.js'

/**
 * Capability bit 0: this primitive greets others while a session is open. Version 1 gives the bits no meaning, and
 * a peer that sends 0 never meets what it announces.
 */
export const CAP_MANY_SESSIONS = 1n << 0n

export function ownHello(role: Side, buildId: string): Hello {
  return {
    type: 'Hello',
    role,
    pid: process.pid,
    buildId: new TextEncoder().encode(buildId),
    protoMin: PROTOCOL_VERSION_MIN,
    protoMax: PROTOCOL_VERSION_MAX,
    capabilities: CAP_MANY_SESSIONS,
  }
}

/** Build ids are bytes; as text for people, hex when they are not text. */
export function buildIdText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return Buffer.from(bytes).toString('hex')
  }
}

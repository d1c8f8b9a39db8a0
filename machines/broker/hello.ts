/**
 * What the broker answers to a Hello: a pure verdict over the message, the kernel's word on the peer, and the service.
 *
 * The order of checks and the texts are the original's, as seen on live sockets; first failure wins. Nothing a client
 * says about itself grants anything: peerPid can only contradict the kernel, never replace it.
 */
import { type EnvelopeFault, type Hello, PROTOCOL_VERSION, type RefusalName } from './protocol.js'

/** A service as the broker knows it. */
export interface ServiceTerms {
  /** `N.N.N`; a wanted version below it is blocked. */
  readonly minVersion?: string
  /** When not empty: the only versions served, letter for letter. */
  readonly allowedVersions?: readonly string[]
}

export interface HelloFacts {
  /** Null when no such service is registered. */
  readonly service: ServiceTerms | null
  /** Peer's pid from the kernel; 0 where the kernel does not tell. */
  readonly peerPid: number
}

export interface Refusal {
  readonly code: RefusalName
  readonly reason: string
  /** When to come back, **ms**; 0: there is no use in it. */
  readonly retryAfterMs: number
}

const refusal = (code: RefusalName, reason: string, retryAfterMs = 0): Refusal => ({ code, reason, retryAfterMs })

/** A blocked version may be allowed by the next configuration: come back in this time, **ms** (protocol). */
const BLOCKED_RETRY_MS = 30_000
/** **ms** (protocol). */
export const PRESSURE_RETRY_MS = 1_000

export const REFUSALS = {
  framingVersion: refusal('versionUnsupported', 'unsupported framing version'),
  tooLarge: refusal('peerRejected', 'initial Hello frame exceeds 64 KiB'),
  incomplete: refusal('peerRejected', 'incomplete Hello frame'),
  malformedFrame: refusal('peerRejected', 'malformed broker Frame'),
  malformedHello: refusal('peerRejected', 'malformed Hello payload'),
  adminUnavailable: refusal('peerRejected', 'admin verb is not available'),
  fdPressure: refusal('fdPressure', 'broker is low on file descriptors; retry shortly', PRESSURE_RETRY_MS),
  shuttingDown: refusal('shuttingDown', 'broker is shutting down', PRESSURE_RETRY_MS),
  serviceUnknown: refusal('serviceUnknown', 'service definition was not found'),
  internal: refusal('internal', 'broker could not answer'),
} as const satisfies Record<string, Refusal>

const ENVELOPE_REFUSALS: Record<EnvelopeFault, Refusal> = {
  version: refusal('versionUnsupported', 'unsupported Frame envelope_version'),
  kind: refusal('peerRejected', 'Hello frame kind must be REQUEST'),
  protocol: refusal('peerRejected', 'Hello frame payload_protocol must be control-plane'),
  encoding: refusal('peerRejected', 'Hello frame payload must not be compressed'),
}
export const envelopeRefusal = (fault: EnvelopeFault): Refusal => ENVELOPE_REFUSALS[fault]

export const rateLimited = (retryAfterMs: number): Refusal =>
  refusal('rateLimited', 'Hello rate limit exceeded', Math.max(1, retryAfterMs))

const SERVICE_NAME = /^[a-z0-9-]{1,64}$/
const VERSION = /^\d+\.\d+\.\d+(-[a-z0-9.]+)?$/

export const isServiceName = (name: string): boolean => SERVICE_NAME.test(name)

/** Null: the client may be negotiated with. */
export function helloRefusal(hello: Hello, facts: HelloFacts): Refusal | null {
  if (!isServiceName(hello.serviceName)) return refusal('peerRejected', 'invalid service_name')
  if (facts.service === null) return REFUSALS.serviceUnknown
  return versionRefusal(hello.wantedVersion, facts.service) ?? shapeRefusal(hello) ?? pidRefusal(hello, facts.peerPid)
}

function versionRefusal(wanted: string, service: ServiceTerms): Refusal | null {
  const wellFormed = Buffer.byteLength(wanted) <= 64 && VERSION.test(wanted)
  const allowed = service.allowedVersions ?? []
  if (wellFormed && service.minVersion !== undefined && compareCore(wanted, service.minVersion) < 0) {
    return refusal('versionBlocked', 'wanted_version is below min_version', BLOCKED_RETRY_MS)
  }
  // An allow-list is asked before the shape: a malformed version is simply not in it.
  if (allowed.length > 0 && !allowed.includes(wanted)) {
    return refusal('versionBlocked', 'wanted_version is not in the allow list', BLOCKED_RETRY_MS)
  }
  return wellFormed ? null : refusal('peerRejected', 'invalid wanted_version')
}

function shapeRefusal(hello: Hello): Refusal | null {
  if (hello.clientMinProtocol > PROTOCOL_VERSION || hello.clientMaxProtocol < PROTOCOL_VERSION) {
    return refusal('versionUnsupported', 'client protocol range does not include v1')
  }
  if (Buffer.byteLength(hello.clientVersion) > 128) return refusal('peerRejected', 'client_version is too long')
  if (Buffer.byteLength(hello.clientLibName) > 64) return refusal('peerRejected', 'client_lib_name is too long')
  if (Buffer.byteLength(hello.clientLibVersion) > 64) return refusal('peerRejected', 'client_lib_version is too long')
  return null
}

function pidRefusal(hello: Hello, peerPid: number): Refusal | null {
  const contradicts = hello.peerPid !== 0 && peerPid !== 0 && hello.peerPid !== peerPid
  return contradicts ? refusal('peerRejected', 'peer_pid does not match verified peer') : null
}

/** Orders the `N.N.N` cores; whatever follows a dash plays no part. Numbers of any length compare right. */
export function compareCore(a: string, b: string): number {
  const core = (version: string) => (version.split('-')[0] as string).split('.').map((part) => BigInt(part))
  const [left, right] = [core(a), core(b)]
  for (let index = 0; index < 3; index++) {
    const [x, y] = [left[index] ?? 0n, right[index] ?? 0n]
    if (x !== y) return x < y ? -1 : 1
  }
  return 0
}

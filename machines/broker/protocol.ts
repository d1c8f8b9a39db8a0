/**
 * Broker protocol, version 1, as plain values: the messages, the numbers that never change and the two checks that both
 * ends make on everything they read. Bytes live in src/wire/broker; here is only what a decision needs.
 */

/** The raw byte before every frame. Not the protocol version, though both are 1. */
export const FRAMING_VERSION = 1
/** Frame.envelopeVersion, and the only protocol version either side negotiates. */
export const PROTOCOL_VERSION = 1

/** Largest body of any frame, **bytes** (wire contract). Checked before anything is allocated. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024
/** Largest body of a Hello, **bytes** (wire contract). A stranger gets no more memory than this. */
export const MAX_HELLO_BYTES = 64 * 1024
/** Length of a handoff token, **bytes** (wire contract). It travels raw, as the payload that carries the descriptor. */
export const TOKEN_BYTES = 16

/** The conversation a frame belongs to (Frame.payloadProtocol). */
export const PayloadProtocol = { control: 0x0000, admin: 0xad01, probe: 0xb232, handoff: 0xd0ff } as const
export const FrameKind = { request: 0, response: 1, event: 2, cancel: 3 } as const
export const PayloadEncoding = { none: 0, zstd: 1, snappy: 2, lz4: 3 } as const

/** Capability bit 0, in force only when both sides set it. */
export const CAP_HANDLE_PASSING = 1n

export const RefusalCode = {
  unspecified: 0,
  versionUnsupported: 1,
  serviceUnknown: 2,
  backendSpawnFailed: 3,
  rateLimited: 4,
  shuttingDown: 5,
  peerRejected: 6,
  internal: 7,
  versionBlocked: 8,
  fdPressure: 9,
} as const
export type RefusalName = keyof typeof RefusalCode

export interface Frame {
  readonly envelopeVersion: number
  readonly kind: number
  readonly payloadProtocol: number
  readonly payload: Uint8Array
  readonly requestId: bigint
  readonly payloadEncoding: number
  readonly deadlineUnixMs: bigint
  readonly traceparent: string
  readonly tracestate: string
}

export interface Hello {
  readonly clientMinProtocol: number
  readonly clientMaxProtocol: number
  readonly serviceName: string
  readonly wantedVersion: string
  readonly clientVersion: string
  readonly clientCapabilities: bigint
  readonly authToken: Uint8Array
  readonly requestId: string
  readonly connectionId: bigint
  readonly peerPid: number
  readonly clientLibName: string
  readonly clientLibVersion: string
  readonly peerAttestationNonce: Uint8Array
  readonly capabilityToken: Uint8Array
  readonly clientKeepaliveSecs: bigint
}

export interface Negotiated {
  readonly negotiatedProtocol: number
  readonly daemonVersion: string
  readonly backendPipe: string
  readonly warnings: readonly string[]
  readonly serverCapabilities: bigint
  readonly keepaliveIntervalSecs: bigint
  readonly handlePassedToken: Uint8Array
  readonly connectionId: bigint
}

export interface Refused {
  readonly reason: string
  readonly daemonMinProtocol: number
  readonly daemonMaxProtocol: number
  readonly code: number
  readonly details: Readonly<Record<string, string>>
  readonly retryAfterMs: bigint
}

/** Exactly one of the two in a well-formed reply; neither in a reply from nowhere. */
export interface HelloReply {
  readonly negotiated?: Negotiated
  readonly refused?: Refused
}

export interface HandoffOffer {
  readonly handleValue: bigint
  readonly token: Uint8Array
  readonly serviceName: string
  readonly correlationId: bigint
}

export interface HandoffAck {
  readonly token: Uint8Array
  readonly accepted: boolean
  readonly errorDetail: string
  readonly correlationId: bigint
}

/** What a frame must be before its payload is looked at. */
export interface ExpectedEnvelope {
  readonly kind: number
  readonly payloadProtocol: number
}
export type EnvelopeFault = 'version' | 'kind' | 'protocol' | 'encoding'

/** The four tests in the order every implementation makes them; the first failure wins, null means sound. */
export function envelopeFault(frame: Frame, expected: ExpectedEnvelope): EnvelopeFault | null {
  if (frame.envelopeVersion !== PROTOCOL_VERSION) return 'version'
  if (frame.kind !== expected.kind) return 'kind'
  if (frame.payloadProtocol !== expected.payloadProtocol) return 'protocol'
  if (frame.payloadEncoding !== PayloadEncoding.none) return 'encoding'
  return null
}

export const helloEnvelope: ExpectedEnvelope = {
  kind: FrameKind.request,
  payloadProtocol: PayloadProtocol.control,
}
export const helloReplyEnvelope: ExpectedEnvelope = {
  kind: FrameKind.response,
  payloadProtocol: PayloadProtocol.control,
}
export const offerEnvelope: ExpectedEnvelope = { kind: FrameKind.request, payloadProtocol: PayloadProtocol.handoff }
export const ackEnvelope: ExpectedEnvelope = { kind: FrameKind.response, payloadProtocol: PayloadProtocol.handoff }
export const readyEnvelope: ExpectedEnvelope = { kind: FrameKind.event, payloadProtocol: PayloadProtocol.handoff }

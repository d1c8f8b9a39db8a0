/** From the bytes of a first frame to the bytes of its answer. What to say is decided in machines/broker/hello. */
import { envelopeRefusal, helloRefusal, REFUSALS, type Refusal, rateLimited } from '../../machines/broker/hello.js'
import {
  CAP_HANDLE_PASSING,
  envelopeFault,
  type Frame,
  FrameKind,
  type Hello,
  helloEnvelope,
  MAX_HELLO_BYTES,
  PayloadProtocol,
  PROTOCOL_VERSION,
  RefusalCode,
} from '../../machines/broker/protocol.js'
import { isHandoffError } from '../errors/handoff-error.js'
import { asksForHandoff, envelopeBytes, helloReplyBytes, type RequestTrace } from '../wire/broker/envelope.js'
import { adminReplyCodec, adminRequestCodec, frameCodec, helloCodec } from '../wire/broker/messages.js'
import { type AdminFacts, adminReply } from './admin.js'
import type { BrokerService, FindService } from './services.js'

/** The handoff an answer has promised. */
export interface Promised {
  readonly service: BrokerService
  readonly serviceName: string
  readonly token: Uint8Array
  readonly correlationId: bigint
}

export interface Answer {
  readonly bytes: Buffer
  readonly said:
    | { readonly kind: 'negotiated'; readonly serviceName: string; readonly promised: Promised | null }
    | { readonly kind: 'refused'; readonly refusal: Refusal }
    | { readonly kind: 'admin' }
}

/** What an answer needs from the broker around it. */
export interface AnswerFacts {
  readonly peerPid: number
  /** Descriptors are short: only admin verbs are answered. */
  readonly pressed: boolean
  readonly find: FindService
  /** What the operator must know and the client must not. */
  fault(where: string, error: unknown): void
  /** Rest of the rate window, ms; 0 admits. */
  admit(): number
  /** Null when no token can be given: the client is negotiated with all the same. */
  issueToken(): Uint8Array | null
  nextConnectionId(): bigint
  readonly admin: AdminFacts
}

const NO_TRACE: RequestTrace = { requestId: 0n, traceparent: '', tracestate: '' }
/** The client asked for no interval: **s** (protocol default). */
const DEFAULT_KEEPALIVE_SECS = 1_800n

export function refuse(refusal: Refusal, trace: RequestTrace = NO_TRACE): Answer {
  const refused = {
    reason: refusal.reason,
    daemonMinProtocol: PROTOCOL_VERSION,
    daemonMaxProtocol: PROTOCOL_VERSION,
    code: RefusalCode[refusal.code],
    details: {},
    retryAfterMs: BigInt(Math.ceil(refusal.retryAfterMs)),
  }
  return { bytes: helloReplyBytes({ refused }, trace), said: { kind: 'refused', refusal } }
}

/** The refusal for a first frame that could not be read at all. */
export function refuseUnreadable(error: unknown): Answer {
  return refuse(
    isHandoffError(error, 'ERR_HANDOFF_BROKER_PEER_FRAMING_VERSION') ? REFUSALS.framingVersion : REFUSALS.tooLarge,
  )
}

/** The answer to one whole first frame. Never throws for anything a client can send. */
export function answerFrame(body: Uint8Array, facts: AnswerFacts): Answer {
  const frame = decoded(() => frameCodec.decode(body))
  if (frame === null) return refuse(REFUSALS.malformedFrame)
  const trace: RequestTrace = {
    requestId: frame.requestId,
    traceparent: frame.traceparent,
    tracestate: frame.tracestate,
  }
  if (frame.payloadProtocol === PayloadProtocol.admin) return answerAdmin(frame, trace, facts)
  if (body.length > MAX_HELLO_BYTES) return refuse(REFUSALS.tooLarge, trace)
  if (facts.pressed) return refuse(REFUSALS.fdPressure, trace)
  const fault = envelopeFault(frame, helloEnvelope)
  if (fault !== null) return refuse(envelopeRefusal(fault), trace)
  const hello = decoded(() => helloCodec.decode(frame.payload))
  return hello === null ? refuse(REFUSALS.malformedHello, trace) : answerHello(hello, trace, facts)
}

function answerHello(hello: Hello, trace: RequestTrace, facts: AnswerFacts): Answer {
  const wait = facts.admit()
  if (wait > 0) return refuse(rateLimited(wait), trace)
  let service: BrokerService | null
  try {
    service = facts.find(hello.serviceName)
  } catch (error) {
    facts.fault('services', error)
    return refuse(REFUSALS.internal, trace)
  }
  const refusal = helloRefusal(hello, { service, peerPid: facts.peerPid })
  if (refusal !== null || service === null) return refuse(refusal ?? REFUSALS.serviceUnknown, trace)
  // No token for those who will not use one, nor where there is nobody to hand over to (W5).
  const wanted = asksForHandoff(hello) && service.handoffEndpoint !== undefined
  const token = wanted ? facts.issueToken() : null
  const connectionId = facts.nextConnectionId()
  const negotiated = {
    negotiatedProtocol: PROTOCOL_VERSION,
    daemonVersion: service.version,
    backendPipe: service.backendPipe,
    warnings: [],
    serverCapabilities: (service.capabilities ?? 0n) | (token === null ? 0n : CAP_HANDLE_PASSING),
    keepaliveIntervalSecs: hello.clientKeepaliveSecs === 0n ? DEFAULT_KEEPALIVE_SECS : hello.clientKeepaliveSecs,
    handlePassedToken: token ?? new Uint8Array(0),
    connectionId,
  }
  const { serviceName } = hello
  const promised = token === null ? null : { service, serviceName, token, correlationId: connectionId }
  return {
    bytes: helloReplyBytes({ negotiated }, trace),
    said: { kind: 'negotiated', serviceName, promised },
  }
}

function answerAdmin(frame: Frame, trace: RequestTrace, facts: AnswerFacts): Answer {
  const envelope = { kind: FrameKind.request, payloadProtocol: PayloadProtocol.admin }
  const request =
    envelopeFault(frame, envelope) === null ? decoded(() => adminRequestCodec.decode(frame.payload)) : null
  if (request === null) return refuse(REFUSALS.adminUnavailable, trace)
  const reply = adminReplyCodec.encode(adminReply(request, facts.admin))
  return {
    bytes: envelopeBytes({ kind: FrameKind.response, payloadProtocol: PayloadProtocol.admin }, reply, trace),
    said: { kind: 'admin' },
  }
}

function decoded<T>(decode: () => T): T | null {
  try {
    return decode()
  } catch (error) {
    if (isHandoffError(error, 'ERR_HANDOFF_BROKER_PEER_UNDECODABLE')) return null
    throw error
  }
}

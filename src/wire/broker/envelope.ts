/** Whole frames for the five messages of the path, ready for the socket, and the way back with the envelope checked. */
import {
  CAP_HANDLE_PASSING,
  type EnvelopeFault,
  type ExpectedEnvelope,
  envelopeFault,
  type Frame,
  FrameKind,
  type HandoffAck,
  type HandoffOffer,
  type Hello,
  type HelloReply,
  PayloadProtocol,
  PROTOCOL_VERSION,
} from '../../../machines/broker/protocol.js'
import { brokerWireError } from '../../errors/broker-wire.js'
import type { Codec } from './codec.js'
import { frameBytes } from './framing.js'
import { ackCodec, frameCodec, helloCodec, helloReplyCodec, offerCodec } from './messages.js'

/** What a request hands on to its reply. */
export type RequestTrace = Pick<Frame, 'requestId' | 'traceparent' | 'tracestate'>

/** One framed envelope around an encoded payload. */
export function envelopeBytes(envelope: ExpectedEnvelope, payload: Uint8Array, trace: Partial<RequestTrace>): Buffer {
  return frameBytes(frameCodec.encode({ envelopeVersion: PROTOCOL_VERSION, ...envelope, payload, ...trace }))
}

const control = PayloadProtocol.control
const handoff = PayloadProtocol.handoff

export const helloBytes = (hello: Partial<Hello>, trace: Partial<RequestTrace> = {}): Buffer =>
  envelopeBytes({ kind: FrameKind.request, payloadProtocol: control }, helloCodec.encode(hello), {
    requestId: 1n,
    ...trace,
  })

export const helloReplyBytes = (reply: HelloReply, trace: Partial<RequestTrace>): Buffer =>
  envelopeBytes({ kind: FrameKind.response, payloadProtocol: control }, helloReplyCodec.encode(reply), trace)

/** The request id of an offer *is* its correlation id; the peer checks that they agree. */
export const offerBytes = (offer: Partial<HandoffOffer> & Pick<HandoffOffer, 'correlationId'>): Buffer =>
  envelopeBytes({ kind: FrameKind.request, payloadProtocol: handoff }, offerCodec.encode(offer), {
    requestId: offer.correlationId,
  })

export const ackBytes = (ack: Partial<HandoffAck> & Pick<HandoffAck, 'correlationId'>): Buffer =>
  envelopeBytes({ kind: FrameKind.response, payloadProtocol: handoff }, ackCodec.encode(ack), {
    requestId: ack.correlationId,
  })

/** Tells the client that its next byte goes to the backend. Rebuilt from the broker's own values, never relayed. */
export const readyBytes = (token: Uint8Array, correlationId: bigint): Buffer =>
  envelopeBytes(
    { kind: FrameKind.event, payloadProtocol: handoff },
    ackCodec.encode({ token, accepted: true, correlationId }),
    { requestId: correlationId },
  )

/**
 * Payload of a frame whose envelope must be `expected`.
 * @throws ERR_HANDOFF_BROKER_PEER_ENVELOPE, ERR_HANDOFF_BROKER_PEER_UNDECODABLE
 */
export function openEnvelope<T>(frame: Frame, expected: ExpectedEnvelope, codec: Codec<T>): T {
  return codec.decode(openPayload(frame, expected))
}

/** As {@link openEnvelope}, for payloads that are no message of their own. @throws ERR_HANDOFF_BROKER_PEER_ENVELOPE */
export function openPayload(frame: Frame, expected: ExpectedEnvelope): Uint8Array {
  const fault: EnvelopeFault | null = envelopeFault(frame, expected)
  if (fault !== null) throw brokerWireError('ERR_HANDOFF_BROKER_PEER_ENVELOPE', [fault])
  return frame.payload
}

/** True when the client both can and wants to be handed over. */
export const asksForHandoff = (hello: Pick<Hello, 'clientCapabilities'>): boolean =>
  (hello.clientCapabilities & CAP_HANDLE_PASSING) !== 0n

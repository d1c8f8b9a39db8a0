/** One admin verb and its answer: for the tools of operators. */
import { FrameKind, MAX_FRAME_BYTES, PayloadProtocol } from '../../machines/broker/protocol.js'
import { brokerError } from '../errors/broker.js'
import { isHandoffError } from '../errors/handoff-error.js'
import { reasonOf } from '../os/errno.js'
import { envelopeBytes, openEnvelope } from '../wire/broker/envelope.js'
import {
  AdminVerb,
  type AdminVerbName,
  adminReplyCodec,
  adminRequestCodec,
  frameCodec,
} from '../wire/broker/messages.js'
import { exchangeFrame } from './exchange-frame.js'

export interface AdminAnswer {
  readonly body: string
  /** 0: well. */
  readonly exitCode: number
  readonly contentType: string
}

export interface AskOptions {
  /** JSON instead of lines, where the verb has both. */
  readonly json?: boolean
  /** Only this service, for the verbs that are about services. */
  readonly service?: string
  /** SHUTDOWN: how long its sender would wait, **ms**. */
  readonly drainDeadlineMs?: number
  /** The whole exchange, **ms**. Default 5_000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** @throws ERR_HANDOFF_BROKER_UNREACHABLE, ERR_HANDOFF_BROKER_PEER_PROTOCOL */
export async function askBroker(broker: string, verb: AdminVerbName, options: AskOptions = {}): Promise<AdminAnswer> {
  const { json = false, service = '', drainDeadlineMs = 0, timeoutMs = 5_000, signal } = options
  const request = adminRequestCodec.encode({
    verb: AdminVerb[verb],
    json,
    serviceName: service,
    drainDeadlineMs: BigInt(drainDeadlineMs),
  })
  const envelope = { kind: FrameKind.request, payloadProtocol: PayloadProtocol.admin }
  const fail = (reason: string, cause?: unknown) =>
    brokerError('ERR_HANDOFF_BROKER_UNREACHABLE', [broker, reason], cause)
  const body = await exchangeFrame(broker, envelopeBytes(envelope, request, { requestId: 1n }), fail, {
    timeoutMs,
    maxBytes: MAX_FRAME_BYTES,
    ...(signal === undefined ? {} : { signal }),
  })
  try {
    const answer = { kind: FrameKind.response, payloadProtocol: PayloadProtocol.admin }
    const { kind: _, ...rest } = openEnvelope(frameCodec.decode(body), answer, adminReplyCodec)
    return rest
  } catch (error) {
    if (!isHandoffError(error)) throw error
    throw brokerError('ERR_HANDOFF_BROKER_PEER_PROTOCOL', [broker, reasonOf(error)], error)
  }
}

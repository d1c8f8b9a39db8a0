/** The codecs of the messages, and the types of those that no machine needs to know. */
import type { Frame, HandoffAck, HandoffOffer, Hello, HelloReply } from '../../../machines/broker/protocol.js'
import { messageCodec } from './codec.js'

export const frameCodec = messageCodec<Frame>('Frame')
export const helloCodec = messageCodec<Hello>('Hello')
export const helloReplyCodec = messageCodec<HelloReply>('HelloReply')
export const offerCodec = messageCodec<HandoffOffer>('HandoffOffer')
export const ackCodec = messageCodec<HandoffAck>('HandoffAck')

export const AdminVerb = { status: 1, healthz: 4, readyz: 5, metrics: 9 } as const
export const AdminReplyKind = { text: 0, json: 1, openMetrics: 2 } as const

export interface AdminRequest {
  readonly verb: number
  readonly json: boolean
  readonly serviceName: string
  readonly outputPath: string
  readonly drainDeadlineMs: bigint
}
export interface AdminReply {
  readonly kind: number
  readonly body: string
  readonly exitCode: number
  readonly contentType: string
}
export const adminRequestCodec = messageCodec<AdminRequest>('AdminRequest')
export const adminReplyCodec = messageCodec<AdminReply>('AdminReply')

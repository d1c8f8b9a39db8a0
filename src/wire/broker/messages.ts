/** The codecs of the messages, and the types of those that no machine needs to know. */
import type { Frame, HandoffAck, HandoffOffer, Hello, HelloReply } from '../../../machines/broker/protocol.js'
import { messageCodec } from './codec.js'
import { plainAck, plainFirst, plainFrame, plainHello, plainHelloReply, plainOffer } from './plain-codec.js'

export const frameCodec = plainFirst(messageCodec<Frame>('Frame'), plainFrame)
export const helloCodec = plainFirst(messageCodec<Hello>('Hello'), plainHello)
export const helloReplyCodec = plainFirst(messageCodec<HelloReply>('HelloReply'), plainHelloReply)
export const offerCodec = plainFirst(messageCodec<HandoffOffer>('HandoffOffer'), plainOffer)
export const ackCodec = plainFirst(messageCodec<HandoffAck>('HandoffAck'), plainAck)

export const AdminVerb = {
  status: 1,
  dump: 2,
  listInstances: 3,
  healthz: 4,
  readyz: 5,
  backendHealth: 6,
  config: 7,
  diagnose: 8,
  metrics: 9,
  shutdown: 21,
} as const
export type AdminVerbName = keyof typeof AdminVerb
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

/** Who serves an endpoint, as the identity probe tells it. */
export interface DaemonProcess {
  readonly pid: number
  readonly exePath: string
  readonly exeSha256: Uint8Array
  readonly ipcEndpoint: { readonly namespaceId: string; readonly path: string }
  readonly startedAtUnixMs: bigint
  readonly bootId: string
  readonly idleTimeoutSecs?: number
  readonly exeHashAlgorithm: string
  readonly exeHash: Uint8Array
}
export const daemonProcessCodec = messageCodec<DaemonProcess>('DaemonProcess')

export const BrokerIsolation = { private: 0, shared: 1, explicitInstance: 2 } as const

/** A `.servicedef` file. */
export interface ServiceDefinition {
  readonly serviceName: string
  readonly binaryPath: string
  readonly isolation: number
  readonly explicitInstance: string
  readonly perVersionBinaryDir: string
  readonly minVersion: string
  readonly versionAllowList: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}
export const serviceDefinitionCodec = messageCodec<ServiceDefinition>('ServiceDefinition')

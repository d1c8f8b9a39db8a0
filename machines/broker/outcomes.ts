/** How a connection ended: closed sets, so that contexts stay finite and counters have a bounded number of labels. */

/** Where a broker stood with a client when something went wrong; `budget` is the clock over the whole handoff. */
export type Stage = 'hello' | 'reply' | 'screen' | 'dial' | 'transfer' | 'ack' | 'commit' | 'budget'

/** What went wrong. None of these is ever an error for the client (INV-24). */
export type Reason =
  | 'timeout'
  | 'hungUp'
  | 'breakerOpen'
  | 'tooMany'
  | 'surplus'
  | 'unreachable'
  | 'permissionDenied'
  | 'wrongPeer'
  | 'sendFailed'
  | 'rejected'
  | 'answeredWrongly'
  | 'backendLeft'
  | 'tokenGone'
  | 'stopped'
  | 'ioError'

export interface Failure {
  readonly stage: Stage
  readonly reason: Reason
}

/** Why a backend let go of a handoff. */
export type OfferFault =
  | 'timeout'
  | 'brokerLeft'
  | 'notOneDescriptor'
  | 'notAStreamSocket'
  | 'shortToken'
  | 'malformedOffer'
  | 'rejected'
  | 'withdrawn'
  | 'ackFailed'
  | 'stopped'

/** Why a backend answers "no", and the words the protocol has for it. */
export const REJECTIONS = {
  missing: () => 'handoff token is missing',
  length: (bytes: number) => `handoff token length was ${bytes} bytes; expected 16`,
  mismatch: () => 'handoff token mismatch',
  expired: () => 'handoff token expired',
  notPending: () => 'handoff token is not pending',
  refused: () => 'backend refused the connection',
} as const
export type Rejection = keyof typeof REJECTIONS

/** Which way a client's connection went. */
export type Route = 'handlePassed' | 'brokerNegotiated' | 'cachedEndpoint'

/** Why a client has no connection; the only errors a caller of the client ever sees. */
export type ClientFault =
  | 'brokerUnreachable'
  | 'brokerSilent'
  | 'brokerLeft'
  | 'brokerProtocol'
  | 'refused'
  | 'noBackendPipe'
  | 'backendUnreachable'
  | 'aborted'

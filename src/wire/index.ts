/** Public door `handoff-machines/wire`: bytes of handoff wire version 1 ⇄ typed messages. Does no I/O. */
export type { Journal, JournalPhase, Message, MessageType, Side } from '../../machines/handoff/protocol.js'
export { MAX_FRAME_LENGTH } from './frames.js'
export {
  type DecodedMessage,
  type DecodedPayload,
  decodeMessage,
  decodePayload,
  type EncodeOptions,
  encodeMessage,
  HandoffDecoder,
} from './handoff.js'
export { type HeartbeatTemplate, heartbeatTemplate } from './heartbeat.js'
export { decodeJournal, encodeJournal } from './journal.js'
export { PostcardFault, type PostcardFaultKind } from './postcard.js'
export { encodeReadyWithFingerprint, fingerprintBehindReady } from './ready.js'

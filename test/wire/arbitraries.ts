/** Any message that wire version 1 can carry. */
import fc from 'fast-check'
import { FINGERPRINT_BYTES, type Message } from '../../machines/handoff/protocol.js'

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
// Small and huge values alike: a uniform pick would almost never have fewer than nine groups.
const u64 = fc.tuple(fc.nat(64), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })).map(([bits, n]) => n >> BigInt(bits))
const handoffId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
  const hex = Buffer.from(bytes).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
})
const text = fc.string({ unit: 'binary', maxLength: 40 })
const revisions = fc.array(u64, { maxLength: 20 })
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength })
const message = <T extends Message['type']>(
  type: T,
  fields: { [K in keyof Omit<Extract<Message, { type: T }>, 'type'>]: fc.Arbitrary<Extract<Message, { type: T }>[K]> },
) => fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Message>

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  message('Hello', {
    role: fc.constantFrom('incumbent', 'successor'),
    pid: u32,
    buildId: bytes(0, 200),
    protoMin: u16,
    protoMax: u16,
    capabilities: u64,
  }),
  message('HelloAck', { protoVersionChosen: u16, handoffId }),
  message('PrepareHandoff', { handoffId, successorPid: u32, deadlineMs: u64, drainGraceMs: u64 }),
  message('Drained', { openConnsRemaining: u32, acceptClosed: fc.boolean() }),
  message('SealRequest', { handoffId }),
  message('SealProgress', { shardsSealed: u32, shardsTotal: u32, lastRevision: u64 }),
  message('SealComplete', {
    handoffId,
    lastRevisionPerShard: revisions,
    dataDirFingerprint: bytes(FINGERPRINT_BYTES, FINGERPRINT_BYTES),
  }),
  message('SealFailed', { handoffId, error: text, partialState: text }),
  message('Begin', { handoffId }),
  message('Ready', {
    handoffId,
    listeningOn: fc.array(text, { maxLength: 5 }),
    healthzOk: fc.boolean(),
    advertisedRevisionPerShard: revisions,
  }),
  message('Commit', { handoffId }),
  message('Abort', { handoffId, reason: text }),
  message('ResumeAfterAbort', { handoffId }),
  message('Heartbeat', { tsMs: u64 }),
)

/** Cuts `bytes` at the given places (any numbers; they are folded into range), in order, empty pieces included. */
export function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = at.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b)
  return [0, ...places].map((start, index) => bytes.subarray(start, places[index] ?? bytes.length))
}

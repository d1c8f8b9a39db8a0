/** What a peer of the model says out of turn, as bytes on the wire. */
import { type Message, PROTOCOL_VERSION_MAX, type Side } from '../../machines/handoff/protocol.js'
import { ownHello } from '../../src/channel/identity.js'
import { encodeMessage } from '../../src/wire/handoff.js'

export const NO_ID = '00000000-0000-4000-8000-000000000000'
const OTHER_VERSION = PROTOCOL_VERSION_MAX + 8

export interface Speech {
  readonly handoffId: string
  /** Of the primitive that takes part in this conversation. */
  readonly role: Side
  readonly pid: number
  readonly bySupervisor: boolean
}

/** @throws Error for a word that the model's alphabet does not have */
export function wordOf(name: string, { handoffId, role, pid, bySupervisor }: Speech): Uint8Array {
  const hello = { ...ownHello(role, ''), pid }
  const sealed = { lastRevisionPerShard: [5n], dataDirFingerprint: new Uint8Array(32) }
  const words: Readonly<Record<string, Message>> = {
    Hello: hello,
    'Hello.otherPid': { ...hello, pid: 1 },
    'Hello.otherVersion': { ...hello, protoMin: OTHER_VERSION, protoMax: OTHER_VERSION },
    HelloAck: { type: 'HelloAck', protoVersionChosen: PROTOCOL_VERSION_MAX, handoffId },
    'HelloAck.otherVersion': { type: 'HelloAck', protoVersionChosen: OTHER_VERSION, handoffId },
    PrepareHandoff: { type: 'PrepareHandoff', handoffId, successorPid: 1, deadlineMs: 60_000n, drainGraceMs: 25_000n },
    Drained: { type: 'Drained', openConnsRemaining: 0, acceptClosed: true },
    'Drained.stillAccepting': { type: 'Drained', openConnsRemaining: 0, acceptClosed: false },
    SealRequest: { type: 'SealRequest', handoffId },
    SealComplete: { type: 'SealComplete', handoffId, ...sealed },
    SealFailed: { type: 'SealFailed', handoffId, error: 'said out of turn', partialState: '' },
    Begin: { type: 'Begin', handoffId },
    Ready: { type: 'Ready', handoffId, listeningOn: [], healthzOk: true, advertisedRevisionPerShard: [5n] },
    Commit: { type: 'Commit', handoffId },
    Abort: { type: 'Abort', handoffId, reason: 'said out of turn' },
    ResumeAfterAbort: { type: 'ResumeAfterAbort', handoffId },
    Heartbeat: { type: 'Heartbeat', tsMs: BigInt(Date.now()) },
    // Well-formed, and never for this ear.
    foreign: bySupervisor
      ? { type: 'Drained', openConnsRemaining: 0, acceptClosed: true }
      : { type: 'SealRequest', handoffId },
  }
  if (name === 'garbage') return new Uint8Array(64).fill(0xff)
  const word = words[name]
  if (word === undefined) throw new Error(`nobody says ${name}`)
  return encodeMessage(word)
}

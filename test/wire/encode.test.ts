import { describe, expect, test } from 'vitest'
import type { Hello, Journal, Message, Ready } from '../../machines/handoff/protocol.js'
import { decodeMessage, encodeMessage, HandoffDecoder } from '../../src/wire/handoff.js'
import { heartbeatTemplate } from '../../src/wire/heartbeat.js'
import { decodeJournal, encodeJournal } from '../../src/wire/journal.js'
import { encodeReadyWithFingerprint, fingerprintBehindReady } from '../../src/wire/ready.js'

const handoffId = '00112233-4455-4677-8899-aabbccddeeff'
const hello: Hello = {
  type: 'Hello',
  role: 'incumbent',
  pid: 1,
  buildId: new Uint8Array(0),
  protoMin: 1,
  protoMax: 1,
  capabilities: 0n,
}
const ready: Ready = {
  type: 'Ready',
  handoffId,
  listeningOn: ['http'],
  healthzOk: true,
  advertisedRevisionPerShard: [42n],
}
const sealed = { type: 'SealComplete', handoffId, lastRevisionPerShard: [], dataDirFingerprint: new Uint8Array(32) }
const usage = (fragment: string) =>
  expect.objectContaining({ code: 'ERR_HANDOFF_USAGE_WIRE_FIELD', message: expect.stringContaining(fragment) })

describe('a value outside the type of its field is refused by name', () => {
  test.each<[string, object]>([
    ['Hello.pid', { ...hello, pid: 2 ** 32 }],
    ['Hello.pid', { ...hello, pid: -1 }],
    ['Hello.pid', { ...hello, pid: 1.5 }],
    ['Hello.pid', { ...hello, pid: Number.NaN }],
    ['Hello.protoMax', { ...hello, protoMax: 65_536 }],
    ['Hello.capabilities', { ...hello, capabilities: 2n ** 64n }],
    ['Hello.capabilities', { ...hello, capabilities: -1n }],
    ['Hello.capabilities', { ...hello, capabilities: 0 }],
    ['Hello.role', { ...hello, role: 'Incumbent' }],
    ['Hello.buildId', { ...hello, buildId: 'abc' }],
    ['SealComplete.dataDirFingerprint', { ...sealed, dataDirFingerprint: new Uint8Array(31) }],
    ['SealComplete.lastRevisionPerShard', { ...sealed, lastRevisionPerShard: 1n }],
    ['SealComplete.lastRevisionPerShard[1]', { ...sealed, lastRevisionPerShard: [1n, 2] }],
    ['Ready.healthzOk', { ...ready, healthzOk: 1 }],
    ['Ready.listeningOn[0]', { ...ready, listeningOn: [80] }],
    ['Begin.handoffId', { type: 'Begin', handoffId: handoffId.toUpperCase() }],
    ['Begin.handoffId', { type: 'Begin', handoffId: handoffId.replaceAll('-', '') }],
    ['Begin.handoffId', { type: 'Begin' }],
  ])('%s', (name, message) => {
    expect(() => encodeMessage(message as Message)).toThrow(usage(`${name} is `))
  })

  test('the frame version', () => {
    expect(() => encodeMessage(hello, { protoVersion: 65_536 })).toThrow(usage('protoVersion is'))
  })

  test('a journal', () => {
    const journal: Journal = {
      handoffId,
      phase: 'sealing',
      incumbentPid: 1,
      successorPid: null,
      startedAtUnixMs: 0n,
    }
    expect(decodeJournal(encodeJournal(journal))).toEqual(journal)
    expect(() => encodeJournal({ ...journal, successorPid: 2 ** 32 })).toThrow(usage('Journal.successorPid is'))
    expect(() => encodeJournal({ ...journal, phase: 'Sealing' as never })).toThrow(usage('Journal.phase is'))
  })
})

test.each(['Goodbye', 'toString', undefined])('there is no message %s', (type) => {
  expect(() => encodeMessage({ type } as unknown as Message)).toThrow(
    expect.objectContaining({ code: 'ERR_HANDOFF_USAGE_WIRE_MESSAGE_TYPE' }),
  )
})

describe('the fingerprint behind Ready', () => {
  const fingerprint = Uint8Array.from({ length: 32 }, (_, index) => index)

  test('is trailing: the same frame as without it, 32 bytes longer', () => {
    const frame = encodeReadyWithFingerprint(ready, fingerprint)
    const decoded = decodeMessage(frame)
    expect(decoded.message).toEqual(ready)
    expect(fingerprintBehindReady(decoded)).toEqual(fingerprint)
    const bare = encodeMessage(ready)
    expect(frame.subarray(4, bare.length)).toEqual(bare.subarray(4))
    expect(frame.length).toBe(bare.length + 32)
  })

  test('is absent from a reference Ready, from other lengths, and behind other messages', () => {
    expect(fingerprintBehindReady(decodeMessage(encodeMessage(ready)))).toBeNull()
    const odd = encodeMessage(ready, { trailing: new Uint8Array(33) })
    expect(fingerprintBehindReady(decodeMessage(odd))).toBeNull()
    const begin = encodeMessage({ type: 'Begin', handoffId }, { trailing: fingerprint })
    expect(fingerprintBehindReady(decodeMessage(begin))).toBeNull()
  })

  test('has 32 bytes', () => {
    expect(() => encodeReadyWithFingerprint(ready, new Uint8Array(31))).toThrow(usage('fingerprint is 31 bytes'))
  })
})

describe('the heartbeat template', () => {
  // What the native thread does, in its own words: seven bits a byte, lowest first, top bit on all but the last.
  const patched = (tsMs: number) => {
    const { frame, tsOffset, tsBytes } = heartbeatTemplate()
    let rest = tsMs
    for (let index = 0; index < tsBytes; index += 1) {
      frame[tsOffset + index] = (rest % 128) + (index < tsBytes - 1 ? 128 : 0)
      rest = Math.floor(rest / 128)
    }
    return frame
  }

  test.each([2 ** 35, 1_700_000_000_000, Date.UTC(2100, 0), 2 ** 42 - 1])(
    'patched with %i it is that frame',
    (tsMs) => {
      const message = { type: 'Heartbeat', tsMs: BigInt(tsMs) } as const
      expect(patched(tsMs)).toEqual(encodeMessage(message))
      expect([...new HandoffDecoder().push(patched(tsMs))].map((decoded) => decoded.message)).toEqual([message])
    },
  )

  test('is a legal frame before it is patched, and each call gives its own copy', () => {
    expect(decodeMessage(heartbeatTemplate().frame).message.type).toBe('Heartbeat')
    heartbeatTemplate().frame.fill(0)
    expect(decodeMessage(heartbeatTemplate(3).frame).version).toBe(3)
  })
})

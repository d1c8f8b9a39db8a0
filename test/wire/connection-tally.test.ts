import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { SealComplete } from '../../machines/handoff/protocol.js'
import { type ConnectionTally, encodeTally, tallyBehindSealComplete } from '../../src/wire/connection-tally.js'
import { decodeMessage, encodeMessage } from '../../src/wire/handoff.js'

const SEALED: SealComplete = {
  type: 'SealComplete',
  handoffId: '6b1f4a7e-0a3c-4f0e-9d57-2f3c1b0a9e88',
  lastRevisionPerShard: [7n],
  dataDirFingerprint: new Uint8Array(32),
}

const behind = (trailing: Uint8Array) => tallyBehindSealComplete(decodeMessage(encodeMessage(SEALED, { trailing })))
const json = (value: unknown) => behind(Buffer.from(JSON.stringify(value)))

test('what became of connections comes back as it was told, behind a SealComplete that reads as before', () => {
  const tallies = fc.record({
    moved: fc.nat(),
    staying: fc.dictionary(fc.stringMatching(/^[A-Za-z]{1,32}$/), fc.nat(), { maxKeys: 20, noNullPrototype: true }),
  })
  fc.assert(
    fc.property(tallies, (tally: ConnectionTally) => {
      const frame = encodeMessage(SEALED, { trailing: encodeTally(tally) })
      expect(decodeMessage(frame).message).toEqual(SEALED)
      expect(tallyBehindSealComplete(decodeMessage(frame))).toEqual(tally)
    }),
  )
})

test('a SealComplete of version 1 tells nothing', () => {
  expect(behind(new Uint8Array())).toBeNull()
})

test('a tally behind another message is not read', () => {
  const frame = encodeMessage(
    { type: 'Drained', openConnsRemaining: 1, acceptClosed: true },
    { trailing: encodeTally({ moved: 1, staying: {} }) },
  )
  expect(tallyBehindSealComplete(decodeMessage(frame))).toBeNull()
})

test.each<[string, unknown]>([
  ['a count below zero', { moved: -1, staying: {} }],
  ['a fraction', { moved: 0.5, staying: {} }],
  ['no reasons', { moved: 1 }],
  ['a reason that is no word', { moved: 1, staying: { '\u001b[31m': 1 } }],
  [
    'too many reasons',
    { moved: 1, staying: Object.fromEntries([...'abcdefghijklmnopqrstuvwxyzABCDEFG'].map((c) => [c, 1])) },
  ],
  ['no object', 3],
  ['null', null],
  ['more than is read', { moved: 1, staying: {}, more: 'x'.repeat(3_000) }],
])('%s is no tally, and no error', (_, value) => {
  expect(json(value)).toBeNull()
})

test('any bytes are a tally or nothing, never an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), (bytes) => {
      expect(behind(bytes) === null || behind(bytes)?.moved !== undefined).toBe(true)
    }),
  )
})

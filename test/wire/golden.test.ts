import { describe, expect, test } from 'vitest'
import { isHandoffError } from '../../src/errors/handoff-error.js'
import { MAX_FRAME_LENGTH } from '../../src/wire/frames.js'
import { decodeMessage, encodeMessage, HandoffDecoder } from '../../src/wire/handoff.js'
import { decodeJournal, encodeJournal } from '../../src/wire/journal.js'
import { PostcardFault } from '../../src/wire/postcard.js'
import {
  CODE_OF_VERDICT,
  fromHex,
  golden,
  KIND_OF_DETAIL,
  toHex,
  toJournal,
  toMessage,
  verdictClass,
} from './golden.js'

test('the frame cap is the reference cap', () => {
  expect(MAX_FRAME_LENGTH).toBe(golden.max_frame_bytes)
})

describe('messages, byte for byte both ways', () => {
  test.each(golden.messages)('$name', ({ frame_hex, message, proto_version }) => {
    const bytes = fromHex(frame_hex)
    const decoded = decodeMessage(bytes)
    expect(decoded).toEqual({
      message: toMessage(message),
      trailing: new Uint8Array(0),
      version: proto_version,
      frameBytes: bytes.length,
    })
    expect(toHex(encodeMessage(toMessage(message), { protoVersion: proto_version }))).toBe(frame_hex)
  })
})

test('the verdict classes map one to one onto codes', () => {
  const codes = Object.values(CODE_OF_VERDICT)
  expect(new Set(codes).size).toBe(codes.length)
  const seen = golden.malformed.flatMap(({ result }) => (result.error ? [verdictClass(result.error)] : []))
  expect(seen.filter((verdict) => !(verdict in CODE_OF_VERDICT))).toEqual([])
})

describe('malformed frames get the verdict of the reference', () => {
  const refused = golden.malformed.filter(({ result }) => !result.ok)
  const accepted = golden.malformed.filter(({ result }) => result.ok)

  test.each(refused)('$name', ({ frame_hex, result }) => {
    const bytes = fromHex(frame_hex)
    const error = thrownBy(() => decodeMessage(bytes))
    expect(isHandoffError(error, CODE_OF_VERDICT[verdictClass(result.error as never)])).toBe(true)

    const decoder = new HandoffDecoder()
    // On a stream an EOF between two frames is an orderly close; every other vector fails here too.
    if (bytes.length > 0) expect(thrownBy(() => drain(decoder, bytes))).toMatchObject({ code: codeOf(error) })
    expect(decoder.consumed).toBe(result.consumed)
  })

  test.each(accepted)('$name is accepted', ({ frame_hex, result }) => {
    const bytes = fromHex(frame_hex)
    const { message, trailing, version, frameBytes } = decodeMessage(bytes)
    expect(message).toEqual(toMessage(result.message as never))
    expect({ version, consumed: frameBytes }).toEqual({ version: result.proto_version, consumed: result.consumed })
    const again = encodeMessage(message, { protoVersion: version })
    expect(toHex(again)).toBe(result.reencoded_hex)
    expect(toHex(again) === frame_hex).toBe(result.reencodes_identically)
    // Trailing bytes are kept: with them the frame is what came in, unless a varint was overlong.
    const kept = encodeMessage(message, { protoVersion: version, trailing })
    if (trailing.length > 0) expect(toHex(kept)).toBe(frame_hex)
  })
})

describe('journals', () => {
  test.each(golden.journals)('$name', ({ hex, journal }) => {
    expect(decodeJournal(fromHex(hex))).toEqual(toJournal(journal))
    expect(toHex(encodeJournal(toJournal(journal)))).toBe(hex)
  })

  test.each(golden.journal_malformed.filter(({ ok }) => !ok))('$name is refused', ({ hex, error }) => {
    const thrown = thrownBy(() => decodeJournal(fromHex(hex))) as Error
    expect(isHandoffError(thrown, 'ERR_HANDOFF_STATE_JOURNAL_MALFORMED')).toBe(true)
    expect(thrown.cause).toBeInstanceOf(PostcardFault)
    expect((thrown.cause as PostcardFault).kind).toBe(KIND_OF_DETAIL[error?.detail as string])
  })

  test.each(golden.journal_malformed.filter(({ ok }) => ok))('$name is accepted', ({ hex, journal }) => {
    expect(decodeJournal(fromHex(hex))).toEqual(toJournal(journal as never))
  })
})

function drain(decoder: HandoffDecoder, bytes: Uint8Array): void {
  for (const _ of decoder.push(bytes));
  decoder.end()
}

function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

const codeOf = (error: unknown) => (error as { code: string }).code

/** The vectors that the reference implementation produced, in our own types. */
import { readFileSync } from 'node:fs'
import type { Journal, JournalPhase, Message } from '../../machines/handoff/protocol.js'

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
type JsonObject = { readonly [key: string]: Json }

export interface Verdict {
  readonly ok: boolean
  readonly consumed: number
  readonly message?: JsonObject
  readonly proto_version?: number
  readonly reencoded_hex?: string
  readonly reencodes_identically?: boolean
  readonly error?: { readonly variant: string; readonly detail: string }
}
interface Golden {
  readonly max_frame_bytes: number
  readonly messages: readonly { name: string; frame_hex: string; proto_version: number; message: JsonObject }[]
  readonly malformed: readonly { name: string; frame_hex: string; result: Verdict }[]
  readonly journals: readonly { name: string; hex: string; journal: JsonObject }[]
  readonly journal_malformed: readonly {
    name: string
    hex: string
    ok: boolean
    journal?: JsonObject
    error?: { readonly detail: string }
  }[]
}

export const golden = JSON.parse(
  readFileSync(new URL('../golden/handoff-wire-v1.json', import.meta.url), 'utf8'),
) as Golden

export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const U64 = new Set(['deadline_ms', 'drain_grace_ms', 'last_revision', 'ts_ms', 'started_at_unix_ms'])
const U64_VECTORS = new Set(['last_revision_per_shard', 'advertised_revision_per_shard'])
const BYTES = new Set(['build_id', 'data_dir_fingerprint'])
const camel = (key: string) => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

function value(key: string, json: Json): unknown {
  if (U64.has(key)) return BigInt(json as string)
  if (U64_VECTORS.has(key)) return (json as readonly string[]).map(BigInt)
  if (BYTES.has(key)) return fromHex(json as string)
  if (key === 'capabilities') return BigInt((json as { reserved: string }).reserved)
  if (key === 'role') return (json as string).toLowerCase()
  return json
}
const convert = (json: JsonObject) =>
  Object.fromEntries(Object.entries(json).map(([key, field]) => [camel(key), value(key, field)]))

export const toMessage = (json: JsonObject) => convert(json) as unknown as Message
export const toJournal = (json: JsonObject): Journal => {
  const journal = convert(json) as unknown as Journal
  const [first, ...rest] = journal.phase
  return { ...journal, phase: `${first?.toLowerCase()}${rest.join('')}` as JournalPhase }
}

/** The reference decoder's verdict ⇒ our code. One to one: no two classes share a code. */
export const CODE_OF_VERDICT: { readonly [verdict: string]: string } = {
  'Io/UnexpectedEof': 'ERR_HANDOFF_PEER_STREAM_TRUNCATED',
  FrameMalformed: 'ERR_HANDOFF_PEER_FRAME_MALFORMED',
  FrameTooLarge: 'ERR_HANDOFF_PEER_FRAME_TOO_LARGE',
  'Codec/DeserializeUnexpectedEnd': 'ERR_HANDOFF_PEER_PAYLOAD_TRUNCATED',
  'Codec/DeserializeBadVarint': 'ERR_HANDOFF_PEER_PAYLOAD_VARINT',
  'Codec/DeserializeBadBool': 'ERR_HANDOFF_PEER_PAYLOAD_BOOL',
  'Codec/DeserializeBadOption': 'ERR_HANDOFF_PEER_PAYLOAD_OPTION',
  'Codec/DeserializeBadUtf8': 'ERR_HANDOFF_PEER_PAYLOAD_UTF8',
  'Codec/SerdeDeCustom': 'ERR_HANDOFF_PEER_PAYLOAD_VALUE',
}
// The detail of the two framing verdicts is the declared length, not a class.
export const verdictClass = ({ variant, detail }: { variant: string; detail: string }) =>
  variant.startsWith('Frame') ? variant : `${variant}/${detail}`

/** The class of a postcard fault in a journal, which has one HandoffError code for all of them. */
export const KIND_OF_DETAIL: { readonly [detail: string]: string } = {
  DeserializeUnexpectedEnd: 'truncated',
  DeserializeBadOption: 'option',
  SerdeDeCustom: 'value',
}

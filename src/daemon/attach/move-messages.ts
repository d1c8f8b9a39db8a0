/**
 * What incumbent and successor say while connections move: JSON lines on a connection to the rendezvous socket, after the
 * request `{"v":1,"want":"connections","room":N}`; descriptors travel along with the line that names them.
 */
import { attachError } from '../../errors/attach.js'
import type { BytesAndFds, FdSocket, WaitOptions } from '../../os/fd-socket.js'

/** The largest line is the cut, about 15 bytes a connection: room for half a million. */
const MAX_LINE_BYTES = 8 * 1024 * 1024

/** Incumbent to successor; every line is answered. `listener` names a server that both have attached. */
export type FromIncumbent =
  /** Copies, one descriptor each. */
  | { readonly v: 1; readonly listener: string; readonly connections: readonly number[] }
  /** Closed at the incumbent: the successor's copies keep the client from seeing it. */
  | { readonly v: 1; readonly listener: string; readonly gone: readonly number[] }
  /** Of a TLS server: with them the successor resumes sessions that were begun at the incumbent. Never on disk. */
  | { readonly v: 1; readonly listener: string; readonly ticketKeys: string }
  /** All there was has been offered, the incumbent still serves. */
  | { readonly v: 1; readonly copied: true }
  /** For some of the next cut: what their protocols must know to go on, as pairs of id and JSON text. */
  | { readonly v: 1; readonly listener: string; readonly states: readonly (readonly [id: number, state: string])[] }
  /** The incumbent reads these no more; `used` are those of them that were answered on. */
  | { readonly v: 1; readonly listener: string; readonly cut: readonly number[]; readonly used: readonly number[] }
  /** The cut is whole: from here on lines are not answered. */
  | { readonly v: 1; readonly end: true }
  /** Said before the incumbent reads again, or keeps them after all: nothing of the cut is the successor's (INV-15). */
  | { readonly v: 1; readonly takenBack: true }

export type ToIncumbent =
  /** To copies. `staged`: the ids that are held now; `room`: how many more descriptors may come. */
  | { readonly received: number; readonly staged: readonly number[]; readonly room: number }
  /** To `end`: how many will be read at go-live. */
  | { readonly ready: number }
  /** Said before the first byte is read: an incumbent that serves again must not read on behind us (INV-15). */
  | { readonly reading: true }
  | { readonly ok: true }

export type Fields = Readonly<Record<string, unknown>>

const encode = (message: FromIncumbent | ToIncumbent): Uint8Array => Buffer.from(`${JSON.stringify(message)}\n`)

/** Without waiting. False: it could not be said; a peer that is gone need not hear it. */
export function sayNow(channel: FdSocket, message: FromIncumbent | ToIncumbent): boolean {
  try {
    return channel.sendNow(encode(message))
  } catch {
    return true
  }
}

/** What was said until now, without waiting. */
export function heardNow(channel: FdSocket): { readonly said: readonly Fields[]; readonly ended: boolean } {
  const { lines, ended } = channel.linesNow(MAX_LINE_BYTES)
  return { said: lines.map((line) => parse(Buffer.from(line).toString('utf8'))), ended }
}

export async function say(
  channel: FdSocket,
  message: FromIncumbent | ToIncumbent,
  options: WaitOptions,
  fds: readonly number[] = [],
): Promise<void> {
  await channel.sendWithFds(encode(message), fds, options)
}

/** The next line; its descriptors are the caller's. @throws ERR_HANDOFF_ATTACH_PEER_MOVE; what the channel throws */
export async function hear(
  channel: FdSocket,
  options: WaitOptions,
): Promise<{ fields: Fields; fds: BytesAndFds['fds'] }> {
  const line = await channel.readLine(MAX_LINE_BYTES, options)
  if (line === null) throw broken('the other side closed the channel')
  return { fields: parse(Buffer.from(line.bytes).toString('utf8')), fds: line.fds }
}

export const broken = (what: string, cause?: unknown) => attachError('ERR_HANDOFF_ATTACH_PEER_MOVE', [what], cause)

/** @throws ERR_HANDOFF_ATTACH_PEER_MOVE unless it is a list of ids */
export function idsIn(fields: Fields, key: string): number[] {
  const value = fields[key]
  if (Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id > 0)) return value as number[]
  throw broken(`"${key}" is no list of connections`)
}

/** @throws ERR_HANDOFF_ATTACH_PEER_MOVE unless it is a list of pairs of id and text */
export function statesIn(fields: Fields): (readonly [number, string])[] {
  const isPair = (pair: unknown) =>
    Array.isArray(pair) && pair.length === 2 && Number.isSafeInteger(pair[0]) && typeof pair[1] === 'string'
  if (Array.isArray(fields.states) && fields.states.every(isPair)) return fields.states as (readonly [number, string])[]
  throw broken('"states" is no list of pairs')
}

/** @throws ERR_HANDOFF_ATTACH_PEER_MOVE unless it is a whole number, 0 or more */
export function countIn(fields: Fields, key: string): number {
  const value = fields[key]
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw broken(`"${key}" is no count`)
}

/** What cannot be read has no fields, and is refused by whoever looks for one. */
function parse(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Fields) : {}
  } catch {
    return {}
  }
}

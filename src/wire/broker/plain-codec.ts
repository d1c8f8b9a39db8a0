/**
 * The five messages of the path as nearly all of them look: fields in order, ASCII texts, small numbers. Written out, because
 * reflection costs more than a system call and each handoff encodes and decodes ten messages.
 *
 * Whatever looks otherwise in the least is left to the codec of the schema, which alone knows what is an error: null says so. A property
 * holds the two against each other, byte for byte.
 */
import type {
  Frame,
  HandoffAck,
  HandoffOffer,
  Hello,
  HelloReply,
  Negotiated,
} from '../../../machines/broker/protocol.js'
import type { Codec } from './codec.js'

/** Tries the plain way first, in both directions. */
export function plainFirst<T>(codec: Codec<T>, plain: PlainCodec<T>): Codec<T> {
  return {
    encode: (message) => plain.encode(message) ?? codec.encode(message),
    decode: (bytes) => plain.decode(bytes) ?? codec.decode(bytes),
  }
}

export interface PlainCodec<T> {
  encode(message: Partial<T>): Uint8Array | null
  decode(bytes: Uint8Array): T | null
}

// ---- writing: one room, filled and copied out within a call ----

const room = Buffer.allocUnsafeSlow(4 * 1024)
/** Rest of a message behind its last text or bytes field: 16 numbers of 5 bytes fit, **bytes**. */
const MARGIN = 96
/** Longest text or bytes field whose length is written by one or two bytes here, **bytes**. */
const MOST = 1_024
const MOST_NUMBER = 0xfff_ffff

let at = 0
let plain = true

function begin(): void {
  at = 0
  plain = true
}

function finish(): Uint8Array | null {
  return plain ? Buffer.from(room.subarray(0, at)) : null
}

function putVarint(value: number): void {
  let rest = value
  while (rest > 0x7f) {
    room[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  room[at++] = rest
}

function putNumber(tag: number, value: number | undefined): void {
  if (value === undefined || value === 0) return
  // Fractions, negative and large numbers.
  if ((value & MOST_NUMBER) !== value) plain = false
  else {
    room[at++] = tag
    putVarint(value)
  }
}

function putBig(tag: number, value: bigint | undefined): void {
  if (value === undefined || value === 0n) return
  if (value < 0n || value > 0xfff_ffffn) plain = false
  else putNumber(tag, Number(value))
}

function putBytes(tag: number, value: Uint8Array | undefined): void {
  if (value === undefined || value.length === 0) return
  if (!startPiece(tag, value.length)) return
  room.set(value, at)
  at += value.length
}

function putText(tag: number, value: string | undefined): void {
  if (value === undefined || value === '') return
  if (!startPiece(tag, value.length)) return
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index)
    if (code > 0x7f) plain = false
    room[at++] = code
  }
}

function startPiece(tag: number, length: number): boolean {
  if (length > MOST || at + length + MARGIN > room.length) plain = false
  if (!plain) return false
  room[at++] = tag
  putVarint(length)
  return true
}

// ---- reading: one message at a time, its fields in ascending order, each once ----

let source: Buffer = room
let end = 0
let last = 0

function open(bytes: Uint8Array): boolean {
  plain = bytes instanceof Buffer
  if (!plain) return false
  source = bytes as Buffer
  at = 0
  end = bytes.length
  last = 0
  return true
}

/** The next tag, 0 at the end or when it is not plain any more. */
function nextTag(): number {
  if (at >= end) return 0
  const tag = source[at++] as number
  // Also tags of two bytes, and field number 0.
  if (tag <= last || tag < 8 || tag > 0x7f) plain = false
  last = tag
  return plain ? tag : 0
}

/** Four bytes at most: 28 bits. */
function getNumber(): number {
  let value = 0
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) break
    const byte = source[at++] as number
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return value
  }
  plain = false
  return 0
}

const none = (): Uint8Array => new Uint8Array(0)

const getBig = (): bigint => BigInt(getNumber())

function getBytes(): Uint8Array {
  const length = getNumber()
  if (length > end - at) plain = false
  if (length === 0 || !plain) return none()
  at += length
  return source.subarray(at - length, at)
}

function getText(): string {
  const length = getNumber()
  if (length > end - at) {
    plain = false
    return ''
  }
  const from = at
  at += length
  for (let index = from; index < at; index++) if ((source[index] as number) > 0x7f) plain = false
  return plain ? source.toString('latin1', from, at) : ''
}

export const plainFrame: PlainCodec<Frame> = {
  encode(frame) {
    begin()
    putNumber(0x08, frame.envelopeVersion)
    putNumber(0x10, frame.kind)
    putNumber(0x18, frame.payloadProtocol)
    putBytes(0x22, frame.payload)
    putBig(0x28, frame.requestId)
    putNumber(0x30, frame.payloadEncoding)
    putBig(0x38, frame.deadlineUnixMs)
    putText(0x42, frame.traceparent)
    putText(0x4a, frame.tracestate)
    return finish()
  },
  decode(bytes) {
    if (!open(bytes)) return null
    let envelopeVersion = 0
    let kind = 0
    let payloadProtocol = 0
    let payload: Uint8Array | null = null
    let requestId = 0n
    for (let tag = nextTag(); tag !== 0; tag = nextTag()) {
      if (tag === 0x08) envelopeVersion = getNumber()
      else if (tag === 0x10) kind = getNumber()
      else if (tag === 0x18) payloadProtocol = getNumber()
      else if (tag === 0x22) payload = getBytes()
      else if (tag === 0x28) requestId = getBig()
      else return null
    }
    if (!plain) return null
    const rest = { payloadEncoding: 0, deadlineUnixMs: 0n, traceparent: '', tracestate: '' }
    return { envelopeVersion, kind, payloadProtocol, payload: payload ?? none(), requestId, ...rest }
  },
}

export const plainHello: PlainCodec<Hello> = {
  encode(hello) {
    begin()
    putNumber(0x08, hello.clientMinProtocol)
    putNumber(0x10, hello.clientMaxProtocol)
    putText(0x1a, hello.serviceName)
    putText(0x22, hello.wantedVersion)
    putText(0x2a, hello.clientVersion)
    putBig(0x30, hello.clientCapabilities)
    putBytes(0x3a, hello.authToken)
    putText(0x42, hello.requestId)
    putBig(0x48, hello.connectionId)
    putNumber(0x50, hello.peerPid)
    putText(0x5a, hello.clientLibName)
    putText(0x62, hello.clientLibVersion)
    putBytes(0x6a, hello.peerAttestationNonce)
    putBytes(0x72, hello.capabilityToken)
    putBig(0x78, hello.clientKeepaliveSecs)
    return finish()
  },
  decode(bytes) {
    if (!open(bytes)) return null
    let clientMinProtocol = 0
    let clientMaxProtocol = 0
    let serviceName = ''
    let wantedVersion = ''
    let clientVersion = ''
    let clientCapabilities = 0n
    let requestId = ''
    let peerPid = 0
    let clientLibName = ''
    let clientLibVersion = ''
    let clientKeepaliveSecs = 0n
    for (let tag = nextTag(); tag !== 0; tag = nextTag()) {
      if (tag === 0x08) clientMinProtocol = getNumber()
      else if (tag === 0x10) clientMaxProtocol = getNumber()
      else if (tag === 0x1a) serviceName = getText()
      else if (tag === 0x22) wantedVersion = getText()
      else if (tag === 0x2a) clientVersion = getText()
      else if (tag === 0x30) clientCapabilities = getBig()
      else if (tag === 0x42) requestId = getText()
      else if (tag === 0x50) peerPid = getNumber()
      else if (tag === 0x5a) clientLibName = getText()
      else if (tag === 0x62) clientLibVersion = getText()
      else if (tag === 0x78) clientKeepaliveSecs = getBig()
      else return null
    }
    if (!plain) return null
    return {
      clientMinProtocol,
      clientMaxProtocol,
      serviceName,
      wantedVersion,
      clientVersion,
      clientCapabilities,
      authToken: none(),
      requestId,
      connectionId: 0n,
      peerPid,
      clientLibName,
      clientLibVersion,
      peerAttestationNonce: none(),
      capabilityToken: none(),
      clientKeepaliveSecs,
    }
  },
}

const NEGOTIATED_TAG = 0x0a

function putNegotiated(negotiated: Negotiated): void {
  if (negotiated.warnings.length > 0) plain = false
  putNumber(0x08, negotiated.negotiatedProtocol)
  putText(0x12, negotiated.daemonVersion)
  putText(0x1a, negotiated.backendPipe)
  putBig(0x28, negotiated.serverCapabilities)
  putBig(0x30, negotiated.keepaliveIntervalSecs)
  putBytes(0x3a, negotiated.handlePassedToken)
  putBig(0x40, negotiated.connectionId)
}

function getNegotiated(): Negotiated | null {
  let negotiatedProtocol = 0
  let daemonVersion = ''
  let backendPipe = ''
  let serverCapabilities = 0n
  let keepaliveIntervalSecs = 0n
  let handlePassedToken: Uint8Array | null = null
  let connectionId = 0n
  for (let tag = nextTag(); tag !== 0; tag = nextTag()) {
    if (tag === 0x08) negotiatedProtocol = getNumber()
    else if (tag === 0x12) daemonVersion = getText()
    else if (tag === 0x1a) backendPipe = getText()
    else if (tag === 0x28) serverCapabilities = getBig()
    else if (tag === 0x30) keepaliveIntervalSecs = getBig()
    else if (tag === 0x3a) handlePassedToken = getBytes()
    else if (tag === 0x40) connectionId = getBig()
    else return null
  }
  if (!plain) return null
  return {
    negotiatedProtocol,
    daemonVersion,
    backendPipe,
    warnings: [],
    serverCapabilities,
    keepaliveIntervalSecs,
    handlePassedToken: handlePassedToken ?? none(),
    connectionId,
  }
}

/** A refusal ends an exchange and is none of the path. */
export const plainHelloReply: PlainCodec<HelloReply> = {
  encode({ negotiated, refused }) {
    if (negotiated === undefined || refused !== undefined) return null
    begin()
    putNegotiated(negotiated)
    if (!plain) return null
    const length = at
    const header = length > 0x7f ? 3 : 2
    room.copyWithin(header, 0, length)
    at = 0
    room[at++] = NEGOTIATED_TAG
    putVarint(length)
    at += length
    return finish()
  },
  decode(bytes) {
    if (!open(bytes) || nextTag() !== NEGOTIATED_TAG) return null
    const length = getNumber()
    if (!plain || at + length !== end) return null
    last = 0
    const negotiated = getNegotiated()
    return negotiated === null ? null : { negotiated }
  },
}

export const plainOffer: PlainCodec<HandoffOffer> = {
  encode(offer) {
    begin()
    putBig(0x08, offer.handleValue)
    putBytes(0x12, offer.token)
    putText(0x1a, offer.serviceName)
    putBig(0x20, offer.correlationId)
    return finish()
  },
  decode(bytes) {
    if (!open(bytes)) return null
    let handleValue = 0n
    let token: Uint8Array | null = null
    let serviceName = ''
    let correlationId = 0n
    for (let tag = nextTag(); tag !== 0; tag = nextTag()) {
      if (tag === 0x08) handleValue = getBig()
      else if (tag === 0x12) token = getBytes()
      else if (tag === 0x1a) serviceName = getText()
      else if (tag === 0x20) correlationId = getBig()
      else return null
    }
    return plain ? { handleValue, token: token ?? none(), serviceName, correlationId } : null
  },
}

export const plainAck: PlainCodec<HandoffAck> = {
  encode(ack) {
    begin()
    putBytes(0x0a, ack.token)
    putNumber(0x10, ack.accepted === true ? 1 : 0)
    putText(0x1a, ack.errorDetail)
    putBig(0x20, ack.correlationId)
    return finish()
  },
  decode(bytes) {
    if (!open(bytes)) return null
    let token: Uint8Array | null = null
    let accepted = false
    let errorDetail = ''
    let correlationId = 0n
    for (let tag = nextTag(); tag !== 0; tag = nextTag()) {
      if (tag === 0x0a) token = getBytes()
      else if (tag === 0x10) accepted = getNumber() !== 0
      else if (tag === 0x1a) errorDetail = getText()
      else if (tag === 0x20) correlationId = getBig()
      else return null
    }
    return plain ? { token: token ?? none(), accepted, errorDetail, correlationId } : null
  },
}

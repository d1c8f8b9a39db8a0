/**
 * The identity probe: who serves this endpoint? One frame with 32 random bytes, answered by the same bytes and a
 * DaemonProcess. A backend answers it on the endpoint that clients dial, where it comes instead of a client's first bytes.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { FrameKind, PayloadProtocol } from '../../machines/broker/protocol.js'
import { brokerError } from '../errors/broker.js'
import { isHandoffError } from '../errors/handoff-error.js'
import { reasonOf } from '../os/errno.js'
import { envelopeBytes, openPayload } from '../wire/broker/envelope.js'
import { FrameDecoder } from '../wire/broker/framing.js'
import { type DaemonProcess, daemonProcessCodec, frameCodec } from '../wire/broker/messages.js'
import { equalSecrets } from './broker-connection.js'
import { exchangeFrame } from './exchange-frame.js'

const NONCE_BYTES = 32
/** A path, a hash and some numbers; more is no answer, **bytes**. */
const MAX_PROBE_BYTES = 64 * 1024
/** The whole probe, **ms** (protocol). */
const PROBE_TIMEOUT_MS = 500
const FRAMING_VERSION = 1

const startedAtUnixMs = BigInt(Math.round(Date.now() - process.uptime() * 1_000))

/** This process as a probe tells it. Hashes the executable once, which takes a moment. */
export async function ownIdentity(endpoint: { path: string; namespaceId?: string }): Promise<DaemonProcess> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(process.execPath)) hash.update(chunk as Buffer)
  return {
    pid: process.pid,
    exePath: process.execPath,
    exeSha256: hash.digest(),
    ipcEndpoint: { namespaceId: endpoint.namespaceId ?? 'shared', path: endpoint.path },
    startedAtUnixMs,
    bootId: bootId(),
    exeHashAlgorithm: '',
    exeHash: new Uint8Array(0),
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    // Not every kernel has one: absent then.
    return ''
  }
}

/** The answer to a first frame, or null when it is no probe. */
export function probeAnswer(body: Uint8Array, identity: DaemonProcess): Buffer | null {
  try {
    const frame = frameCodec.decode(body)
    const { payload, requestId } = frame
    openPayload(frame, { kind: FrameKind.request, payloadProtocol: PayloadProtocol.probe })
    if (payload.length !== NONCE_BYTES) return null
    const answer = Buffer.concat([payload, daemonProcessCodec.encode(identity)])
    return envelopeBytes({ kind: FrameKind.response, payloadProtocol: PayloadProtocol.probe }, answer, { requestId })
  } catch (error) {
    if (isHandoffError(error)) return null
    throw error
  }
}

/**
 * Wraps a service's connection handler: probes are answered, everything else reaches the handler as if nobody had looked.
 * Only for services whose clients speak first; the handler is called with the first bytes, not before.
 */
export function answeringProbes(identity: DaemonProcess, serve: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) => {
    const decoder = new FrameDecoder(MAX_PROBE_BYTES)
    const seen: Buffer[] = []
    const handOn = () => {
      leave()
      if (seen.length > 0) socket.unshift(Buffer.concat(seen))
      serve(socket)
    }
    const onReadable = () => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        seen.push(chunk)
        let body: Buffer | null
        try {
          decoder.push(chunk)
          body = seen[0]?.[0] === FRAMING_VERSION ? decoder.next() : Buffer.alloc(0)
        } catch {
          // Not framed, or longer than any probe: the service's own protocol.
          return handOn()
        }
        if (body === null) continue
        const answer = probeAnswer(body, identity)
        if (answer === null) return handOn()
        leave()
        socket.end(answer)
        socket.resume()
        return
      }
    }
    const onEnd = () => handOn()
    const ignore = () => {}
    const leave = () => {
      socket.off('readable', onReadable)
      socket.off('end', onEnd)
      socket.off('error', ignore)
    }
    socket.on('readable', onReadable)
    socket.on('end', onEnd)
    socket.on('error', ignore)
    socket.once('close', leave)
  }
}

/** @throws ERR_HANDOFF_BROKER_PROBE */
export async function probeIdentity(
  path: string,
  options: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<DaemonProcess> {
  const nonce = randomBytes(NONCE_BYTES)
  const requestId = nonce.readBigUInt64LE(0)
  const fail = (reason: string, cause?: unknown) => brokerError('ERR_HANDOFF_BROKER_PROBE', [path, reason], cause)
  const envelope = { kind: FrameKind.request, payloadProtocol: PayloadProtocol.probe }
  const body = await exchangeFrame(path, envelopeBytes(envelope, nonce, { requestId }), fail, {
    timeoutMs: PROBE_TIMEOUT_MS,
    maxBytes: MAX_PROBE_BYTES,
    ...options,
  })
  try {
    const frame = frameCodec.decode(body)
    const payload = openPayload(frame, { kind: FrameKind.response, payloadProtocol: PayloadProtocol.probe })
    const echoed = payload.length >= NONCE_BYTES && equalSecrets(payload.subarray(0, NONCE_BYTES), nonce)
    if (frame.requestId !== requestId || !echoed) throw fail('it answered something else')
    return daemonProcessCodec.decode(payload.subarray(NONCE_BYTES))
  } catch (error) {
    throw isHandoffError(error, 'ERR_HANDOFF_BROKER_PROBE') ? error : fail(reasonOf(error), error)
  }
}

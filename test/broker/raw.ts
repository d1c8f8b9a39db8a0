/** Peers that misbehave in one way each: the bare system calls, without any of the code under test. */
import { connect, createServer, type Socket } from 'node:net'
import { acceptOn } from '../../src/os/acceptor.js'
import { native } from '../../src/os/native.js'
import { stageUnixServer } from '../../src/os/unix-socket.js'
import { ackBytes, helloBytes } from '../../src/wire/broker/envelope.js'
import { FrameDecoder } from '../../src/wire/broker/framing.js'
import { frameCodec, helloReplyCodec, offerCodec } from '../../src/wire/broker/messages.js'
import { later } from './cleanup.js'

const { POLL_READABLE } = native.constants

export interface RawOffer {
  /** The handoff connection; non-blocking. */
  readonly fd: number
  /** The passed client connection. */
  readonly passed: number
  readonly token: Buffer
  readonly correlationId: bigint
  readonly offerToken: Uint8Array
  /** Resolves when the broker has closed or reset the handoff connection. */
  ended(): Promise<'eof' | 'reset' | 'bytes'>
  send(bytes: Uint8Array): void
  close(): void
  closePassed(): void
}

/** A backend by hand: takes descriptor and offer, then does what `behave` says. */
export function rawBackend(path: string, behave: (offer: RawOffer) => void): void {
  const server = stageUnixServer(path, { backlog: 4_096 })
  server.publish()
  const open = new Set<number>()
  const close = (fd: number): void => {
    if (open.delete(fd)) native.close(fd)
  }
  const acceptor = acceptOn(server.fd, {
    onConnection: (fd) => {
      open.add(fd)
      const token = Buffer.alloc(16)
      const decoder = new FrameDecoder()
      let passed = -1
      const poll = new native.Poll(fd, () => {
        if (passed < 0) {
          passed = native.recvmsg(fd, token, 4).fds[0] ?? -1
          open.add(passed)
        }
        const room = Buffer.alloc(256)
        let count = 0
        try {
          count = native.recv(fd, room)
        } catch {
          return
        }
        decoder.push(room.subarray(0, count))
        const body = decoder.next()
        if (body === null) return
        poll.close()
        const { token: offerToken, correlationId } = offerCodec.decode(frameCodec.decode(body).payload)
        behave({
          fd,
          passed,
          token,
          correlationId,
          offerToken,
          ended: () => endOf(fd),
          send: (bytes) => void native.send(fd, bytes),
          close: () => close(fd),
          closePassed: () => close(passed),
        })
      })
      poll.start(POLL_READABLE)
    },
  })
  later(() => {
    acceptor.close()
    for (const fd of [...open]) close(fd)
    server.close()
  })
}

export const accept = (offer: RawOffer): Buffer =>
  ackBytes({ token: offer.token, accepted: true, correlationId: offer.correlationId })

function endOf(fd: number): Promise<'eof' | 'reset' | 'bytes'> {
  return new Promise((resolve) => {
    const poll = new native.Poll(fd, () => {
      let outcome: 'eof' | 'reset' | 'bytes'
      try {
        outcome = native.recv(fd, Buffer.alloc(64)) === 0 ? 'eof' : 'bytes'
      } catch (error) {
        if ((error as { code?: string }).code === 'EAGAIN') return
        outcome = 'reset'
      }
      poll.close()
      resolve(outcome)
    })
    poll.start(POLL_READABLE)
  })
}

/** Bytes to a socket, cut at `cuts`; resolves with everything that came back until it ended. */
export function exchange(
  path: string,
  bytes: Uint8Array | null,
  then: 'wait' | 'end' | 'destroy' = 'wait',
  cuts: readonly number[] = [],
): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = connect({ path, allowHalfOpen: true }, async () => {
      for (const part of fragments(bytes ?? new Uint8Array(0), cuts)) {
        socket.write(part)
        await new Promise((next) => setImmediate(next))
      }
      if (then === 'end') socket.end()
      if (then === 'destroy') socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => socket.destroy())
    socket.on('close', () => resolve(Buffer.concat(chunks)))
  })
}

function fragments(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter((part) => part.length > 0)
}

export function readFrame(bytes: Buffer) {
  const decoder = new FrameDecoder()
  decoder.push(bytes)
  const body = decoder.next()
  return body === null ? null : { frame: frameCodec.decode(body), rest: decoder.surplus() }
}
export function readReply(bytes: Buffer) {
  const read = readFrame(bytes)
  return read === null ? null : { ...read, reply: helloReplyCodec.decode(read.frame.payload) }
}

export const hello = (fields: Parameters<typeof helloBytes>[0] = {}): Buffer =>
  helloBytes(
    {
      clientMinProtocol: 1,
      clientMaxProtocol: 1,
      serviceName: 'kv',
      wantedVersion: '1.2.3',
      clientCapabilities: 1n,
      ...fields,
    },
    { requestId: 9n },
  )

/** A server that only counts who comes. */
export function silentServer(path: string): Promise<{ readonly sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
  })
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return new Promise((resolve) => server.listen(path, () => resolve({ sockets })))
}

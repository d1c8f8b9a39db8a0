/** The handles of one handoff on the backend's side, and what the backend machine asks to be done with them. */
import { Socket } from 'node:net'
import type { OfferEvents } from '../../machines/broker/backend.machine.js'
import { type OfferFault, REJECTIONS, type Rejection } from '../../machines/broker/outcomes.js'
import { type HandoffOffer, offerEnvelope, TOKEN_BYTES } from '../../machines/broker/protocol.js'
import { isErrno, reasonOf, uninterrupted } from '../os/errno.js'
import { native, type Received } from '../os/native.js'
import { peerCredentials } from '../os/unix-socket.js'
import { ackBytes, openEnvelope } from '../wire/broker/envelope.js'
import { FrameDecoder } from '../wire/broker/framing.js'
import { frameCodec, offerCodec } from '../wire/broker/messages.js'
import { equalSecrets } from './broker-connection.js'
import { Descriptor } from './descriptor.js'

/** What the service is told about a connection it gets. */
export interface ConnectionInfo {
  readonly serviceName: string
  readonly correlationId: bigint
  /** The client, as the kernel noted it when it connected to the broker. */
  readonly peer: { readonly pid: number | null; readonly uid: number }
}

export interface OfferHome {
  /** Half-open sockets stay half-open in the service's hands. */
  readonly allowHalfOpen: boolean
  /** False answers "no": the client reconnects at once. */
  accepts(offer: HandoffOffer): boolean
  /** False when this token was offered before (INV-21). */
  isFresh(token: Uint8Array): boolean
  deliver(socket: Socket, info: ConnectionInfo): void
  ended(offer: BackendOffer, adopted: boolean, fault: OfferFault | null): void
}

/** An offer is small; a peer that announces more is no broker, **bytes**. */
const MAX_OFFER_BYTES = 4 * 1024
/** Filled and emptied within one call. An offer is alone in its connection: nothing that follows it could be lost. */
const scratch = Buffer.allocUnsafeSlow(MAX_OFFER_BYTES)
/** Room for descriptors that do not belong here, so that each can be closed (W13). */
const MAX_FDS = 16

export class BackendOffer {
  readonly startedAt = performance.now()
  readonly #handoff: Descriptor
  #passed = -1
  #sideband: Buffer = Buffer.alloc(0)
  #offer: HandoffOffer | null = null
  #rejection: Rejection | null = null
  /** For the report: what exactly was wrong. */
  detail = ''

  constructor(
    readonly id: number,
    fd: number,
    readonly home: OfferHome,
    readonly send: (event: OfferEvents) => void,
  ) {
    this.#handoff = new Descriptor(fd)
  }

  get offer(): HandoffOffer | null {
    return this.#offer
  }

  /** One recvmsg(2) with room for exactly the token: the descriptor must come with it. */
  receiveConnection() {
    const go = () => {
      const room = Buffer.alloc(TOKEN_BYTES - this.#sideband.length)
      let received: Received | null
      try {
        received = uninterrupted(() => native.recvmsg(this.#handoff.fd, room, MAX_FDS, true))
      } catch (error) {
        this.detail = reasonOf(error)
        return this.#say({ type: 'broker.left' })
      }
      if (received === null) return this.#handoff.whenReadable(go)
      const { count, fds, truncated } = received
      const first = this.#sideband.length === 0
      const [fd, ...others] = fds
      const alone = !truncated && others.length === 0
      if (fd !== undefined && first && alone) this.#passed = fd
      else for (const extra of fds) native.close(extra)
      if (count === 0 && fds.length === 0) {
        return this.#say(first ? { type: 'broker.left' } : { type: 'connection.malformed', fault: 'shortToken' })
      }
      if (!alone || (first ? this.#passed < 0 : fd !== undefined)) {
        this.detail = `${fds.length} descriptors${truncated ? ', and some that did not arrive' : ''}`
        return this.#say({ type: 'connection.malformed', fault: 'notOneDescriptor' })
      }
      this.#sideband = Buffer.concat([this.#sideband, room.subarray(0, count)])
      if (this.#sideband.length < TOKEN_BYTES) return this.#handoff.whenReadable(go)
      this.#say(
        this.#isConnection()
          ? { type: 'connection.received' }
          : { type: 'connection.malformed', fault: 'notAStreamSocket' },
      )
    }
    go()
  }

  /** Only a connection has a peer: a listening socket has none, and no datagram socket is a stream. */
  #isConnection(): boolean {
    const { SOL_SOCKET, SO_TYPE, SOCK_STREAM } = native.constants
    try {
      return (
        native.getsockopt(this.#passed, SOL_SOCKET, SO_TYPE) === SOCK_STREAM &&
        native.getpeername(this.#passed).family === 'unix'
      )
    } catch (error) {
      if (isErrno(error, 'ENOTSOCK', 'ENOTCONN')) return false
      throw error
    }
  }

  readOffer() {
    const decoder = new FrameDecoder(MAX_OFFER_BYTES)
    const go = () => {
      try {
        const count = this.#handoff.read(scratch)
        if (count === null) return this.#handoff.whenReadable(go)
        if (count === 0) return this.#say({ type: 'broker.left' })
        decoder.push(Buffer.from(scratch.subarray(0, count)))
        const body = decoder.next()
        if (body === null) return this.#handoff.whenReadable(go)
        if (decoder.surplus().length > 0) {
          this.detail = 'bytes behind the offer'
          return this.#say({ type: 'offer.malformed' })
        }
        const frame = frameCodec.decode(body)
        const offer = openEnvelope(frame, offerEnvelope, offerCodec)
        if (frame.requestId !== offer.correlationId) {
          this.detail = 'request id and correlation id differ'
          return this.#say({ type: 'offer.malformed' })
        }
        this.#offer = offer
        this.#rejection = this.#judge(offer)
        this.#say({ type: this.#rejection === null ? 'offer.sound' : 'offer.unacceptable' })
      } catch (error) {
        this.detail = reasonOf(error)
        this.#say({ type: isErrno(error) ? 'broker.left' : 'offer.malformed' })
      }
    }
    go()
  }

  /** The token beside the descriptor and the one in the offer must be one and the same (W8). */
  #judge(offer: HandoffOffer): Rejection | null {
    if (offer.token.length === 0) return 'missing'
    if (offer.token.length !== TOKEN_BYTES) return 'length'
    if (!equalSecrets(offer.token, this.#sideband)) return 'mismatch'
    if (!this.home.isFresh(offer.token)) return 'notPending'
    return this.home.accepts(offer) ? null : 'refused'
  }

  sendAcceptance() {
    const { token, correlationId } = this.#offer as HandoffOffer
    this.#answer(ackBytes({ token, accepted: true, correlationId }))
  }

  sendRejection() {
    const { token, correlationId } = this.#offer as HandoffOffer
    const why = this.#rejection ?? 'refused'
    const errorDetail = REJECTIONS[why](token.length)
    this.detail = errorDetail
    this.#answer(ackBytes({ token, accepted: false, errorDetail, correlationId }))
  }

  #answer(bytes: Buffer) {
    this.#handoff.writeAll(bytes, (error) => {
      if (error !== null) this.detail = reasonOf(error)
      this.send({ type: error === null ? 'ack.sent' : 'ack.failed' })
    })
  }

  /** EOF is the broker's word that EVENT is written; a reset, or any byte, that it took the connection back. */
  awaitGo() {
    const go = () => {
      try {
        const count = this.#handoff.read(scratch)
        if (count === null) return this.#handoff.whenReadable(go)
        this.#say({ type: count === 0 ? 'broker.released' : 'broker.withdrew' })
      } catch (error) {
        this.detail = reasonOf(error)
        this.#say({ type: 'broker.withdrew' })
      }
    }
    this.#handoff.whenReadable(go)
  }

  adoptConnection() {
    const fd = this.#passed
    const { serviceName, correlationId } = this.#offer as HandoffOffer
    const { pid, uid } = peerCredentials(fd)
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: this.home.allowHalfOpen })
    this.#passed = -1
    this.home.deliver(socket, { serviceName, correlationId, peer: { pid, uid } })
  }

  dropConnection() {
    if (this.#passed < 0) return
    native.close(this.#passed)
    this.#passed = -1
  }

  closeHandoff() {
    this.#handoff.close()
  }

  #say(event: OfferEvents) {
    this.#handoff.ignore()
    this.send(event)
  }
}

/**
 * The handles of one client connection and what the connection machine asks to be done with them. Every decision, and
 * every wait, belongs to the machine; here are system calls and the events they lead to.
 */
import { timingSafeEqual } from 'node:crypto'
import type { ConnectionEvents } from '../../machines/broker/connection.machine.js'
import { REFUSALS } from '../../machines/broker/hello.js'
import type { Failure, Reason } from '../../machines/broker/outcomes.js'
import {
  ackEnvelope,
  FrameKind,
  MAX_HELLO_BYTES,
  PayloadProtocol,
  TOKEN_BYTES,
} from '../../machines/broker/protocol.js'
import { isErrno, uninterrupted } from '../os/errno.js'
import { setNonBlocking } from '../os/fds.js'
import { native } from '../os/native.js'
import { WATCHES_BLOCKING_FDS } from '../os/readiness.js'
import { envelopeBytes, offerBytes, openEnvelope, readyBytes } from '../wire/broker/envelope.js'
import { bodyLength, FrameDecoder, HEADER_BYTES } from '../wire/broker/framing.js'
import { ackCodec, frameCodec } from '../wire/broker/messages.js'
import { type Answer, type Promised, refuse, refuseUnreadable } from './answers.js'
import { Descriptor } from './descriptor.js'

/** What a connection needs from the broker around it. */
export interface ConnectionHome {
  readonly handoffBudgetMs: number
  answer(connection: BrokerConnection, body: Uint8Array): Answer
  /** Room for a body above 64 KiB; false refuses it unread. */
  reserve(connection: BrokerConnection, bytes: number): boolean
  /** Null: go on. Otherwise why not. */
  screen(connection: BrokerConnection, endpoint: string): Reason | null
  acceptsPeer(uid: number): boolean
  /** Takes the token out of the store, once. */
  consumeToken(connection: BrokerConnection): boolean
  revokeToken(connection: BrokerConnection): void
  ended(connection: BrokerConnection, adopted: boolean, failure: Failure | null): void
}

/** connect(2) to a full Unix backlog says EAGAIN, and no event tells when there is room: look again this often, ms. */
const DIAL_AGAIN_MS = 5

/** The ACK is small; a peer that announces more is none of ours, **bytes**. */
const MAX_ACK_BYTES = 4 * 1024

/** Filled and emptied within one call: no connection keeps anything in it. */
const scratch = Buffer.allocUnsafeSlow(HEADER_BYTES + MAX_ACK_BYTES)

export class BrokerConnection {
  readonly client: Descriptor
  /** Set with the answer; null when there is nothing to hand off. */
  promised: Promised | null = null
  serviceName = ''
  startedAt = performance.now()
  /** What the last failed system call said, for the report. */
  lastError: unknown
  #handoff: Descriptor | null = null
  #answer: Answer | null = null
  #deadlineAt = 0
  /** Beginning of an ACK that came in pieces. */
  #taken: Buffer | null = null
  /** Bytes of the ACK that are still in the kernel. */
  #unread = 0
  #ackTaken = false
  #dialAgain: NodeJS.Timeout | undefined

  constructor(
    readonly id: number,
    fd: number,
    readonly peerPid: number,
    readonly pressed: boolean,
    /** The socket blocks already. */
    readonly blocking: boolean,
    readonly home: ConnectionHome,
    readonly send: (event: ConnectionEvents) => void,
  ) {
    this.client = new Descriptor(fd)
  }

  // ---- Hello and its answer ----

  readHello() {
    const decoder = new FrameDecoder()
    let reserved = false
    const go = () => {
      let answer: Answer | null = null
      try {
        const outcome = this.client.readFrame(decoder)
        if (outcome.kind === 'wait') {
          // The header is known by now or later; a large body is let in only while there is room for it.
          if (!reserved && decoder.part === 'body' && decoder.wanted > MAX_HELLO_BYTES) {
            reserved = true
            if (!this.home.reserve(this, decoder.wanted)) answer = refuse(REFUSALS.tooLarge)
          }
          if (answer === null) return this.client.whenReadable(go)
        } else if (outcome.kind === 'end') {
          if (decoder.part === null) return this.#say({ type: 'client.left' })
          answer = refuse(REFUSALS.incomplete)
        } else answer = this.home.answer(this, outcome.body)
      } catch (error) {
        if (isErrno(error)) {
          this.lastError = error
          return this.#say({ type: 'client.unreadable' })
        }
        answer = refuseUnreadable(error)
      }
      this.#answered(answer)
    }
    go()
  }

  #answered(answer: Answer) {
    this.#answer = answer
    const { said } = answer
    if (said.kind === 'negotiated') this.serviceName = said.serviceName
    this.promised = said.kind === 'negotiated' ? said.promised : null
    this.#say({ type: this.promised === null ? 'client.asked' : 'client.askedForHandoff' })
  }

  /** A refusal nobody has asked for yet: there is no room to listen first. */
  turnAway() {
    try {
      this.client.write(refuse(REFUSALS.fdPressure).bytes)
    } catch {
      // It has left: all the better.
    }
    this.client.close()
  }

  sendReply() {
    const answer = this.#answer
    if (answer === null) return this.send({ type: 'reply.failed' })
    this.client.writeAll(answer.bytes, (error) => {
      if (error !== null) this.lastError = error
      this.send({ type: error === null ? 'reply.sent' : 'reply.failed' })
    })
  }

  // ---- the handoff ----

  screenHandoff() {
    this.#deadlineAt = performance.now() + this.home.handoffBudgetMs
    const endpoint = this.promised?.service.handoffEndpoint
    if (endpoint === undefined) return this.send({ type: 'handoff.declined', reason: 'tokenGone' })
    if (this.client.hungUp()) return this.send({ type: 'handoff.declined', reason: 'hungUp' })
    const reason = this.home.screen(this, endpoint)
    this.send(reason === null ? { type: 'handoff.cleared' } : { type: 'handoff.declined', reason })
  }

  dialBackend() {
    const path = this.promised?.service.handoffEndpoint as string
    try {
      this.#handoff = Descriptor.dial(path)
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) {
        if (this.client.hungUp()) return this.#say({ type: 'client.left' })
        this.#dialAgain = setTimeout(() => this.dialBackend(), DIAL_AGAIN_MS)
        return
      }
      this.lastError = error
      const reason = isErrno(error, 'EACCES', 'EPERM') ? 'permissionDenied' : 'unreachable'
      return this.send({ type: 'backend.unreachable', reason })
    }
    if (!this.home.acceptsPeer(native.peerCredentials(this.#handoff.fd).uid)) {
      return this.send({ type: 'backend.unreachable', reason: 'wrongPeer' })
    }
    this.send({ type: 'backend.dialled' })
  }

  transferConnection() {
    const { client, promised } = this
    const handoff = this.#handoff
    if (handoff === null || promised === null) return this.send({ type: 'transfer.failed', reason: 'sendFailed' })
    client.shared = true
    client.whenHungUp(() => {
      client.ignore()
      if (client.hungUp()) this.#say({ type: 'client.left' })
    })
    try {
      // The flag travels with the socket: a backend with plain reads expects them to block. Our own calls never do.
      if (!this.blocking || !WATCHES_BLOCKING_FDS) setNonBlocking(client.fd, false)
      const offer = offerBytes({
        token: promised.token,
        serviceName: promised.serviceName,
        correlationId: promised.correlationId,
      })
      const sent = uninterrupted(() => native.sendmsg(handoff.fd, promised.token, [client.fd]))
      if (sent === TOKEN_BYTES && handoff.write(offer) === offer.length) return this.send({ type: 'transfer.done' })
    } catch (error) {
      this.lastError = error
    }
    this.send({ type: 'transfer.failed', reason: 'sendFailed' })
  }

  /** The ACK is looked at and left in the kernel: while it is unread, closing takes the offer back (W9). */
  awaitAck() {
    const handoff = this.#handoff as Descriptor
    handoff.whenReadable(() => {
      try {
        const count = handoff.peek(scratch)
        if (count === null) return
        if (count === 0) return this.#say({ type: 'backend.left' })
        const seen = scratch.subarray(0, count)
        const verdict = this.#judgeAck(this.#taken === null ? seen : Buffer.concat([this.#taken, seen]))
        if (verdict !== null) return this.#say({ type: verdict })
        // A part that stays in the kernel would wake us for ever; the end of the ACK is still to come, and stays.
        const part = Buffer.from(seen.subarray(0, handoff.read(seen) ?? 0))
        this.#taken = this.#taken === null ? part : Buffer.concat([this.#taken, part])
      } catch (error) {
        this.lastError = error
        this.#say({ type: isErrno(error) ? 'backend.left' : 'backend.answeredWrongly' })
      }
    })
  }

  /** Null: not all of it is here yet. */
  #judgeAck(seen: Buffer): 'backend.accepted' | 'backend.rejected' | 'backend.answeredWrongly' | null {
    if (seen.length < HEADER_BYTES) return null
    const length = bodyLength(seen, MAX_ACK_BYTES)
    if (seen.length < HEADER_BYTES + length) return null
    const { token, correlationId } = this.promised as Promised
    const frame = frameCodec.decode(seen.subarray(HEADER_BYTES, HEADER_BYTES + length))
    const ack = openEnvelope(frame, ackEnvelope, ackCodec)
    if (frame.requestId !== correlationId || ack.correlationId !== correlationId) return 'backend.answeredWrongly'
    if (!equalSecrets(ack.token, token)) return 'backend.answeredWrongly'
    this.#unread = HEADER_BYTES + length - (this.#taken?.length ?? 0)
    if (!ack.accepted) this.lastError = ack.errorDetail
    return ack.accepted ? 'backend.accepted' : 'backend.rejected'
  }

  /** Looks once more at everything, then two calls in a row: take the ACK, write EVENT. */
  commitHandoff() {
    const { client, promised } = this
    const handoff = this.#handoff as Descriptor
    const impossible = (reason: Reason) => this.send({ type: 'commit.impossible', reason })
    if (performance.now() >= this.#deadlineAt) return impossible('timeout')
    const gone = uninterrupted(() => native.hungUp(client.fd, handoff.fd))
    if (gone !== 0) return impossible((gone & 1) === 1 ? 'hungUp' : 'backendLeft')
    // INV-21
    if (promised === null || !this.home.consumeToken(this)) return impossible('tokenGone')
    const ready = readyBytes(promised.token, promised.correlationId)
    try {
      // With whatever follows it: anything left unread would turn the go signal into a reset.
      if ((handoff.read(scratch) ?? 0) < this.#unread) return impossible('ioError')
      this.#ackTaken = true
      if (client.write(ready) !== ready.length) return impossible('sendFailed')
    } catch (error) {
      this.lastError = error
      return impossible(isErrno(error, 'EPIPE', 'ECONNRESET') ? 'hungUp' : 'ioError')
    }
    this.send({ type: 'event.written' })
  }

  releaseBackend() {
    this.#handoff?.close()
  }

  cutConnection() {
    this.client.cut()
    const handoff = this.#handoff
    if (handoff === null) return
    if (this.#ackTaken) {
      const cancel = { kind: FrameKind.cancel, payloadProtocol: PayloadProtocol.handoff }
      try {
        handoff.write(envelopeBytes(cancel, new Uint8Array(0), { requestId: this.promised?.correlationId ?? 0n }))
      } catch {
        // Nobody is left to be told.
      }
    }
    handoff.close()
  }

  closeHandles() {
    clearTimeout(this.#dialAgain)
    this.#handoff?.close()
    this.client.close()
  }

  // What was watched for has happened: nothing is watched until the next state asks.
  #say(event: ConnectionEvents) {
    this.client.ignore()
    this.#handoff?.ignore()
    this.send(event)
  }
}

/** In constant time for secrets of one length; the length of a token is no secret. */
export const equalSecrets = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

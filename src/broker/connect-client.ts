/** The client's door: one connection to a service, by whichever way works. */
import type { Socket } from 'node:net'
import { type ClientEvents, clientMachine } from '../../machines/broker/client.machine.js'
import type { ClientFault, Route } from '../../machines/broker/outcomes.js'
import { type BrokerPolicy, DEFAULT_BROKER_POLICY } from '../../machines/broker/policy.js'
import {
  CAP_HANDLE_PASSING,
  helloReplyEnvelope,
  type Negotiated,
  PROTOCOL_VERSION,
  RefusalCode,
  type Refused,
  readyEnvelope,
  TOKEN_BYTES,
} from '../../machines/broker/protocol.js'
import { brokerError } from '../errors/broker.js'
import type { HandoffError } from '../errors/handoff-error.js'
import { reasonOf } from '../os/errno.js'
import { WATCHES_BLOCKING_FDS } from '../os/readiness.js'
import { restingSocket, startReading } from '../os/unix-socket.js'
import { helloBytes, openEnvelope } from '../wire/broker/envelope.js'
import { FrameDecoder } from '../wire/broker/framing.js'
import { ackCodec, frameCodec, helloReplyCodec } from '../wire/broker/messages.js'
import { equalSecrets } from './broker-connection.js'
import { Descriptor } from './descriptor.js'
import { type MachineTable, machineTable, TableRun } from './machine-table.js'
import { requirePath, validPolicy } from './options.js'

export interface ConnectOptions {
  /** The broker's control socket. */
  readonly broker: string
  readonly service: string
  /** `N.N.N` of the service. */
  readonly wantedVersion: string
  /** Version of this client. With `cachedEndpoint` it decides whether the broker can be skipped. Default ''. */
  readonly clientVersion?: string
  /** An endpoint from an earlier {@link Connected}: dialled first when `clientVersion` is `wantedVersion`. */
  readonly cachedEndpoint?: string
  /** Let the broker pass this connection on. Default true; false never even says that it could (W5). */
  readonly adopt?: boolean
  readonly keepaliveSecs?: bigint
  /** A half-open service: `end` of the peer does not end our side. Default false. */
  readonly allowHalfOpen?: boolean
  readonly signal?: AbortSignal
  readonly policy?: Partial<BrokerPolicy>
}

export interface Connected {
  /** As fresh from connect(): no byte of the application has been read, none is lost. */
  readonly socket: Socket
  readonly route: Route
  /** The service's own endpoint: a cache key for the next time. */
  readonly endpoint: string
  readonly negotiated: Negotiated | null
}

/** Filled and emptied within one call. */
const scratch = Buffer.allocUnsafeSlow(16 * 1024)

/** Told in Hello; a peer may log it. */
const LIB_NAME = 'handoff-machines'
const LIB_VERSION = '0.1.0'

/**
 * Connects to a service through its broker. A handoff that fails is no error: the baseline path is taken silently.
 * @throws ERR_HANDOFF_BROKER_* and the signal's abort as ERR_HANDOFF_BROKER_ABORTED
 */
export async function connectClient(options: ConnectOptions): Promise<Connected> {
  requirePath(options.broker, 'broker')
  const policy = options.policy === undefined ? DEFAULT_BROKER_POLICY : validPolicy(options.policy)
  if (options.signal?.aborted) throw brokerError('ERR_HANDOFF_BROKER_ABORTED', [options.broker], options.signal.reason)
  return await new Promise((resolve, reject) => new ClientAttempt(options, policy, resolve, reject).start())
}

class ClientAttempt {
  readonly #adopt: boolean
  #connection: Descriptor | null = null
  /** Owns the connection's fd, made ahead. */
  #socket: Socket | null = null
  #decoder = new FrameDecoder()
  #negotiated: Negotiated | null = null
  #refused: Refused | null = null
  #reason = ''
  readonly #run

  constructor(
    readonly options: ConnectOptions,
    readonly policy: BrokerPolicy,
    readonly resolve: (connected: Connected) => void,
    readonly reject: (error: HandoffError) => void,
  ) {
    this.#adopt = options.adopt ?? true
    const cached =
      options.cachedEndpoint !== undefined &&
      options.clientVersion !== undefined &&
      options.clientVersion === options.wantedVersion
    const id = ++attempts
    running.set(id, this)
    this.#run = new TableRun(tableFor(policy, cached), id, {
      complete: () => this.#ended(id),
      error: (error) => {
        this.#ended(id)
        this.dropConnection()
        this.reject(error as HandoffError)
      },
    })
  }

  start() {
    const { signal } = this.options
    signal?.addEventListener('abort', this.#abort, { once: true })
    this.#run.start()
  }
  readonly #abort = () => this.#run.send({ type: 'caller.aborted' })

  #ended(id: number) {
    running.delete(id)
    this.options.signal?.removeEventListener('abort', this.#abort)
  }

  dialCached() {
    this.#dial(this.options.cachedEndpoint as string, 'cache')
  }
  dialBroker() {
    this.#dial(this.options.broker, 'broker')
  }
  dialBackend() {
    const path = this.#negotiated?.backendPipe ?? ''
    if (path === '') return this.#run.send({ type: 'backend.unnamed' })
    this.#dial(path, 'backend')
  }

  #dial(path: string, whom: 'cache' | 'broker' | 'backend') {
    try {
      this.#connection = Descriptor.dial(path)
    } catch (error) {
      this.#reason = reasonOf(error)
      return this.#run.send({ type: `${whom}.unreachable` } as ClientEvents)
    }
    this.#run.send({ type: `${whom}.dialled` } as ClientEvents)
  }

  sendHello() {
    const { options } = this
    const connection = this.#connection as Descriptor
    connection.writeAll(
      helloBytes({
        clientMinProtocol: PROTOCOL_VERSION,
        clientMaxProtocol: PROTOCOL_VERSION,
        serviceName: options.service,
        wantedVersion: options.wantedVersion,
        clientVersion: options.clientVersion ?? '',
        clientCapabilities: this.#adopt ? CAP_HANDLE_PASSING : 0n,
        requestId: 'hello',
        peerPid: process.pid,
        clientLibName: LIB_NAME,
        clientLibVersion: LIB_VERSION,
        clientKeepaliveSecs: options.keepaliveSecs ?? 0n,
      }),
      // Who was turned away before it could ask has its answer all the same.
      () => this.#read((body) => this.#judgeReply(body)),
    )
  }

  #judgeReply(body: Buffer): ClientEvents {
    const reply = openEnvelope(frameCodec.decode(body), helloReplyEnvelope, helloReplyCodec)
    if (reply.refused !== undefined) {
      this.#refused = reply.refused
      return { type: 'broker.refused' }
    }
    const { negotiated } = reply
    if (negotiated === undefined) {
      this.#reason = 'it is neither an offer nor a refusal'
      return { type: 'broker.violatedProtocol' }
    }
    this.#negotiated = negotiated
    const offered = (negotiated.serverCapabilities & CAP_HANDLE_PASSING) !== 0n
    if (this.#adopt && offered && negotiated.handlePassedToken.length === TOKEN_BYTES) {
      return { type: 'broker.offeredHandoff' }
    }
    return { type: negotiated.backendPipe === '' ? 'broker.namedNothing' : 'broker.negotiated' }
  }

  /** The socket for the caller is made while broker and backend have their turn. */
  awaitEvent() {
    this.#read((body) => {
      const ack = openEnvelope(frameCodec.decode(body), readyEnvelope, ackCodec)
      const ours = ack.accepted && equalSecrets(ack.token, (this.#negotiated as Negotiated).handlePassedToken)
      return { type: ours ? 'broker.handedOver' : 'broker.violatedProtocol' }
    })
    // Elsewhere the loop's own watcher has the fd until EVENT.
    if (WATCHES_BLOCKING_FDS) this.#socket = restingSocket((this.#connection as Descriptor).fd, this.#socketOptions)
  }

  get #socketOptions() {
    return { allowHalfOpen: this.options.allowHalfOpen ?? false }
  }

  /** One frame of the connection that is open now; what follows it stays for whoever reads next. */
  #read(judge: (body: Buffer) => ClientEvents) {
    const connection = this.#connection as Descriptor
    const tell = (event: ClientEvents) => {
      connection.ignore()
      this.#run.send(event)
    }
    const look = (): boolean => {
      try {
        const body = this.#decoder.next()
        if (body !== null) tell(judge(body))
        return body !== null
      } catch (error) {
        this.#reason = reasonOf(error)
        tell({ type: 'broker.violatedProtocol' })
        return true
      }
    }
    // The frame may have come together with the one before it.
    if (look()) return
    connection.whenReadable(() => {
      try {
        const count = connection.read(scratch)
        if (count === null) return
        if (count === 0) return tell({ type: 'broker.left' })
        this.#decoder.push(Buffer.from(scratch.subarray(0, count)))
      } catch (error) {
        this.#reason = reasonOf(error)
        return tell({ type: 'broker.left' })
      }
      look()
    })
  }

  dropConnection() {
    const connection = this.#connection
    this.#connection = null
    this.#decoder = new FrameDecoder()
    if (this.#socket === null) return connection?.close()
    connection?.detach()
    this.#socket.destroy()
    this.#socket = null
  }

  deliverConnection(route: Route) {
    const fd = (this.#connection as Descriptor).detach()
    this.#connection = null
    const socket = this.#socket ?? restingSocket(fd, this.#socketOptions)
    this.#socket = null
    startReading(socket)
    // Bytes of the service that came in one piece with EVENT.
    const surplus = this.#decoder.surplus()
    if (surplus.length > 0) socket.unshift(surplus)
    const endpoint = this.#negotiated?.backendPipe ?? this.options.cachedEndpoint ?? ''
    this.resolve({ socket, route, endpoint, negotiated: this.#negotiated })
  }

  deliverFault(fault: ClientFault) {
    this.reject(this.#faultError(fault))
  }

  #faultError(fault: ClientFault): HandoffError {
    const { broker, service } = this.options
    switch (fault) {
      case 'brokerUnreachable':
        return brokerError('ERR_HANDOFF_BROKER_UNREACHABLE', [broker, this.#reason || 'no answer to connect'])
      case 'brokerSilent':
        return brokerError('ERR_HANDOFF_BROKER_TIMEOUT', [broker, this.policy.clientHelloTimeoutMs])
      case 'brokerLeft':
        return brokerError('ERR_HANDOFF_BROKER_PEER_LEFT', [broker])
      case 'brokerProtocol':
        return brokerError('ERR_HANDOFF_BROKER_PEER_PROTOCOL', [broker, this.#reason])
      case 'refused': {
        const { code, reason, retryAfterMs } = this.#refused as Refused
        const name = Object.entries(RefusalCode).find(([, number]) => number === code)?.[0] ?? String(code)
        return brokerError('ERR_HANDOFF_BROKER_REFUSED', [name, reason, Number(retryAfterMs)], this.#refused)
      }
      case 'noBackendPipe':
        return brokerError('ERR_HANDOFF_BROKER_NO_ENDPOINT', [service])
      case 'backendUnreachable': {
        const path = this.#negotiated?.backendPipe ?? ''
        return brokerError('ERR_HANDOFF_BROKER_BACKEND_UNREACHABLE', [path, this.#reason || 'no answer to connect'])
      }
      case 'aborted':
        return brokerError('ERR_HANDOFF_BROKER_ABORTED', [broker], this.options.signal?.reason)
    }
  }
}

type Attempt = Pick<
  ClientAttempt,
  | 'dialCached'
  | 'dialBroker'
  | 'sendHello'
  | 'awaitEvent'
  | 'dropConnection'
  | 'dialBackend'
  | 'deliverConnection'
  | 'deliverFault'
>

/** Binds the client machine: every name in it gets its effect here, and only here. */
export function bindClient(find: (id: number) => Attempt) {
  return clientMachine.provide({
    actions: {
      dialCached: ({ context }) => find(context.id).dialCached(),
      dialBroker: ({ context }) => find(context.id).dialBroker(),
      sendHello: ({ context }) => find(context.id).sendHello(),
      awaitEvent: ({ context }) => find(context.id).awaitEvent(),
      dropConnection: ({ context }) => find(context.id).dropConnection(),
      dialBackend: ({ context }) => find(context.id).dialBackend(),
      deliverConnection: ({ context }, { route }) => find(context.id).deliverConnection(route),
      deliverFault: ({ context }, { fault }) => find(context.id).deliverFault(fault),
    },
  })
}

// Binding costs more than connecting: one bound machine serves all attempts.
let attempts = 0
const running = new Map<number, ClientAttempt>()
const boundClient = bindClient((id) => running.get(id) as ClientAttempt)

type ClientTable = MachineTable<ReturnType<typeof bindClient>>
const tables = new Map<string, ClientTable>()
/** Callers with a policy of their own use one, or a few; whoever makes up a new one each time pays for it. */
const MOST_TABLES = 16

function tableFor(policy: BrokerPolicy, cached: boolean): ClientTable {
  const key = `${cached} ${policy === DEFAULT_BROKER_POLICY ? '' : JSON.stringify(policy)}`
  let table = tables.get(key)
  if (table === undefined) {
    table = machineTable(boundClient, { id: 0, policy, cached })
    if (tables.size >= MOST_TABLES) tables.clear()
    tables.set(key, table)
  }
  return table
}

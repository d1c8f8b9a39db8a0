/** The backend's door: takes over the connections a broker passes on. */
import type { Socket } from 'node:net'
import { backendMachine } from '../../machines/broker/backend.machine.js'
import type { OfferFault } from '../../machines/broker/outcomes.js'
import type { BrokerPolicy } from '../../machines/broker/policy.js'
import type { HandoffOffer } from '../../machines/broker/protocol.js'
import { type Acceptor, acceptOn } from '../os/acceptor.js'
import { closeFd } from '../os/fds.js'
import { checkPathIsFree } from '../os/listeners.js'
import { peerCredentials, type StagedUnixServer, stageUnixServer } from '../os/unix-socket.js'
import { BackendOffer, type ConnectionInfo, type OfferHome } from './backend-offer.js'
import { machineTable, TableRun } from './machine-table.js'
import { requirePath, validPolicy } from './options.js'
import { checkPrivateDirectory, peerPolicy } from './private-directory.js'
import { type BackendReport, Counters, countBackendReport, type Observe, observeSafely } from './reports.js'

export type { ConnectionInfo } from './backend-offer.js'

export interface BackendOptions {
  /** Where the broker passes connections to. Bound 0600 in a 0700 directory; whoever may connect here injects clients. */
  readonly endpoint: string
  /** A client's live connection: unread, unwritten, and the client has been told. What it throws ends only that socket. */
  onConnection(socket: Socket, info: ConnectionInfo): void
  /** False rejects an offer, and the client reconnects at once. Default: every service is accepted. */
  accepts?(serviceName: string): boolean
  readonly policy?: Partial<BrokerPolicy>
  readonly allowedUids?: readonly number[]
  readonly requirePrivateDirectory?: boolean
  readonly allowHalfOpen?: boolean
  readonly observe?: Observe<BackendReport>
}

export interface Backend {
  counters(): Readonly<Record<string, number>>
  /** Handoffs being taken over at this moment. */
  offers(): number
  /** Takes no more; settles those it has promised to take, within `goTimeoutMs`; removes the endpoint. */
  close(): Promise<void>
}

/** Tokens seen lately, spent from then on: none is taken twice. */
const REMEMBERED_TOKENS = 4_096

/** @throws ERR_HANDOFF_BROKER_USAGE_*, ERR_HANDOFF_SOCKET_PATH_*, ERR_HANDOFF_LISTEN */
export async function serveBackend(options: BackendOptions): Promise<Backend> {
  const path = requirePath(options.endpoint, 'endpoint')
  const policy = validPolicy(options.policy)
  if (options.requirePrivateDirectory !== false) checkPrivateDirectory(path)
  checkPathIsFree(path)
  const server = stageUnixServer(path, { mode: 0o600, backlog: 4_096 })
  server.publish()
  return new RunningBackend(options, policy, server)
}

class RunningBackend implements Backend, OfferHome {
  readonly allowHalfOpen: boolean
  readonly #observe: Observe<BackendReport>
  readonly #counters = new Counters()
  readonly #acceptsUid: (uid: number) => boolean
  readonly #acceptor: Acceptor
  readonly #offers = new Map<number, BackendOffer>()
  readonly #runs = new Map<number, TableRun<typeof backendMachine>>()
  readonly #seen = new Set<string>()
  readonly #table
  #nextId = 1
  #onEmpty: (() => void) | null = null

  constructor(
    readonly options: BackendOptions,
    readonly policy: BrokerPolicy,
    readonly endpoint: StagedUnixServer,
  ) {
    const bound = bindBackend((id) => this.#offers.get(id) as BackendOffer)
    this.#table = machineTable(bound, { policy, id: 0 })
    this.allowHalfOpen = options.allowHalfOpen ?? false
    const observe = observeSafely(options.observe)
    this.#observe = (report) => {
      countBackendReport(this.#counters, report)
      observe(report)
    }
    this.#acceptsUid = peerPolicy(options.allowedUids)
    const accepting = {
      onConnection: (fd: number) => this.#arrive(fd),
      onTrouble: (error: unknown) => this.#observe({ kind: 'starved', error }),
    }
    this.#acceptor = acceptOn(endpoint.fd, accepting)
  }

  counters(): Readonly<Record<string, number>> {
    return this.#counters.toJSON()
  }

  offers(): number {
    return this.#offers.size
  }

  async close(): Promise<void> {
    this.#acceptor.close()
    this.endpoint.close()
    const empty = new Promise<void>((resolve) => {
      if (this.#offers.size === 0) resolve()
      else this.#onEmpty = resolve
    })
    for (const run of [...this.#runs.values()]) run.send({ type: 'backend.stopped' })
    await empty
  }

  #arrive(fd: number): void {
    const { uid, pid } = peerCredentials(fd)
    if (!this.#acceptsUid(uid)) {
      closeFd(fd)
      this.#observe({ kind: 'peerRejected', uid, pid: pid ?? 0 })
      return
    }
    const id = this.#nextId++
    const offer = new BackendOffer(id, fd, this, (event) => run.send(event))
    const run: TableRun<typeof backendMachine> = new TableRun(this.#table, id, {
      complete: () => this.#forget(id),
      error: (error) => {
        this.#observe({ kind: 'fault', where: 'offer', error })
        offer.dropConnection()
        offer.closeHandoff()
        this.#forget(id)
      },
    })
    this.#offers.set(id, offer)
    this.#runs.set(id, run)
    run.start()
    if (this.#offers.size >= this.policy.maxOffers) this.#acceptor.pause()
  }

  #forget(id: number): void {
    if (!this.#offers.delete(id)) return
    this.#runs.delete(id)
    if (this.#onEmpty === null) this.#acceptor.resume()
    else if (this.#offers.size === 0) this.#onEmpty()
  }

  // ---- what offers ask for ----

  accepts({ serviceName }: HandoffOffer): boolean {
    return this.options.accepts?.(serviceName) ?? true
  }

  isFresh(token: Uint8Array): boolean {
    const text = Buffer.from(token.buffer, token.byteOffset, token.length).toString('latin1')
    if (this.#seen.has(text)) return false
    this.#seen.add(text)
    if (this.#seen.size > REMEMBERED_TOKENS) this.#seen.delete(this.#seen.values().next().value as string)
    return true
  }

  deliver(socket: Socket, info: ConnectionInfo): void {
    try {
      this.options.onConnection(socket, info)
    } catch (error) {
      socket.destroy()
      this.#observe({ kind: 'fault', where: 'onConnection', error })
    }
  }

  ended(offer: BackendOffer, adopted: boolean, fault: OfferFault | null): void {
    const ms = performance.now() - offer.startedAt
    if (adopted) {
      const { serviceName: service, correlationId } = offer.offer as HandoffOffer
      this.#observe({ kind: 'adopted', service, correlationId, ms })
    } else this.#observe({ kind: 'dropped', fault: fault ?? 'brokerLeft', detail: offer.detail, ms })
  }
}

/** Binds the backend machine to this process: every name in it gets its effect here, and only here. */
export function bindBackend(find: (id: number) => BackendOffer) {
  return backendMachine.provide({
    actions: {
      receiveConnection: ({ context }) => find(context.id).receiveConnection(),
      readOffer: ({ context }) => find(context.id).readOffer(),
      sendAcceptance: ({ context }) => find(context.id).sendAcceptance(),
      sendRejection: ({ context }) => find(context.id).sendRejection(),
      awaitGo: ({ context }) => find(context.id).awaitGo(),
      adoptConnection: ({ context }) => find(context.id).adoptConnection(),
      dropConnection: ({ context }) => find(context.id).dropConnection(),
      closeHandoff: ({ context }) => find(context.id).closeHandoff(),
      reportOffer: ({ context }, { adopted, fault }) => {
        const offer = find(context.id)
        offer.home.ended(offer, adopted, fault)
      },
    },
  })
}

/** The broker's door: answers Hello, gives tokens, and passes connections on. */
import type { Server } from 'node:net'
import type { Failure, Reason } from '../../machines/broker/outcomes.js'
import type { BrokerPolicy } from '../../machines/broker/policy.js'
import { HelloRateLimit } from '../../machines/broker/rate-limit.js'
import { TokenStore } from '../../machines/broker/tokens.js'
import type { InspectTap } from '../observe/inspect-tap.js'
import type { InspectOption } from '../observe/inspect-target.js'
import { closeFd } from '../os/fds.js'
import { peerCredentials } from '../os/unix-socket.js'
import type { AdminFacts } from './admin.js'
import { type Answer, answerFrame } from './answers.js'
import { bindBroker, bindConnection } from './bind-broker.js'
import { Breakers } from './breakers.js'
import { BrokerConnection, type ConnectionHome, equalSecrets } from './broker-connection.js'
import { type BrokerEndpoint, lentEndpoint, ownEndpoint } from './broker-endpoint.js'
import { brokerTap, watchRuns } from './inspect-broker.js'
import { machineTable, type RunWatch, TableRun } from './machine-table.js'
import { requirePath, validPolicy } from './options.js'
import { peerPolicy } from './private-directory.js'
import { takeToken } from './random-tokens.js'
import { type BrokerReport, Counters, countBrokerReport, type Observe, observeSafely } from './reports.js'
import { definedServices } from './service-definitions.js'
import { type FindService, knownServices, type Services, serviceFinder } from './services.js'

export interface BrokerOptions {
  /** Where clients say Hello. Absent: the broker opens nothing and {@link Broker.server} is attached to a listener. */
  readonly controlSocket?: string
  /** Handoff endpoint of every service that names none of its own. */
  readonly handoffEndpoint?: string
  readonly services: Services
  /**
   * A directory of `<service>.servicedef` files, read again at every Hello: they decide which versions of a configured
   * service may be asked for, and a service without one is unknown. See {@link serviceDefinitionDirectory}.
   */
  readonly definitions?: string
  readonly policy?: Partial<BrokerPolicy>
  /** Uids besides our own and root that may talk to this broker. */
  readonly allowedUids?: readonly number[]
  /** The control socket's directory must be 0700 and ours. Default true. */
  readonly requirePrivateDirectory?: boolean
  /**
   * The admin verb SHUTDOWN was asked, with the time its sender would wait for the drain, **ms** (0: the broker's own limit).
   * The answer has been given when this is called. Without it the verb is refused.
   */
  readonly onShutdown?: (drainDeadlineMs: number) => void
  /** What LIST_INSTANCES calls a broker that has no control socket of its own. */
  readonly name?: string
  /** Everything that happens, one report each. It must not throw. */
  readonly observe?: Observe<BrokerReport>
  /**
   * Shows the broker and its connections to an inspector: `true` on the socket beside the control socket, where
   * `handoff inspect --control-socket` listens, or an address. Default: the variable HANDOFF_INSPECT; else off.
   */
  readonly inspect?: InspectOption
}

export interface Broker {
  /** For `listeners.x.attach(broker.server)` under serveDaemon. Only without `controlSocket`. */
  readonly server: Server | null
  /** How often what happened, by stage and reason. */
  counters(): Readonly<Record<string, number>>
  /** Client connections being attended to. */
  connections(): number
  /** Takes no more clients, ends the exchanges in flight within `drainTimeoutMs`. The endpoint stays open. */
  drain(): Promise<void>
  /** Undoes a drain. */
  resume(): void
  /** Drains, then closes the endpoint and removes its path. */
  close(): Promise<void>
}

/**
 * Serves Hello on a control socket until `close()`. Nothing that a client or a backend does ends it (W1).
 * @throws ERR_HANDOFF_BROKER_USAGE_*, ERR_HANDOFF_SOCKET_PATH_*, ERR_HANDOFF_LISTEN
 */
export async function serveBroker(options: BrokerOptions): Promise<Broker> {
  const policy = validPolicy(options.policy)
  if (options.controlSocket !== undefined) requirePath(options.controlSocket, 'controlSocket')
  if (options.handoffEndpoint !== undefined) requirePath(options.handoffEndpoint, 'handoffEndpoint')
  const configured = serviceFinder(options.services, options.handoffEndpoint)
  const find = options.definitions === undefined ? configured : definedServices(options.definitions, configured)
  const broker = new RunningBroker(options, policy, find)
  broker.open()
  return broker
}

interface Arrived {
  readonly fd: number
  readonly pid: number
}

class RunningBroker implements Broker, ConnectionHome {
  readonly #observe: Observe<BrokerReport>
  readonly #counters = new Counters()
  readonly #acceptsUid: (uid: number) => boolean
  readonly #tokens: TokenStore
  readonly #rates: HelloRateLimit
  readonly #breakers: Breakers
  readonly #connections = new Map<number, BrokerConnection>()
  readonly #runs = new Map<number, TableRun<ReturnType<typeof bindConnection>>>()
  readonly #table
  readonly #owner: TableRun<ReturnType<typeof bindBroker>>
  readonly #tap: InspectTap | null
  /** Makes the watch of a connection; null while nobody looks. */
  readonly #watch: ((id: number) => RunWatch) | null
  /** Accepted, and the owner has not decided yet. */
  #arrived: Arrived | null = null
  /** Let in, and not started yet: a machine steps alone, so not inside the owner's own step. */
  #admitted: BrokerConnection | null = null
  readonly #inLane = new Set<number>()
  readonly #large = new Map<number, number>()
  #largeBytes = 0
  #nextId = 1
  #nextConnectionId = 1n
  #endpoint: BrokerEndpoint | null = null
  #drained: (() => void)[] = []
  #ended: (() => void)[] = []
  #openError: unknown
  readonly #admin: AdminFacts = {
    controlSocket: () => this.options.controlSocket ?? this.options.name ?? '',
    counters: () => this.counters(),
    openMetrics: () => this.#counters.toOpenMetrics('handoff_broker'),
    connections: () => this.#connections.size,
    tokens: () => this.#tokens.size,
    accepting: () => this.#owner.view.hasTag('accepting'),
    services: () => knownServices(this.options.services),
    find: (name) => this.find(name),
    lane: (endpoint) => this.#breakers.look(endpoint),
    policy: () => this.policy,
    shutdown: (ms) => this.#shutdown(ms),
  }
  server: Server | null = null

  constructor(
    readonly options: BrokerOptions,
    readonly policy: BrokerPolicy,
    readonly find: FindService,
  ) {
    const bound = bindConnection((id) => this.#connections.get(id) as BrokerConnection)
    this.#table = machineTable(bound, { policy, id: 0 })
    const observe = observeSafely(options.observe)
    this.#observe = (report) => {
      countBrokerReport(this.#counters, report)
      observe(report)
    }
    this.#acceptsUid = peerPolicy(options.allowedUids)
    this.#tokens = new TokenStore(policy, equalSecrets)
    this.#rates = new HelloRateLimit(policy)
    this.#breakers = new Breakers(policy, (endpoint, open) => this.#observe({ kind: 'breaker', endpoint, open }))
    this.#tap = brokerTap(options.inspect, options.controlSocket)
    const owner = bindBroker({
      openEndpoint: () => this.#openEndpoint(),
      startAccepting: () => this.#endpoint?.start(),
      stopAccepting: () => this.#endpoint?.stop(),
      startConnection: (pressed) => this.#startConnection(pressed),
      turnAway: () => this.#turnAway(),
      abandonConnections: () => this.#abandonConnections(),
      closeEndpoint: () => this.#endpoint?.close(),
      reportDrained: () => this.#reportDrained(),
    })
    const table = machineTable(owner, { policy })
    const show = this.#tap?.as('broker')
    const shown = show && watchRuns(show, owner, table.stepper, 'broker', null)
    const end = {
      complete: () => {
        for (const resolve of this.#ended.splice(0)) resolve()
      },
      // Its effects catch what can be expected; anything else is a fault of ours that must not go on in silence.
      error: (error: unknown) =>
        queueMicrotask(() => {
          throw error
        }),
    }
    this.#owner = new TableRun(table, 0, end, shown?.(0))
    this.#watch = show === undefined ? null : watchRuns(show, bound, this.#table.stepper, 'connection', 'broker:0')
  }

  get handoffBudgetMs(): number {
    return this.policy.handoffBudgetMs
  }

  open(): void {
    this.#owner.start()
    if (this.#openError !== undefined) throw this.#openError
  }

  counters(): Readonly<Record<string, number>> {
    return this.#counters.toJSON()
  }

  connections(): number {
    return this.#connections.size
  }

  async drain(): Promise<void> {
    if (this.#owner.view.status !== 'active') return
    const empty = new Promise<void>((resolve) => this.#drained.push(resolve))
    this.#owner.send({ type: 'broker.drainRequested' })
    if (this.#owner.view.hasTag('drained')) this.#reportDrained()
    await empty
  }

  resume(): void {
    this.#owner.send({ type: 'broker.resumeRequested' })
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      if (this.#owner.view.status !== 'active') resolve()
      else this.#ended.push(resolve)
    })
    this.#owner.send({ type: 'broker.stopRequested' })
    await ended
    this.#breakers.stop()
    this.#reportDrained()
    this.#tap?.stop()
  }

  // ---- the endpoint ----

  #openEndpoint(): void {
    const handlers = {
      onConnection: (fd: number) => this.#arrive(fd),
      onStarved: (error: unknown) => {
        this.#observe({ kind: 'starved', error })
        this.#owner.send({ type: 'accept.starved' })
      },
    }
    const { controlSocket, requirePrivateDirectory = true } = this.options
    try {
      if (controlSocket === undefined) {
        const lent = lentEndpoint(handlers)
        this.server = lent.server
        this.#endpoint = lent
      } else this.#endpoint = ownEndpoint(controlSocket, requirePrivateDirectory, handlers)
    } catch (error) {
      this.#openError = error
      this.#owner.send({ type: 'endpoint.failed' })
      return
    }
    this.#owner.send({ type: 'endpoint.opened' })
  }

  /** A foreign user is gone before a byte was read. */
  #arrive(fd: number): void {
    try {
      const { uid, pid } = peerCredentials(fd)
      if (!this.#acceptsUid(uid)) {
        closeFd(fd)
        this.#observe({ kind: 'peerRejected', uid, pid: pid ?? 0 })
        return
      }
      this.#arrived = { fd, pid: pid ?? 0 }
      this.#owner.send({ type: 'client.accepted' })
      // A broker that has just been asked to stop takes nobody in.
      if (this.#arrived !== null) closeFd(fd)
      this.#arrived = null
    } catch (error) {
      closeFd(fd)
      this.#observe({ kind: 'fault', where: 'accept', error })
    }
    const admitted = this.#admitted
    this.#admitted = null
    if (admitted !== null) this.#run(admitted.id, admitted)
  }

  // ---- connections ----

  #startConnection(pressed: boolean): void {
    const connection = this.#take(pressed)
    this.#connections.set(connection.id, connection)
    this.#admitted = connection
  }

  #run(id: number, connection: BrokerConnection): void {
    const end = {
      complete: () => this.#forget(id),
      // A fault of our own in one connection stays in it (W1).
      error: (error: unknown) => {
        this.#observe({ kind: 'fault', where: 'connection', error })
        // The backend may hold it already (INV-22).
        connection.cutConnection()
        connection.closeHandles()
        this.#tokens.revoke(id)
        this.#leaveLane(connection, 'ioError')
        this.#forget(id)
      },
    }
    const run = new TableRun(this.#table, id, end, this.#watch?.(id))
    this.#runs.set(id, run)
    run.start()
  }

  #take(pressed: boolean): BrokerConnection {
    const { fd, pid } = this.#arrived as Arrived
    this.#arrived = null
    const id = this.#nextId++
    return new BrokerConnection(id, fd, pid, pressed, this.server === null, this, (event) =>
      this.#runs.get(id)?.send(event),
    )
  }

  #turnAway(): void {
    this.#take(true).turnAway()
    this.#observe({ kind: 'refused', code: 'fdPressure', reason: 'too many connections', pid: 0 })
  }

  #forget(id: number): void {
    if (!this.#connections.delete(id)) return
    this.#runs.delete(id)
    this.#largeBytes -= this.#large.get(id) ?? 0
    this.#large.delete(id)
    this.#owner.send({ type: 'connection.ended' })
  }

  #abandonConnections(): void {
    for (const run of [...this.#runs.values()]) run.send({ type: 'broker.stopped' })
  }

  #reportDrained(): void {
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  // ---- what connections ask for ----

  answer(connection: BrokerConnection, body: Uint8Array): Answer {
    const { id, peerPid, pressed } = connection
    const answer = answerFrame(body, {
      peerPid,
      pressed,
      find: this.find,
      fault: (where, error) => this.#observe({ kind: 'fault', where, error }),
      admit: () => this.#rates.admit(peerPid, performance.now()),
      issueToken: () => this.#tokens.issue(id, performance.now(), takeToken),
      nextConnectionId: () => this.#nextConnectionId++,
      admin: this.#admin,
    })
    const { said } = answer
    if (said.kind === 'refused') {
      this.#observe({ kind: 'refused', code: said.refusal.code, reason: said.refusal.reason, pid: peerPid })
    } else if (said.kind === 'negotiated') {
      this.#observe({ kind: 'hello', service: said.serviceName, pid: peerPid, handoff: said.promised !== null })
    }
    return answer
  }

  /** Once its answer has had a turn of the loop to leave. */
  #shutdown(ms: number): boolean {
    const { onShutdown } = this.options
    if (onShutdown !== undefined) setImmediate(() => onShutdown(ms))
    return onShutdown !== undefined
  }

  reserve({ id }: BrokerConnection, bytes: number): boolean {
    if (this.#largeBytes + bytes > this.policy.largeHelloBytes) return false
    this.#large.set(id, bytes)
    this.#largeBytes += bytes
    return true
  }

  screen({ id }: BrokerConnection, endpoint: string): Reason | null {
    const reason = this.#breakers.enter(endpoint)
    if (reason === null) this.#inLane.add(id)
    return reason
  }

  acceptsPeer(uid: number): boolean {
    return this.#acceptsUid(uid)
  }

  consumeToken({ id, promised }: BrokerConnection): boolean {
    return promised !== null && this.#tokens.consume(id, promised.token, performance.now()) === 'consumed'
  }

  revokeToken({ id }: BrokerConnection): void {
    this.#tokens.revoke(id)
  }

  ended(connection: BrokerConnection, adopted: boolean, failure: Failure | null): void {
    this.#leaveLane(connection, failure?.reason ?? null)
    const { promised, serviceName: service, startedAt, lastError } = connection
    const ms = performance.now() - startedAt
    if (adopted) this.#observe({ kind: 'adopted', service, connectionId: promised?.correlationId ?? 0n, ms })
    else if (failure !== null && promised !== null) {
      const error = lastError === undefined ? {} : { error: lastError }
      this.#observe({ kind: 'fellBack', service, connectionId: promised.correlationId, ...failure, ms, ...error })
    } else if (failure !== null) this.#observe({ kind: 'ended', failure })
  }

  #leaveLane(connection: BrokerConnection, failure: Reason | null): void {
    const endpoint = connection.promised?.service.handoffEndpoint
    if (endpoint === undefined || !this.#inLane.delete(connection.id)) return
    queueMicrotask(() => this.#breakers.leave(endpoint, failure))
  }
}

/** The daemon's listeners, inherited or bound, and the servers attached to them: they start and stop accepting together. */
import type { Server } from 'node:net'
import { daemonError } from '../errors/daemon.js'
import { closeFd } from '../os/fds.js'
import type { InheritedListener } from '../os/inherited.js'
import { bindListener, DEFAULT_BACKLOG, formatAddress, queueFacts } from '../os/listeners.js'
import { type AttachedServer, attachServer, type ReleaseResult } from './attach/attach-server.js'
import type { DrainResult } from './attach/drain.js'
import { type DialSuccessor, forwarder } from './attach/forward.js'
import type { IncomingConnections } from './attach/incoming.js'
import type { LateRest } from './attach/late-rest.js'
import type { MovableProtocol } from './attach/movable-protocol.js'
import type { OutgoingConnections } from './attach/outgoing.js'
import { StagingAreas } from './attach/staging-area.js'
import type { DaemonListener, HookLimits, ListenOptions } from './options.js'

export class ListenerSet {
  readonly #listeners = new Map<string, DaemonListener>()
  /** Attached now, per listener in order of attachment. */
  #attached = new Map<string, AttachedServer[]>()
  /** Attached before the last reopen: the n-th new server takes the connections of the n-th old one over. */
  #previous = new Map<string, AttachedServer[]>()
  #staged: StagingAreas | undefined

  constructor(inherited: readonly InheritedListener[], wanted: { readonly [name: string]: ListenOptions }) {
    for (const { name, fd, address } of inherited) {
      const backlog = queueFacts(fd)?.backlog ?? DEFAULT_BACKLOG
      this.#add(name, fd, backlog, formatAddress(address))
    }
    for (const [name, options] of Object.entries(wanted)) {
      if (this.#listeners.has(name)) continue
      const backlog = options.backlog ?? DEFAULT_BACKLOG
      const address =
        'path' in options
          ? ({ kind: 'unix', path: options.path } as const)
          : ({ kind: 'tcp', host: options.host ?? null, port: options.port ?? 0 } as const)
      const bound = bindListener({ name, address, backlog })
      this.#add(name, bound.fd, backlog, formatAddress(bound.address))
    }
  }

  /** For `open` and `prepare`; a name that does not exist tells so instead of being undefined. */
  byName(): { readonly [name: string]: DaemonListener } {
    return new Proxy(Object.fromEntries(this.#listeners), {
      get: (target, name) => {
        if (typeof name !== 'string' || Object.hasOwn(target, name)) return Reflect.get(target, name)
        throw daemonError('ERR_HANDOFF_USAGE_LISTENER_UNKNOWN', [
          name,
          [...this.#listeners.keys()].join(', ') || 'none',
        ])
      },
    })
  }

  all(): readonly DaemonListener[] {
    return [...this.#listeners.values()]
  }

  get servers(): readonly AttachedServer[] {
    return [...this.#attached.values()].flat()
  }

  /** Before the state is opened again: what gets attached now replaces what is attached. */
  expectReplacements(): void {
    this.#previous = this.#attached
    this.#attached = new Map()
  }

  async startAccepting(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.startAccepting()))
  }

  async stopAccepting(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stopAccepting()))
  }

  /** Where the incumbent's connections wait until their server is attached. */
  stage(): StagingAreas {
    this.#staged ??= new StagingAreas((key) => this.#listeners.has(key.split('#')[0] as string))
    for (const [key, server] of this.#keyed()) this.#staged.get(key)?.bind(server.incoming())
    return this.#staged
  }

  /** What can go to a successor, by the keys that it stages it under. */
  outgoing(): ReadonlyMap<string, OutgoingConnections> {
    return new Map([...this.#keyed()].map(([key, server]) => [key, server.outgoing()]))
  }

  /** For connections that come when their servers serve already. */
  incoming(): ReadonlyMap<string, IncomingConnections> {
    return new Map([...this.#keyed()].map(([key, server]) => [key, server.incoming()]))
  }

  /** Of every server that lingers; see {@link AttachedServer.lateRest}. */
  lateRests(tell: () => void): LateRest[] {
    return this.servers.flatMap((server) => server.lateRest(tell) ?? [])
  }

  /** A successor stands ready: drains leave connections as they are, where they can move. */
  keepConnections(keep: boolean): void {
    for (const server of this.servers) server.keepsConnections = keep
  }

  /** Keys of servers that answer HTTP requests. */
  keysWithHttp(): string[] {
    return [...this.#keyed()].flatMap(([key, server]) => (server.answersHttp ? [key] : []))
  }

  /** The server that a successor knows under this key. */
  keyed(key: string): AttachedServer | undefined {
    for (const [known, server] of this.#keyed()) if (known === key) return server
    return undefined
  }

  /** The successor answers from now on what comes to the sessions that stay here; `false` from `closing` ends none of them. */
  async forward(dial: DialSuccessor, closing: () => boolean): Promise<void> {
    await Promise.all([...this.#keyed()].map(([key, server]) => server.forward(forwarder(dial, key, closing))))
  }

  /** Sessions that can say so announce their end. */
  sayGoodbye(): void {
    for (const server of this.servers) server.sayGoodbye()
  }

  async drain(limits: HookLimits): Promise<readonly DrainResult[]> {
    return await Promise.all(this.servers.map((server) => server.drain(limits)))
  }

  /** Resolves when no connection is left, or at the signal. */
  async ended(signal: AbortSignal): Promise<void> {
    await Promise.all(this.servers.map((server) => server.ended(signal)))
  }

  openConnections(): number {
    return this.servers.reduce((sum, server) => sum + server.connections().open, 0)
  }

  /** Closes what is idle, before the process ends. */
  async release(): Promise<ReleaseResult> {
    const results = await Promise.all(this.servers.map((server) => server.release()))
    return {
      idleClosed: results.reduce((sum, { idleClosed }) => sum + idleClosed, 0),
      withUnread: results.reduce((sum, { withUnread }) => sum + withUnread, 0),
    }
  }

  close(): void {
    for (const { fd } of this.#listeners.values()) closeFd(fd)
    this.#listeners.clear()
  }

  *#keyed(): Iterable<[string, AttachedServer]> {
    for (const [name, servers] of this.#attached) {
      for (const [index, server] of servers.entries()) yield [keyOf(name, index), server]
    }
  }

  #add(name: string, fd: number, backlog: number, address: string): void {
    const attach = (server: Server, protocol?: MovableProtocol): AttachedServer => {
      const now = this.#attached.get(name) ?? []
      const replaces = this.#previous.get(name)?.[now.length]
      const options = { ...(replaces && { replaces }), ...(protocol && { protocol }) }
      const handle = attachServer({ name, fd, backlog }, server, options)
      if (!now.includes(handle)) {
        this.#attached.set(name, [...now, handle])
        this.#staged?.get(keyOf(name, now.length))?.bind(handle.incoming())
      }
      return handle
    }
    this.#listeners.set(name, { name, fd, backlog, address, attach })
  }
}

/** Both programs attach in their own code: the n-th server of a listener takes the n-th one's connections. */
const keyOf = (name: string, index: number): string => (index === 0 ? name : `${name}#${index}`)

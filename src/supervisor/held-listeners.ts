/** The listening sockets: bound once, or taken back from a living primitive, and held until the supervisor ends (INV-04). */
import type { Logger } from '../observe/log.js'
import { closeFd, describeFd } from '../os/fds.js'
import { isSameAddress, unixPathLeadsTo } from '../os/listener-address.js'
import {
  type BoundListener,
  bindListener,
  DEFAULT_BACKLOG,
  formatAddress,
  parseAddress,
  queueFacts,
} from '../os/listeners.js'
import type { SocketName } from '../os/native.js'
import { unlinkIfThere } from '../os/unix-socket.js'
import type { ListenerSpec, ListenerStatus } from './types.js'

export interface GivenListener {
  readonly name: string
  readonly fd: number
}

export class HeldListeners {
  readonly #specs: readonly ListenerSpec[]
  readonly #inherited: readonly GivenListener[]
  readonly #log: Logger
  #held: BoundListener[] = []

  /** @param inherited from socket activation; they stay open whatever becomes of the others */
  constructor(specs: readonly ListenerSpec[], inherited: readonly GivenListener[], log: Logger) {
    this.#specs = specs
    this.#inherited = inherited
    this.#log = log
  }

  /** In the order of the configuration: that is the order of their descriptors in every primitive. */
  get all(): readonly BoundListener[] {
    return this.#held
  }

  /**
   * Keeps what was given, closes what nobody configured, binds what is missing.
   * @param findMore a second way to what the given ones lack: each with the name it was asked for under.
   * @throws ERR_HANDOFF_LISTEN; nothing is held then
   */
  complete(
    given: readonly GivenListener[],
    findMore: (missing: readonly ListenerSpec[]) => readonly GivenListener[] = () => [],
  ): void {
    const held = new Map<string, BoundListener>()
    for (const { name, fd } of this.#inherited) {
      const { socket } = describeFd(fd)
      if (socket !== undefined) held.set(name, { name, fd, address: socket.local, close: () => closeFd(fd) })
    }
    try {
      this.#adoptAll(given, held)
      const missing = this.#specs.filter(({ name }) => !held.has(name))
      if (missing.length > 0) this.#adoptAll(findMore(missing), held)
      for (const spec of this.#specs) if (!held.has(spec.name)) held.set(spec.name, this.#bind(spec, given.length > 0))
    } catch (error) {
      for (const { fd } of held.values()) closeFd(fd)
      throw error
    }
    this.#held = this.#specs.map(({ name }) => held.get(name) as BoundListener)
  }

  status(): ListenerStatus[] {
    return this.#held.map(({ name, fd, address }, i) => {
      const queue = queueFacts(fd)
      const backlog = queue?.backlog ?? this.#specs[i]?.backlog ?? DEFAULT_BACKLOG
      return { name, address: formatAddress(address), queued: queue?.queued ?? null, backlog }
    })
  }

  /** With `keepPaths` the primitive that serves on keeps its Unix sockets' names. */
  close(keepPaths: boolean): void {
    for (const listener of this.#held.splice(0)) {
      if (keepPaths) closeFd(listener.fd)
      else listener.close()
    }
  }

  #adoptAll(given: readonly GivenListener[], held: Map<string, BoundListener>): void {
    for (const { name, fd } of given) {
      const spec = this.#specs.find((candidate) => candidate.name === name)
      const taken = spec === undefined || held.has(name) ? null : this.#adopt(spec, fd)
      if (taken === null) closeFd(fd)
      else held.set(name, taken)
    }
  }

  #adopt(spec: ListenerSpec, fd: number): BoundListener | null {
    const { socket } = describeFd(fd)
    const log = (why: string) => this.#log.warn({ listener: spec.name }, `${why}; it is bound anew`)
    if (socket === undefined || socket.type !== 'stream' || !socket.listening || socket.family === 'other') {
      log('the primitive gave something that is no listener')
      return null
    }
    const wanted = parseAddress(spec.addr)
    if (!isSameAddress(socket.local, wanted)) {
      log(`the primitive listens on ${formatAddress(socket.local)}, the configuration says ${spec.addr}`)
      return null
    }
    // A Unix socket goes by the name it was bound under; people know the path.
    const address = wanted.kind === 'unix' ? ({ family: 'unix', path: wanted.path } as const) : socket.local
    this.#log.info({ listener: spec.name, address: formatAddress(address) }, 'taken back from the living primitive')
    return { name: spec.name, fd, address, close: () => closeAdopted(fd, address) }
  }

  #bind(spec: ListenerSpec, besideLiving: boolean): BoundListener {
    const bound = bindListener({ name: spec.name, address: spec.addr, backlog: spec.backlog ?? DEFAULT_BACKLOG })
    if (besideLiving) {
      this.#log.warn(
        { listener: spec.name },
        'the running program does not have it: its clients wait for the next swap',
      )
    }
    return bound
  }
}

/** Another process made the path; when nobody else answers there any more it goes with the socket. */
function closeAdopted(fd: number, address: SocketName): void {
  const local = describeFd(fd).socket?.local
  const isOurs = address.family === 'unix' && local?.family === 'unix' && unixPathLeadsTo(address.path, local.path)
  closeFd(fd)
  if (address.family === 'unix' && isOurs) unlinkIfThere(address.path)
}

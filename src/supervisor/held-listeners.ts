/** The listening sockets: bound once, or taken back from a living primitive, and held until the supervisor ends (INV-04). */
import type { Logger } from '../observe/log.js'
import { closeFd, describeFd } from '../os/fds.js'
import { type BoundListener, bindListener, DEFAULT_BACKLOG, formatAddress, queueFacts } from '../os/listeners.js'
import type { ListenerSpec, ListenerStatus } from './types.js'

export interface GivenListener {
  readonly name: string
  readonly fd: number
}

export class HeldListeners {
  readonly #specs: readonly ListenerSpec[]
  readonly #log: Logger
  #held: BoundListener[] = []

  constructor(specs: readonly ListenerSpec[], log: Logger) {
    this.#specs = specs
    this.#log = log
  }

  /** In the order of the configuration: that is the order of their descriptors in every primitive. */
  get all(): readonly BoundListener[] {
    return this.#held
  }

  /** Keeps what was given, closes what nobody configured, binds what is missing. @throws ERR_HANDOFF_LISTEN */
  complete(given: readonly GivenListener[]): void {
    const unused = new Map(given.map(({ name, fd }) => [name, fd]))
    const held: BoundListener[] = []
    try {
      for (const spec of this.#specs) {
        const fd = unused.get(spec.name)
        unused.delete(spec.name)
        const taken = fd === undefined ? null : this.#adopt(spec, fd)
        held.push(
          taken ?? bindListener({ name: spec.name, address: spec.addr, backlog: spec.backlog ?? DEFAULT_BACKLOG }),
        )
      }
    } catch (error) {
      for (const listener of held) listener.close()
      throw error
    } finally {
      for (const fd of unused.values()) closeFd(fd)
    }
    this.#held = held
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

  #adopt(spec: ListenerSpec, fd: number): BoundListener | null {
    const { socket } = describeFd(fd)
    if (socket === undefined || socket.type !== 'stream' || !socket.listening || socket.family === 'other') {
      this.#log.warn({ listener: spec.name }, 'the primitive gave something that is no listener; binding anew')
      closeFd(fd)
      return null
    }
    this.#log.info(
      { listener: spec.name, address: formatAddress(socket.local) },
      'the primitive gave its listener back',
    )
    return { name: spec.name, fd, address: socket.local, close: () => closeFd(fd) }
  }
}

/** HTTP connections that were busy at the cut, and come to rest while the old program lingers for them. */
import type { Connection } from './connection.js'
import type { ConnectionTable } from './connection-table.js'
import { park, unpark } from './park.js'

export class LateRest {
  readonly #table: ConnectionTable
  readonly #isMovable: (connection: Connection) => boolean
  readonly #unobserve: () => void
  /** Each is tried once: who was refused once would be refused again, and is answered from here. */
  readonly #tried = new WeakSet<Connection>()
  readonly #taken = new Set<Connection>()
  #immediate: NodeJS.Immediate | undefined

  /**
   * @param isMovable whether it could go at all
   * @param tell called once, in a turn of its own, after something may have come to rest: {@link take} may have something
   */
  constructor(table: ConnectionTable, isMovable: (connection: Connection) => boolean, tell: () => void) {
    this.#table = table
    this.#isMovable = isMovable
    const later = (): void => {
      this.#immediate ??= setImmediate(() => {
        this.#immediate = undefined
        tell()
      })
    }
    this.#unobserve = table.observe({ onChange: later, onGone: (connection) => this.#taken.delete(connection) })
    later()
  }

  /** Leaves unread what rests now and was not tried before. @returns how many */
  take(): number {
    const look = this.#table.look()
    for (const connection of this.#table.all) {
      if (connection.parked !== null || this.#tried.has(connection) || !this.#isMovable(connection)) continue
      if (look(connection) !== null) continue
      this.#tried.add(connection)
      park(connection)
      this.#taken.add(connection)
    }
    return this.#taken.size
  }

  /** They did not go: reads them again. */
  giveBack(): void {
    for (const connection of this.#taken) unpark(connection)
    this.#taken.clear()
  }

  /** Nobody knows whether the successor reads them: only one may, so it is not this process (INV-14). */
  letGo(): void {
    for (const connection of this.#taken) connection.socket.destroy()
    this.#taken.clear()
  }

  close(): void {
    this.#unobserve()
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
    this.giveBack()
  }
}

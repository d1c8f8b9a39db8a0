/** What a protocol other than HTTP/1.1 tells about its connections, so that they can move with the program. */
import type { Socket } from 'node:net'

/** Plain data: it travels as JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * `busy`: not at a safe point, ask again soon. `stays`: this one can never move; it lingers. `state`: nothing half-read and
 * nothing half-written, and this is all that the next program has to know.
 */
export type ParkAnswer = 'busy' | 'stays' | { readonly state: Json }

export interface MovableProtocol {
  /**
   * Asked while the socket's own queues are empty; from the turn of the loop in which the last answer is given on, nobody
   * reads it here. May be asked again and changes nothing: the swap may be undone, and then reading simply goes on. What is
   * written later must be whole messages, and none after `seal`.
   */
  park(socket: Socket): ParkAnswer
  /** In the successor once it serves. Sets the listeners up; bytes arrive from the next turn on. */
  adopt(socket: Socket, state: Json): void
  /** The successor serves, and this connection could not move: say goodbye in the protocol's own words. Default: it lingers. */
  dismiss?(socket: Socket): void
}

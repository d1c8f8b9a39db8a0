/**
 * What a relay remembers for viewers that come late: the last messages, and for everything older the present state.
 *
 * Whoever replays it sees each actor's definition first, then a state, then what followed: as if it had been there.
 */

export interface MemoryLimits {
  readonly messages: number
  readonly bytes: number
  readonly actors: number
}

/** A swap is about 300 messages; a machine's definition about 20 kB. */
export const MEMORY_LIMITS: MemoryLimits = { messages: 4_000, bytes: 4 * 1024 * 1024, actors: 128 }

export interface Remembered {
  readonly text: string
  readonly type: string
  readonly sessionId: string
}

/** What fell out of the window, folded into one definition and one state. */
interface Base {
  actor: string | null
  snapshot: string | null
}

export class RelayMemory {
  readonly #limits: MemoryLimits
  readonly #window: Remembered[] = []
  readonly #bases = new Map<string, Base>()
  #first = 0
  #bytes = 0

  constructor(limits: MemoryLimits = MEMORY_LIMITS) {
    this.#limits = limits
  }

  get size(): { messages: number; bytes: number; actors: number } {
    return { messages: this.#window.length - this.#first, bytes: this.#bytes, actors: this.#bases.size }
  }

  add(message: Remembered): void {
    this.#window.push(message)
    this.#bytes += message.text.length
    while (this.#window.length - this.#first > this.#limits.messages || this.#bytes > this.#limits.bytes) this.#fold()
    if (this.#first > this.#limits.messages) {
      this.#window.splice(0, this.#first)
      this.#first = 0
    }
  }

  *replay(): Generator<string> {
    for (const { actor, snapshot } of this.#bases.values()) {
      if (actor !== null) yield actor
      if (snapshot !== null) yield snapshot
    }
    for (let i = this.#first; i < this.#window.length; i += 1) yield (this.#window[i] as Remembered).text
  }

  #fold(): void {
    const oldest = this.#window[this.#first]
    if (oldest === undefined) return
    this.#first += 1
    this.#bytes -= oldest.text.length
    const { sessionId, text, type } = oldest
    if (type === '@handoff.gone') {
      for (const id of goneIds(text)) this.#bases.delete(id)
      return
    }
    if (type !== '@xstate.actor' && type !== '@xstate.snapshot') return
    const base = this.#bases.get(sessionId) ?? { actor: null, snapshot: null }
    if (type === '@xstate.actor') base.actor = text
    else base.snapshot = text
    // What has ended is not part of the present.
    if (type === '@xstate.snapshot' && !isActive(text)) this.#bases.delete(sessionId)
    else this.#bases.set(sessionId, base)
    const surplus = this.#bases.keys().next().value
    if (this.#bases.size > this.#limits.actors && surplus !== undefined) this.#bases.delete(surplus)
  }
}

function isActive(text: string): boolean {
  const { snapshot } = JSON.parse(text) as { snapshot?: { status?: string } }
  return snapshot?.status === undefined || snapshot.status === 'active'
}

function goneIds(text: string): string[] {
  return (JSON.parse(text) as { sessionIds: string[] }).sessionIds
}

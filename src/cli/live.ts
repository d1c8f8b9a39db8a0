/** A running swap on stderr: one moving line on a TTY, one line a phase when piped. */
import { duration, limit } from './format.js'
import type { Io } from './io.js'

export interface PhaseEvent {
  readonly phase: string
  /** Since the swap began, ms. */
  readonly elapsedMs: number
  /** The whole swap's deadline, ms. */
  readonly budgetMs: number
}

export interface Live {
  show(event: PhaseEvent): void
  /** Leaves the screen clean for the result. */
  end(): void
}

/** Redraws per second. More is only flicker. */
const FRAMES_PER_SECOND = 10

export const createLive = (io: Io): Live => (io.errIsTTY ? new MovingLine(io) : new PlainLines(io))

class PlainLines implements Live {
  constructor(readonly io: Io) {}

  show({ phase, elapsedMs, budgetMs }: PhaseEvent): void {
    this.io.err(`${phase} after ${duration(elapsedMs)} of ${limit(budgetMs)}\n`)
  }

  end(): void {}
}

class MovingLine implements Live {
  #shown: { event: PhaseEvent; at: number } | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(readonly io: Io) {}

  show(event: PhaseEvent): void {
    this.#shown = { event, at: performance.now() }
    this.#timer ??= setInterval(() => this.#draw(), 1000 / FRAMES_PER_SECOND)
    this.#draw()
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    if (this.#shown !== null) this.io.err('\r\x1b[K')
    this.#shown = null
  }

  #draw(): void {
    if (this.#shown === null) return
    const { event, at } = this.#shown
    const inPhase = performance.now() - at
    const line = `  ${event.phase}  ${duration(inPhase)}   ${duration(event.elapsedMs + inPhase)} of ${limit(event.budgetMs)}`
    // One column stays free: a full line would wrap and the next redraw would leave it behind.
    this.io.err(`\r${line.slice(0, Math.max(0, this.io.columns() - 1))}\x1b[K`)
  }
}

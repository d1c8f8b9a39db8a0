/** `handoff watch`: the status as it changes. One screen on a terminal, one line for each change when piped. */
import type { SupervisorStatus } from '../supervisor/types.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import { duration, limit } from './format.js'
import type { Io } from './io.js'
import { statusReport } from './status.js'
import { TARGET_FLAGS, TARGET_NOTE, triggerPath } from './target.js'
import { ask } from './trigger-client.js'

const FLAGS = { ...TARGET_FLAGS, json: { type: 'boolean', help: 'each status as one line of JSON' } } as const

export const usage = {
  command: 'handoff watch',
  summary: 'show who serves and how a swap goes, live.',
  flags: FLAGS,
  notes: `${TARGET_NOTE}\nOn a terminal one screen that follows its size; piped, one line for each change. Exit codes: 0 ended by Ctrl-C, 64 usage, 69 no supervisor, or it has ended.`,
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const leaving = new AbortController()
  const off = io.onSignal(['SIGINT', 'SIGTERM'], () => leaving.abort())
  const show = flags.json === true ? jsonLines(io) : io.outIsTTY ? new Screen(io) : plainLines(io)
  try {
    for await (const answer of ask(triggerPath(flags, io), { cmd: 'watch' }, { signal: leaving.signal })) {
      if (answer.event === 'status') show.next(answer.status)
    }
  } finally {
    show.end()
    off()
  }
  return leaving.signal.aborted ? EXIT_CODES.ok : EXIT_CODES.unreachable
}

interface Shown {
  next(status: SupervisorStatus): void
  end(): void
}

function jsonLines(io: Io): Shown {
  return { next: (status) => io.out(`${JSON.stringify(status)}\n`), end() {} }
}

/** Only what changed: a log that can be read, not a film. */
function plainLines(io: Io): Shown {
  let told = ''
  return {
    next(status) {
      const line = storyOf(status)
      if (line === told) return
      told = line
      io.out(`${new Date().toISOString()}  ${line}\n`)
    },
    end() {},
  }
}

export function storyOf({ incumbent, swap, lastSwap, state }: SupervisorStatus): string {
  if (swap !== null) return `swap ${swap.handoffId.slice(0, 8)}  ${swap.phase}`
  const serving =
    incumbent === null ? `nobody serves (${state})` : `pid ${incumbent.pid} serves  build ${incumbent.buildId}`
  if (lastSwap === null) return serving
  const ended = { committed: 'committed', rolledBack: 'rolled back', nobodyServes: 'nobody serves' }[lastSwap.result]
  const why = lastSwap.reason === null ? '' : `  ${lastSwap.reason}`
  return `${serving}  last swap ${lastSwap.handoffId.slice(0, 8)} ${ended} in ${duration(lastSwap.totalMs)}${why}`
}

/** Redraws per second while a swap runs; otherwise once a second, for the durations. */
const FRAMES_PER_SECOND = 10

class Screen implements Shown {
  readonly #timer: NodeJS.Timeout
  #shown: { readonly status: SupervisorStatus; readonly at: number } | null = null
  #phases: { name: string; since: number }[] = []
  #frame = 0

  constructor(readonly io: Io) {
    // The alternate screen: what was there before comes back.
    io.out('\x1b[?1049h\x1b[?25l')
    this.#timer = setInterval(() => this.#tick(), 1000 / FRAMES_PER_SECOND)
  }

  next(status: SupervisorStatus): void {
    const before = this.#shown?.status.swap ?? null
    const { swap } = status
    if (swap !== null && before?.handoffId !== swap.handoffId) this.#phases = []
    if (swap !== null && this.#phases.at(-1)?.name !== swap.phase) {
      this.#phases.push({ name: swap.phase, since: performance.now() })
    }
    this.#shown = { status, at: performance.now() }
    this.#draw()
  }

  end(): void {
    clearInterval(this.#timer)
    this.io.out('\x1b[?25h\x1b[?1049l')
  }

  #tick(): void {
    this.#frame += 1
    if (this.#shown?.status.swap !== null || this.#frame % FRAMES_PER_SECOND === 0) this.#draw()
  }

  #draw(): void {
    if (this.#shown === null) return
    const { status, at } = this.#shown
    const passed = performance.now() - at
    const swap = status.swap && { ...status.swap, elapsedMs: status.swap.elapsedMs + passed }
    const lines = [
      ...statusReport({ ...status, swap }, Date.now())
        .trimEnd()
        .split('\n'),
      '',
    ]
    for (const [i, { name, since }] of this.#phases.entries()) {
      const until = this.#phases[i + 1]?.since ?? (swap === null ? null : performance.now())
      lines.push(`  ${name.padEnd(12)}${until === null ? '' : duration(until - since)}`)
    }
    if (swap !== null) lines.push('', `  ${duration(swap.elapsedMs)} of ${limit(swap.budgetMs)}`)
    const { columns, rows } = this.#size()
    const cut = lines.slice(0, Math.max(1, rows - 1)).map((line) => line.slice(0, Math.max(1, columns - 1)))
    this.io.out(`\x1b[H${cut.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`)
  }

  /** Asked at each frame, so that a resize needs no signal. */
  #size(): { columns: number; rows: number } {
    return { columns: this.io.columns(), rows: this.io.rows?.() ?? 24 }
  }
}

/** What a command may touch of its process, so that a test can hand it something else. */

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

export interface Io {
  /** The result. */
  out(text: string): void
  /** The story. */
  err(text: string): void
  readonly outIsTTY: boolean
  readonly errIsTTY: boolean
  /** Columns of the terminal behind stderr. */
  columns(): number
  /** Rows of the terminal behind stdout. */
  rows?(): number
  readonly env: Readonly<Record<string, string | undefined>>
  /** @returns the way out. While one is registered, the signal does not end the process by itself. */
  onSignal(signals: readonly StopSignal[], handler: (signal: StopSignal) => void): () => void
}

export function processIo(): Io {
  // `handoff status | head -0`: whoever read our output has left. There is nobody to tell, and it is no error.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    outIsTTY: process.stdout.isTTY === true,
    errIsTTY: process.stderr.isTTY === true,
    columns: () => process.stderr.columns ?? process.stdout.columns ?? 80,
    rows: () => process.stdout.rows ?? 24,
    env: process.env,
    onSignal(signals, handler) {
      for (const signal of signals) process.on(signal, handler)
      return () => {
        for (const signal of signals) process.off(signal, handler)
      }
    },
  }
}

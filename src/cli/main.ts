/** From a process to a command and back: its words in, its exit code out, and no stack trace for what a person can mend. */
import { isHandoffError } from '../errors/handoff-error.js'
import { EXIT_CODES, exitCodeOfError } from './exit-codes.js'
import { type Io, processIo } from './io.js'

export type Run = (argv: readonly string[], io: Io) => Promise<number>

/** Ends the process. */
export async function main(run: Run): Promise<never> {
  const io = processIo()
  process.exit(await runGuarded(run, process.argv.slice(2), io))
}

/** @returns the exit code; never rejects. */
export async function runGuarded(run: Run, argv: readonly string[], io: Io): Promise<number> {
  try {
    return await run(argv, io)
  } catch (error) {
    io.err(complaint(error, io.env.HANDOFF_LOG_LEVEL === 'debug'))
    return exitCodeOfError(error) || EXIT_CODES.failed
  }
}

export function complaint(error: unknown, withStack: boolean): string {
  const stack = withStack && error instanceof Error ? `${error.stack}\n` : ''
  if (isHandoffError(error)) {
    return `handoff: ${error.happened}\n  now  ${error.now}\n  do   ${error.todo}\n       (${error.code})\n${stack}`
  }
  const hint = withStack ? '' : '  do   run it again with HANDOFF_LOG_LEVEL=debug and report what it prints\n'
  return `handoff: a fault of its own: ${error instanceof Error ? error.message : String(error)}\n${hint}${stack}`
}

/**
 * The story of a process, on stderr: JSON lines by pino, or plain lines when a person is looking (a TTY).
 *
 * Written synchronously: the last line before an exit is the one that matters, and a buffered one would be lost with it.
 */
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import { observeError } from '../errors/observe.js'
import { plainLine } from './plain-line.js'

export type { Logger } from 'pino'

/** Values of the field `event`; dashboards of the reference rely on these names (wire spec). */
export const LOG_EVENTS = {
  prepare: 'handoff.prepare',
  drained: 'handoff.drained',
  seal: 'handoff.seal',
  sealComplete: 'handoff.seal_complete',
  ready: 'handoff.ready',
  commit: 'handoff.commit',
  abort: 'handoff.abort',
  resume: 'handoff.resume',
} as const
export type LogEvent = (typeof LOG_EVENTS)[keyof typeof LOG_EVENTS]

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export interface LogOptions {
  /** One of {@link LOG_LEVELS}. Default: `HANDOFF_LOG_LEVEL`, else `info`. */
  readonly level?: string | undefined
  /** Default: plain on a TTY, JSON otherwise. */
  readonly format?: 'json' | 'plain' | undefined
  /** In every line, besides the pid: who speaks, e.g. `{ role: 'supervisor' }`. */
  readonly base?: Readonly<Record<string, unknown>>
  /** Default: stderr. */
  readonly to?: DestinationStream
}

/** @throws HandoffError ERR_HANDOFF_USAGE_LOG_LEVEL */
export function createLog(options: LogOptions = {}): Logger {
  const level = options.level ?? (process.env.HANDOFF_LOG_LEVEL || 'info')
  if (!(LOG_LEVELS as readonly string[]).includes(level)) {
    throw observeError('ERR_HANDOFF_USAGE_LOG_LEVEL', [level, LOG_LEVELS.join(', ')])
  }
  const isTTY = options.to === undefined && process.stderr.isTTY === true
  const plain = (options.format ?? (isTTY ? 'plain' : 'json')) === 'plain'
  const out = options.to ?? stderr()
  return pino(
    { level, base: { pid: process.pid, ...options.base }, timestamp: stdTimeFunctions.isoTime },
    plain ? { write: (line) => out.write(plainLine(line, isTTY && !process.env.NO_COLOR)) } : out,
  )
}

function stderr(): DestinationStream {
  const out = destination({ dest: 2, sync: true })
  // The reader may go away (EPIPE), the disk may be full (ENOSPC). The log is lost then; the service must not be.
  out.on('error', () => {})
  return out
}

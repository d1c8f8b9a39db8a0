/** `handoff supervise`: a supervisor in the foreground, until SIGTERM, SIGINT or `handoff stop`. */
import './small-process.js'
import { resolve } from 'node:path'
import { INSPECT_ENV } from '../observe/inspect-target.js'
import { TRACE_ENV } from '../observe/trace.js'
import { isHelp, readFlags, type Usage } from './args.js'
import type { Io } from './io.js'
import { realDoor, runSupervisor, type SupervisorDoor } from './run-supervisor.js'
import { DEFAULT_CONFIG } from './target.js'

const FLAGS = {
  config: { type: 'string', short: 'c', value: 'FILE', help: `what to run and where (default: ${DEFAULT_CONFIG})` },
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    help: 'trace, debug, info, warn, error, fatal or silent (default: info)',
  },
  trace: {
    type: 'string',
    value: 'DIR',
    help: "write what the machines do, for 'handoff check --trace'; HANDOFF_TRACE=DIR does the same",
  },
  inspect: { type: 'boolean', help: "show everything to 'handoff inspect'; HANDOFF_INSPECT=1 does the same" },
  json: { type: 'boolean', help: 'outcomes of swaps as lines of JSON on stdout, and the log as JSON too' },
} as const

export const usage = {
  command: 'handoff supervise',
  summary: 'start a program, keep it running, and swap it when asked.',
  flags: FLAGS,
  notes: [
    'A living program of an earlier supervisor is adopted, not started again. SIGTERM and SIGINT stop both in order.',
    'Exit codes: 0 stopped in order, 1 it could not start or go on, 64 usage, 75 a supervisor already runs there.',
  ].join('\n'),
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io, door: SupervisorDoor = realDoor): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return 0
  }
  // The variables reach our own machines and the programs we start alike.
  if (flags.inspect === true) process.env[INSPECT_ENV] ??= '1'
  // Absolute: the programs may stand in another directory.
  if (flags.trace !== undefined) process.env[TRACE_ENV] ??= resolve(flags.trace)
  return runSupervisor(
    { config: flags.config ?? DEFAULT_CONFIG, json: flags.json === true, logLevel: flags['log-level'] },
    io,
    door,
  )
}

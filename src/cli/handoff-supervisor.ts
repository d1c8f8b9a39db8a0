#!/usr/bin/env node
/** The reference's own command line: `handoff-supervisor --config handoff.toml`. */
import './small-process.js'
import { isHelp, readFlags, type Usage } from './args.js'
import type { Io } from './io.js'
import { main } from './main.js'
import { realDoor, runSupervisor } from './run-supervisor.js'
import { DEFAULT_CONFIG } from './target.js'
import { version } from './version.js'

const FLAGS = {
  config: { type: 'string', short: 'c', value: 'FILE', help: `what to run and where (default: ${DEFAULT_CONFIG})` },
  version: { type: 'boolean', short: 'V', help: 'the version of this package' },
} as const

const usage = {
  command: 'handoff-supervisor',
  summary: 'start a program, keep it running, and swap it when asked on the trigger socket.',
  flags: FLAGS,
  notes: 'To swap: echo handoff | socat -t 300 - UNIX-CONNECT:<trigger_socket>',
} as const satisfies Usage<typeof FLAGS>

async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags) || flags.version === true) {
    io.out(isHelp(flags) ? flags.help : `${version()}\n`)
    return 0
  }
  return runSupervisor({ config: flags.config ?? DEFAULT_CONFIG, json: false, logLevel: undefined }, io, realDoor)
}

void main(run)

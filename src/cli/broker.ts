/** `handoff broker`: a broker in the foreground that a supervisor can upgrade, or that runs alone. */
import { resolve } from 'node:path'
import { cliError } from '../errors/cli.js'
import { nearest } from '../errors/nearest.js'
import { INSPECT_ENV } from '../observe/inspect-target.js'
import { TRACE_ENV } from '../observe/trace.js'
import type { AdminVerbName } from '../wire/broker/messages.js'
import { isHelp, readFlags, type Usage } from './args.js'
import type { Io } from './io.js'

const DEFAULT_CONFIG = 'broker.toml'

const VERBS = [
  'status',
  'dump',
  'list-instances',
  'healthz',
  'readyz',
  'backend-health',
  'config',
  'diagnose',
  'metrics',
  'shutdown',
]

const FLAGS = {
  config: { type: 'string', short: 'c', value: 'FILE', help: `services and sockets (default: ${DEFAULT_CONFIG})` },
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    help: 'trace, debug, info, warn, error, fatal or silent (default: info)',
  },
  json: { type: 'boolean', help: 'the log, or the answer, as JSON' },
  ask: {
    type: 'string',
    value: 'VERB',
    help: `ask the running broker instead: ${VERBS.join(', ')}`,
  },
  trace: {
    type: 'string',
    value: 'DIR',
    help: "write what the machines do, for 'handoff check --trace'; HANDOFF_TRACE=DIR does the same",
  },
  inspect: { type: 'boolean', help: "show everything to 'handoff inspect'; HANDOFF_INSPECT=1 does the same" },
} as const

export const usage = {
  command: 'handoff broker',
  summary: 'negotiate with clients and pass their live connections to backends.',
  flags: FLAGS,
  notes: [
    'Under a supervisor (handoff.toml with this command as its program) an upgrade refuses no Hello.',
    'Exit codes: 0 stopped in order or replaced, 1 it could not start or go on, 64 usage; with --ask what the broker says.',
  ].join('\n'),
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return 0
  }
  const [{ loadBrokerConfig }, { serveBrokerDaemon }, { createLog }] = await Promise.all([
    import('../broker/broker-config.js'),
    import('../broker/broker-daemon.js'),
    import('../observe/log.js'),
  ])
  if (flags.inspect === true) process.env[INSPECT_ENV] ??= '1'
  if (flags.trace !== undefined) process.env[TRACE_ENV] ??= resolve(flags.trace)
  const config = loadBrokerConfig(flags.config ?? DEFAULT_CONFIG)
  if (flags.ask !== undefined) return await ask(config.socket, flags.ask, flags.json === true, io)
  const log = createLog({
    level: flags['log-level'],
    format: flags.json === true ? 'json' : undefined,
    base: { role: 'broker' },
  })
  await serveBrokerDaemon({ config, log })
  // From here on the daemon ends the process: on SIGTERM, or when a successor has taken over.
  return await new Promise<never>(() => {})
}

async function ask(socket: string, verb: string, json: boolean, io: Io): Promise<number> {
  if (!VERBS.includes(verb)) {
    const close = nearest(verb, VERBS)
    const hint = close === null ? `use one of ${VERBS.join(', ')}` : `did you mean ${close}?`
    throw cliError('ERR_HANDOFF_USAGE_FLAG', [`a broker has no verb '${verb}'`, hint])
  }
  const { askBroker } = await import('../broker/ask-broker.js')
  const name = verb.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()) as AdminVerbName
  const { body, exitCode } = await askBroker(socket, name, { json })
  io.out(`${body.trimEnd()}\n`)
  return exitCode
}

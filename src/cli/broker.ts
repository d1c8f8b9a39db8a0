/** `handoff broker`: a broker in the foreground that a supervisor can upgrade, or that runs alone. */
import { isHelp, readFlags, type Usage } from './args.js'
import type { Io } from './io.js'

const DEFAULT_CONFIG = 'broker.toml'

const FLAGS = {
  config: { type: 'string', short: 'c', value: 'FILE', help: `services and sockets (default: ${DEFAULT_CONFIG})` },
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    help: 'trace, debug, info, warn, error, fatal or silent (default: info)',
  },
  json: { type: 'boolean', help: 'the log as JSON' },
} as const

export const usage = {
  command: 'handoff broker',
  summary: 'negotiate with clients and pass their live connections to backends.',
  flags: FLAGS,
  notes: [
    'Under a supervisor (handoff.toml with this command as its program) an upgrade refuses no Hello.',
    'Exit codes: 0 stopped in order or replaced, 1 it could not start or go on, 64 usage.',
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
  const config = loadBrokerConfig(flags.config ?? DEFAULT_CONFIG)
  const log = createLog({
    level: flags['log-level'],
    format: flags.json === true ? 'json' : undefined,
    base: { role: 'broker' },
  })
  await serveBrokerDaemon({ config, log })
  // From here on the daemon ends the process: on SIGTERM, or when a successor has taken over.
  return await new Promise<never>(() => {})
}

/** `handoff doctor`: looks mechanically for what makes swaps fail or hurt, and names the cure. */
import { loadConfig } from '../supervisor/config.js'
import type { SupervisorStatus } from '../supervisor/types.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { examine, type Finding } from './doctor-checks.js'
import { gatherFacts } from './doctor-facts.js'
import { EXIT_CODES } from './exit-codes.js'
import { paint, table } from './format.js'
import type { Io } from './io.js'
import { DEFAULT_CONFIG } from './target.js'
import { askOne } from './trigger-client.js'

const FLAGS = {
  config: { type: 'string', short: 'c', value: 'FILE', help: `what is to be examined (default: ${DEFAULT_CONFIG})` },
  json: { type: 'boolean', help: 'the findings as one line of JSON: id, grade, found, todo' },
} as const

export const usage = {
  command: 'handoff doctor',
  summary: 'look for what makes swaps fail: queues, descriptors, paths, permissions, systemd, signals, clock.',
  flags: FLAGS,
  notes:
    'More is seen while the supervisor runs. Nothing is changed.\nExit codes: 0 nothing stands in the way (warnings do not count), 1 at least one failure, 64 usage.',
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const config = loadConfig(flags.config ?? DEFAULT_CONFIG)
  const findings = examine(await gatherFacts(config, await statusOf(config.triggerSocket)))
  io.out(
    flags.json === true ? `${JSON.stringify(findings)}\n` : doctorReport(findings, io.outIsTTY && !io.env.NO_COLOR),
  )
  return findings.some(({ grade }) => grade === 'failure') ? EXIT_CODES.failed : EXIT_CODES.ok
}

/** No supervisor is no finding: the config can be examined before the first start. */
async function statusOf(socket: string): Promise<SupervisorStatus | null> {
  try {
    return (await askOne(socket, { cmd: 'status' }, 'status')).status
  } catch {
    return null
  }
}

const COLOUR = { ok: '32', warning: '33', failure: '31;1', unknown: '2' } as const

export function doctorReport(findings: readonly Finding[], colour: boolean): string {
  const rows = findings.flatMap(({ id, grade, found, todo }) => [
    [grade, id, found],
    ...(todo === null ? [] : [['', '', `do: ${todo}`]]),
  ])
  const lines = table(rows).split('\n')
  return `${lines.map((line, i) => paint(line, COLOUR[rows[i]?.[0] as keyof typeof COLOUR] ?? '0', colour && rows[i]?.[0] !== '')).join('\n')}\n`
}

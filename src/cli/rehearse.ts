/** `handoff rehearse`: would the new program come up as a successor? Asked of a real process, beside the one that serves. */
import { resolve } from 'node:path'
import { cliError } from '../errors/cli.js'
import type { RehearsalReport } from '../supervisor/types.js'
import { adviceFor } from './advice.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import { bytes, duration, paint, type Row, table } from './format.js'
import type { Io } from './io.js'
import { TARGET_FLAGS, TARGET_NOTE, triggerPath } from './target.js'
import { ask } from './trigger-client.js'

const FLAGS = {
  binary: {
    type: 'string',
    short: 'b',
    value: 'PATH',
    help: 'the new program (default: the configured one, looked up anew)',
  },
  ...TARGET_FLAGS,
  json: { type: 'boolean', help: 'the report as one line of JSON on stdout' },
} as const

export const usage = {
  command: 'handoff rehearse',
  summary: 'start the new program as a successor up to and including its prepare, look at it, end it.',
  flags: FLAGS,
  notes: [
    TARGET_NOTE,
    'Whoever serves is not told. The program gets no lock, no data, no control path, no client. A swap ends the rehearsal.',
    'Exit codes: 0 it came up, 1 it did not, 64 usage, 69 no supervisor, 75 a swap or a rehearsal is running or nobody serves, 130 interrupted.',
  ].join('\n'),
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const report = await rehearse(triggerPath(flags, io), flags.binary, io)
  const colour = io.outIsTTY && !io.env.NO_COLOR
  io.out(flags.json === true ? `${JSON.stringify(report)}\n` : rehearsalReport(report, colour))
  return report.passed ? EXIT_CODES.ok : EXIT_CODES.failed
}

async function rehearse(path: string, binary: string | undefined, io: Io): Promise<RehearsalReport> {
  const interrupted = new AbortController()
  const off = io.onSignal(['SIGINT'], () => interrupted.abort())
  // The supervisor stands in another directory; a bare name is its PATH's business.
  const named = binary?.includes('/') === true ? resolve(binary) : binary
  const request = { cmd: 'rehearse', ...(named === undefined ? {} : { binary: named }) } as const
  try {
    for await (const answer of ask(path, request, { signal: interrupted.signal })) {
      if (answer.event === 'rehearsing') io.err(`starting ${answer.binary} beside the one that serves\n`)
      else if (answer.event === 'rehearsal') return answer.rehearsal
    }
  } finally {
    off()
  }
  if (interrupted.signal.aborted) throw cliError('ERR_HANDOFF_INTERRUPTED', [])
  throw cliError('ERR_HANDOFF_SUPERVISOR_LOST', [path])
}

export function rehearsalReport(report: RehearsalReport, colour: boolean): string {
  const { passed, code, reason, process, helloMs, totalMs, memory, inherits } = report
  const rows: Row[] = [['  program', report.binary]]
  if (process !== null)
    rows.push(['  process', `pid ${process.pid}${process.buildId === '' ? '' : `  build ${process.buildId}`}`])
  if (inherits.length > 0)
    rows.push(['  inherits', inherits.map(({ name, address }) => `${name} ${address}`).join(', ')])
  rows.push(['  Hello', helloMs === null ? 'never' : `after ${duration(helloMs)}, prepare included`])
  if (memory !== null) rows.push(['  memory', `${bytes(memory.rss)}, at most ${bytes(memory.peak)}`])
  rows.push(['  end', endOf(report)])
  const title = passed ? 'rehearsed: it would come up' : 'rehearsed: it would not come up'
  const lines = [`${paint(title, passed ? '32' : '31;1', colour)}  (${duration(totalMs)})`, table(rows)]
  if (reason !== null) lines.push(`  why  ${reason}${code === null ? '' : ` (${code})`}`)
  if (code !== null) lines.push(`  do   ${code === 'ERR_HANDOFF_CANCELLED' ? 'rehearse again' : adviceFor(code)}`)
  return `${lines.join('\n')}\n`
}

function endOf({ endedBy, exit, process }: RehearsalReport): string {
  if (process === null) return 'never started'
  const how = exit === null ? '' : `, ${exit.signal === null ? `exit status ${exit.code}` : `killed by ${exit.signal}`}`
  if (endedBy === null) return `by itself${how}`
  if (endedBy === 'Abort') return `told to go${how}`
  return `needed ${endedBy}${how}; a rollback would wait for that`
}

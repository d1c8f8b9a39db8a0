/** `handoff history`: every swap and every other turn of service that is still in the log. */
import type { HistoryEntry } from '../observe/history.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import { duration, type Row, table } from './format.js'
import { findHistory, HISTORY_FLAGS } from './history-source.js'
import type { Io } from './io.js'
import { TARGET_NOTE } from './target.js'

const FLAGS = {
  last: { type: 'string', short: 'n', value: 'N', help: 'the newest N entries only (default: 20; 0 for all)' },
  ...HISTORY_FLAGS,
  json: { type: 'boolean', help: 'one line of JSON for each entry' },
} as const

export const usage = {
  command: 'handoff history',
  summary: 'the log of swaps: when, which builds, how long each phase took, how it ended.',
  flags: FLAGS,
  notes: `${TARGET_NOTE}\nThe log is read from the file that the config names, also when no supervisor runs. Exit codes: 0 done, 1 there is no log, 64 usage, 69 no supervisor.`,
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const entries = await findHistory(flags, io)
  const count = Number(flags.last ?? 20)
  const shown = Number.isInteger(count) && count > 0 ? entries.slice(-count) : entries
  io.out(flags.json === true ? shown.map((entry) => `${JSON.stringify(entry)}\n`).join('') : historyReport(shown))
  return EXIT_CODES.ok
}

export function historyReport(entries: readonly HistoryEntry[]): string {
  if (entries.length === 0) return 'no swap is on record\n'
  return `${table(entries.map(rowOf))}\n`
}

const ENDS = { committed: 'committed', rolledBack: 'rolled back', nobodyServes: 'nobody serves' } as const

function rowOf(entry: HistoryEntry): Row {
  const at = entry.at.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
  switch (entry.kind) {
    case 'swap': {
      const { previous, incumbent, result, phases } = entry
      const slowest = [...phases].sort((a, b) => b.ms - a.ms)[0]
      const builds =
        result === 'committed'
          ? `${nameOf(previous)} → ${nameOf(incumbent)}`
          : incumbent === null
            ? ''
            : nameOf(incumbent)
      const longest = slowest === undefined ? '' : `${slowest.name} ${duration(slowest.ms)}`
      return [at, ENDS[result], duration(entry.totalMs), builds, longest, entry.handoffId.slice(0, 8), entry.code ?? '']
    }
    case 'serving':
      return [at, entry.how, '', nameOf(entry.incumbent), '', '', '']
    case 'down':
      return [at, 'died', '', nameOf(entry.previous), '', '', '']
  }
}

const nameOf = (facts: { readonly pid: number; readonly buildId: string } | null): string =>
  facts === null ? 'nobody' : facts.buildId === '' ? `pid ${facts.pid}` : `${facts.buildId} (${facts.pid})`

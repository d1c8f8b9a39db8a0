/** `handoff explain`: one swap, told: what was said, what went wrong, what is true now, what to do. */
import { cliError } from '../errors/cli.js'
import type { HistoryEntry } from '../observe/history.js'
import { adviceFor } from './advice.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import { outcomeReport } from './format.js'
import { findHistory, HISTORY_FLAGS } from './history-source.js'
import type { Io } from './io.js'
import { sequenceText } from './sequence.js'
import { TARGET_NOTE } from './target.js'

const FLAGS = { ...HISTORY_FLAGS, json: { type: 'boolean', help: 'the entry as one line of JSON' } } as const

export const usage = {
  command: 'handoff explain',
  summary: 'tell one swap: its messages, what went wrong, what is true now, what to do.',
  flags: FLAGS,
  notes: `usage: handoff explain [ID] — the beginning of an id suffices; without one the last swap is told.\n${TARGET_NOTE}\nExit codes: 0 told, 1 there is no such swap, 64 usage, 69 no supervisor.`,
} as const satisfies Usage<typeof FLAGS>

export type SwapEntry = Extract<HistoryEntry, { kind: 'swap' }>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [id, rest] = argv[0] === undefined || argv[0].startsWith('-') ? [undefined, argv] : [argv[0], argv.slice(1)]
  const flags = readFlags(usage, rest)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const entries = await findHistory(flags, io)
  const swaps = entries.filter((entry): entry is SwapEntry => entry.kind === 'swap')
  const found = id === undefined ? swaps.at(-1) : swaps.findLast(({ handoffId }) => handoffId.startsWith(id))
  if (found === undefined) throw cliError('ERR_HANDOFF_NO_SUCH_SWAP', [id ?? 'the last', swaps.length])
  const since = entries.slice(entries.indexOf(found) + 1)
  io.out(
    flags.json === true ? `${JSON.stringify(found)}\n` : explanation(found, since, io.outIsTTY && !io.env.NO_COLOR),
  )
  return EXIT_CODES.ok
}

/** @param since what happened after it, for what is true now */
export function explanation(swap: SwapEntry, since: readonly HistoryEntry[], colour: boolean): string {
  const chart =
    swap.steps.length > 0 ? sequenceText(swap.steps) : '  its supervisor did not live to write down what was said'
  return [
    `swap ${swap.handoffId}`,
    `ended ${swap.at}`,
    '',
    chart,
    '',
    outcomeReport(swap, colour).trimEnd(),
    '',
    `what went wrong  ${swap.reason ?? 'nothing'}`,
    `true since then  ${truth(swap, since)}`,
    `what to do       ${swap.code === null ? 'nothing' : adviceFor(swap.code)}`,
    '',
  ].join('\n')
}

function truth(swap: SwapEntry, since: readonly HistoryEntry[]): string {
  const last = since.at(-1)
  if (last === undefined) return who(swap.incumbent)
  if (last.kind === 'down') return `pid ${last.previous.pid} died at ${last.at}; nobody is on record after it`
  return `${who(last.incumbent)}, since ${last.at}`
}

const who = (facts: { readonly pid: number; readonly buildId: string } | null): string =>
  facts === null ? 'nobody serves' : `pid ${facts.pid}${facts.buildId === '' ? '' : ` (build ${facts.buildId})`} serves`

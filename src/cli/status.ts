/** `handoff status`: who serves, since when, and how the last swap went. */

import { holderOf, type LockFacts, lockPathOf } from '../os/lock-holder.js'
import type { SupervisorStatus } from '../supervisor/types.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import { duration, limit, type Row, table } from './format.js'
import type { Io } from './io.js'
import { TARGET_FLAGS, TARGET_NOTE, triggerPath } from './target.js'
import { askOne } from './trigger-client.js'

const FLAGS = { ...TARGET_FLAGS, json: { type: 'boolean', help: 'the status as one line of JSON' } } as const

export const usage = {
  command: 'handoff status',
  summary: 'who serves, since when, and how the last swap went.',
  flags: FLAGS,
  notes: `${TARGET_NOTE}\nExit codes: 0 somebody serves, 20 nobody serves, 64 usage, 69 no supervisor.`,
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return 0
  }
  const { status } = await askOne(triggerPath(flags, io), { cmd: 'status' }, 'status')
  const lock = status.incumbent === null ? null : lockPathOf(status.incumbent.pid)
  const told = lock === null ? status : { ...status, lock: { path: lock, holder: holderOf(lock) } }
  io.out(flags.json === true ? `${JSON.stringify(told)}\n` : statusReport(told, Date.now()))
  return status.incumbent === null ? EXIT_CODES.nobodyServes : EXIT_CODES.ok
}

/** @param nowMs Unix time, ms: what "3 min ago" is counted from. */
export function statusReport(status: SupervisorStatus & { readonly lock?: LockFacts | null }, nowMs: number): string {
  const { incumbent, swap, lastSwap, lock } = status
  const since = (iso: string) => `since ${iso} (${duration(Math.max(0, nowMs - Date.parse(iso)))})`
  const rows: Row[] = [
    incumbent === null
      ? ['serving', 'nobody']
      : [
          'serving',
          `pid ${incumbent.pid}`,
          `build ${incumbent.buildId}`,
          `generation ${incumbent.generation}`,
          since(incumbent.since),
        ],
    ['supervisor', `pid ${status.pid}`, status.state, `restarts ${status.restarts}`, since(status.since)],
  ]
  if (swap !== null) {
    rows.push(['swap', swap.phase, `${duration(swap.elapsedMs)} of ${limit(swap.budgetMs)}`, swap.handoffId])
  }
  if (lock != null) rows.push(['lock', lock.holder === null ? 'free' : `held by pid ${lock.holder}`, lock.path])
  for (const { name, address, queued, backlog } of status.listeners) {
    rows.push(['listener', name, address, `queue ${queued ?? '?'}/${backlog}`])
  }
  if (lastSwap !== null) {
    rows.push(['last swap', lastSwap.result, duration(lastSwap.totalMs), lastSwap.handoffId, lastSwap.reason ?? ''])
  }
  // Only the first column aligns: the rows tell different things.
  return `${table(rows.map(([label = '', ...rest]) => [label, rest.filter((cell) => cell !== '').join('  ')]))}\n`
}

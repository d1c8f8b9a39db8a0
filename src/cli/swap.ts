/** `handoff swap`: replaces the program, shows how it goes, and says how it ended. */
import { resolve } from 'node:path'
import { cliError } from '../errors/cli.js'
import type { SwapOutcome } from '../supervisor/types.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { exitCodeOfResult } from './exit-codes.js'
import { outcomeReport } from './format.js'
import type { Io } from './io.js'
import { createLive } from './live.js'
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
  json: { type: 'boolean', help: 'the outcome as one line of JSON on stdout' },
} as const

export const usage = {
  command: 'handoff swap',
  summary: 'replace the running program without a gap; roll back if the new one does not hold.',
  flags: FLAGS,
  notes: `${TARGET_NOTE}\nExit codes: 0 committed, 10 rolled back, 20 nobody serves, 64 usage, 69 no supervisor, 75 a swap is already running, 130 interrupted.`,
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return 0
  }
  const path = triggerPath(flags, io)
  const outcome = await swapAndShow(path, flags.binary, io)
  io.out(flags.json === true ? `${JSON.stringify(outcome)}\n` : outcomeReport(outcome, io.outIsTTY && !io.env.NO_COLOR))
  return exitCodeOfResult(outcome.result)
}

async function swapAndShow(path: string, binary: string | undefined, io: Io): Promise<SwapOutcome> {
  const live = createLive(io)
  const interrupted = new AbortController()
  const offSignal = io.onSignal(['SIGINT'], () => interrupted.abort())
  const request = { cmd: 'swap', ...(binary === undefined ? {} : { binary: absolute(binary) }) } as const
  try {
    for await (const answer of ask(path, request, { signal: interrupted.signal })) {
      if (answer.event === 'phase') live.show(answer)
      else if (answer.event === 'outcome') return answer.outcome
    }
  } finally {
    offSignal()
    live.end()
  }
  if (interrupted.signal.aborted) throw cliError('ERR_HANDOFF_INTERRUPTED', [])
  throw cliError('ERR_HANDOFF_SUPERVISOR_LOST', [path])
}

/** The supervisor stands in another directory; a bare name is its PATH's business. */
const absolute = (binary: string): string => (binary.includes('/') ? resolve(binary) : binary)

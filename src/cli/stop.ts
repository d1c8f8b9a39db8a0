/** `handoff stop`: an orderly end of the supervisor and of what it runs. */
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import type { Io } from './io.js'
import { TARGET_FLAGS, TARGET_NOTE, triggerPath } from './target.js'
import { askOne } from './trigger-client.js'

const FLAGS = {
  leave: { type: 'boolean', help: 'end the supervisor alone; the program serves on and the next supervisor adopts it' },
  ...TARGET_FLAGS,
  json: { type: 'boolean', help: 'the answer as one line of JSON' },
} as const

export const usage = {
  command: 'handoff stop',
  summary: 'stop the supervisor and the program it runs, in order.',
  flags: FLAGS,
  notes: `${TARGET_NOTE}\nOnly the supervisor’s own user and root may. Exit codes: 0 it is stopping, 64 usage, 69 no supervisor.`,
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return 0
  }
  const leave = flags.leave === true
  await askOne(triggerPath(flags, io), { cmd: leave ? 'leave' : 'stop' }, 'stopping')
  io.out(flags.json === true ? `${JSON.stringify({ stopping: true, leave })}\n` : 'stopping\n')
  return EXIT_CODES.ok
}

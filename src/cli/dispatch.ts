/** `handoff <command>`: finds the command, or says which there are. */
import { cliError } from '../errors/cli.js'
import { nearest } from '../errors/nearest.js'
import { COMMANDS } from './commands.js'
import { EXIT_CODES } from './exit-codes.js'
import { table } from './format.js'
import type { Io } from './io.js'
import { version } from './version.js'

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv
  if (name === '--version' || name === '-V') {
    io.out(`${version()}\n`)
    return EXIT_CODES.ok
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') return help(name, rest, io)
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) throw cliError('ERR_HANDOFF_USAGE_COMMAND', [name, hintFor(name)])
  return (await command.load()).run(rest, io)
}

/** Without any word the help is the story of a mistake; asked for, it is the result. */
function help(asked: string | undefined, topic: readonly string[], io: Io): Promise<number> | number {
  if (asked === 'help' && topic[0] !== undefined) return run([topic[0], '--help'], io)
  if (asked === undefined) io.err(overview())
  else io.out(overview())
  return asked === undefined ? EXIT_CODES.usage : EXIT_CODES.ok
}

function overview(): string {
  const rows = Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary])
  return [
    'handoff: replace the program of a running daemon; nothing dropped, nothing lost, rolled back if it does not hold.',
    '',
    'usage: handoff <command> [flags]',
    '',
    table(rows, '  '),
    '',
    "'handoff <command> --help' tells its flags and exit codes. stdout is the result, stderr the story.",
    '',
  ].join('\n')
}

function hintFor(typed: string): string {
  const close = nearest(typed, Object.keys(COMMANDS))
  return close === null
    ? `use one of ${Object.keys(COMMANDS).join(', ')}`
    : `did you mean '${close}'? see 'handoff --help'`
}

/** Flags of a command: one table gives the parser, the help text and the hint when something is mistyped. */
import { parseArgs } from 'node:util'
import { cliError } from '../errors/cli.js'
import { nearest } from '../errors/nearest.js'

export interface Flag {
  readonly type: 'string' | 'boolean'
  readonly help: string
  /** Name of the value in the help text. */
  readonly value?: string
  readonly short?: string
}

export interface Usage<F extends Readonly<Record<string, Flag>>> {
  /** As typed, e.g. `handoff swap`. */
  readonly command: string
  /** One sentence. */
  readonly summary: string
  readonly flags: F
  /** Further paragraphs of the help text. */
  readonly notes?: string
}

export type FlagValues<F extends Readonly<Record<string, Flag>>> = {
  readonly [K in keyof F]?: F[K]['type'] extends 'boolean' ? boolean : string
}

const COMMON = {
  help: { type: 'boolean', short: 'h', help: 'this text' },
} as const satisfies Record<string, Flag>

/** @returns the flags, or the help text when it was asked for. @throws HandoffError ERR_HANDOFF_USAGE_FLAG */
export function readFlags<F extends Readonly<Record<string, Flag>>>(
  usage: Usage<F>,
  argv: readonly string[],
): FlagValues<F> | { readonly help: string } {
  const flags: Record<string, Flag> = { ...usage.flags, ...COMMON }
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { type, short }]) => [name, short === undefined ? { type } : { type, short }]),
  )
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false })
    return values.help === true ? { help: helpText(usage) } : (values as FlagValues<F>)
  } catch (error) {
    throw cliError('ERR_HANDOFF_USAGE_FLAG', complaint(error as Error, usage.command, Object.keys(flags)), error)
  }
}

export const isHelp = (value: object): value is { readonly help: string } =>
  'help' in value && typeof value.help === 'string'

function complaint(error: Error, command: string, known: readonly string[]): [problem: string, hint: string] {
  const help = `see '${command} --help'`
  const typed = /'(--?[^'\s=]+)/.exec(error.message)?.[1]
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION': {
      const close = nearest((typed ?? '').replace(/^--?/, ''), known)
      return [`${command} has no flag ${typed}`, close === null ? help : `did you mean --${close}? ${help}`]
    }
    case 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL':
      return [`${command} takes flags only, not ${/'([^']*)'/.exec(error.message)?.[0] ?? 'further words'}`, help]
    default:
      return [`${command}: ${error.message.split('. ')[0]?.split('\n')[0]}`, help]
  }
}

export function helpText(usage: Usage<Readonly<Record<string, Flag>>>): string {
  const rows = Object.entries({ ...usage.flags, ...COMMON }).map(([name, flag]: [string, Flag]) => {
    const short = flag.short === undefined ? '' : `-${flag.short}, `
    return [`  ${short}--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`, flag.help] as const
  })
  const width = Math.max(...rows.map(([left]) => left.length)) + 2
  const lines = rows.map(([left, right]) => `${left.padEnd(width)}${right}`)
  const notes = usage.notes === undefined ? [] : ['', usage.notes]
  return [`${usage.command}: ${usage.summary}`, '', ...lines, ...notes, ''].join('\n')
}

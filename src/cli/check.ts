/** `handoff check`: explores the composed machines with every fault, and says what holds, or shows how it breaks. */
import { toReplayFile, UnknownLabelError } from '../../machines/explore/index.js'
import { CHECKS, type Check, checkHandoff } from '../../machines/handoff/world/check.js'
import { castWithout, DECISIONS, type Decision } from '../../machines/handoff/world/decisions.js'
import type { WorldOptions } from '../../machines/handoff/world/options.js'
import { cliError } from '../errors/cli.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { checkMixes } from './check-mixes.js'
import { checkMutants } from './check-mutants.js'
import { asJson, cpuClock, progress, report, unreachedText } from './check-text.js'
import { checkTraceCommand } from './check-trace.js'
import { EXIT_CODES } from './exit-codes.js'
import type { Io } from './io.js'
import { chartText } from './lanes.js'
import { isDecision, readPathFile, walkAgain, writePathFile } from './path-file.js'

const FLAGS = {
  faults: { type: 'string', value: '<n>', help: 'how many things may break (1)' },
  swaps: { type: 'string', value: '<n>', help: 'how many swaps may be asked for (2)' },
  restarts: { type: 'string', value: '<n>', help: 'how often a dead supervisor comes back (1)' },
  rehearsals: { type: 'string', value: '<n>', help: 'builds that an operator only rehearses (0)' },
  orders: { type: 'string', value: '<n>', help: 'stops, leavings and cancellations by an operator (0)' },
  probation: { type: 'boolean', help: 'hold Commit back while the successor already serves' },
  without: {
    type: 'string',
    value: '<names>',
    help: 'take decisions of the design out of the machines, to see what each is good for (names below)',
  },
  save: { type: 'string', value: '<file>', help: 'write the first counterexample to a file that can be walked again' },
  replay: { type: 'string', value: '<file>', help: 'walk such a file, or a line of handoff paths --json, and draw it' },
  full: { type: 'boolean', help: 'the whole set, two faults and timers in any order included: several minutes' },
  mutants: { type: 'boolean', help: 'take each decision of the machines away, one at a time: each must be noticed' },
  role: { type: 'string', value: '<name>', help: 'with --mutants: only this machine' },
  only: { type: 'string', value: '<text>', help: 'with --mutants: only those whose id contains this' },
  trace: {
    type: 'string',
    value: '<file>',
    help: 'replay a recorded run (file or directory of HANDOFF_TRACE) instead',
  },
  json: { type: 'boolean', help: 'one line of JSON for each exploration, counterexamples as replayable paths' },
} as const

export const usage = {
  command: 'handoff check',
  summary: 'explores the composed machines with every fault, and says what holds, or shows how it breaks.',
  flags: FLAGS,
  notes: [
    'Decisions that --without takes out:',
    ...Object.entries(DECISIONS).map(([name, { says }]) => `  ${name.padEnd(14)}${says}`),
    'In a chart S is the supervisor, A the first primitive, B the next; ! breaks, ~ is a clock, > is asked for from outside.',
    'Exit codes: 0 everything holds or the trace conforms, 1 a counterexample or an unknown step was found, 64 usage.',
  ].join('\n'),
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const json = flags.json === true
  if (flags.trace !== undefined) return checkTraceCommand(flags.trace, json, io)
  if (flags.replay !== undefined) return walk(flags.replay, json, io)
  if (flags.mutants === true) return checkMutants(io, json, { role: flags.role, only: flags.only })
  const without = decisionsOf(flags.without)
  const chosen: WorldOptions = {
    swaps: count('swaps', flags.swaps, 2),
    faults: count('faults', flags.faults, 1),
    restarts: count('restarts', flags.restarts, 1),
    orders: count('orders', flags.orders, 0),
    rehearsals: count('rehearsals', flags.rehearsals, 0),
    probation: flags.probation === true,
  }
  const asked = without.length === 0 ? 'as asked' : `without ${without.join(', ')}`
  const set = flags.full === true ? Object.entries(CHECKS) : [[asked, chosen] as const]
  let holds = true
  let isSaved = flags.save === undefined
  let unreached: readonly string[] | null = null
  for (const [name, options] of set) {
    const played = without.length === 0 ? options : { ...options, cast: castWithout(without) }
    const cpu = cpuClock()
    const check = checkHandoff(played, { now: () => performance.now(), onProgress: progress(io) })
    const cpuMs = cpu()
    holds &&= check.holds
    const missing = new Set(check.exploration.coverage.missing)
    unreached = unreached === null ? [...missing] : unreached.filter((part) => missing.has(part))
    io.out(json ? `${JSON.stringify(asJson(name, played, check, cpuMs))}\n` : report(name, played, check, cpuMs))
    if (flags.save !== undefined) isSaved ||= save(flags.save, options, without, check, io)
  }
  if (!isSaved) io.err('there is no counterexample to save\n')
  if (flags.full === true) io.out(json ? `${JSON.stringify({ unreached })}\n` : unreachedText(unreached ?? []))
  if (flags.full === true) holds = checkMixes(io, json) && holds
  return holds ? EXIT_CODES.ok : EXIT_CODES.failed
}

function count(name: string, given: string | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  if (/^\d$/.test(given)) return Number(given)
  throw cliError('ERR_HANDOFF_USAGE_FLAG', [`--${name} takes a number from 0 to 9, not '${given}'`, 'see --help'])
}

function decisionsOf(given: string | undefined): Decision[] {
  const names = given === undefined ? [] : given.split(',').map((name) => name.trim())
  return names.map((name) => {
    if (isDecision(name)) return name
    const known = Object.keys(DECISIONS).join(', ')
    throw cliError('ERR_HANDOFF_USAGE_FLAG', [`no decision is called '${name}'`, `--without takes some of ${known}`])
  })
}

function save(
  path: string,
  bounds: WorldOptions,
  without: readonly Decision[],
  { violations }: Check,
  io: Io,
): boolean {
  const [first] = violations
  if (first === undefined) return false
  const { property, says } = first
  writePathFile(path, { v: 1, world: 'handoff', bounds, without, property, says, replay: toReplayFile(first.path) })
  io.err(`saved to ${path}: handoff check --replay ${path}\n`)
  return true
}

/** The same way through the machines of today: drawn, with what is true at its end. */
function walk(path: string, json: boolean, io: Io): number {
  const file = readPathFile(path)
  const { property, says, without = [] } = file
  try {
    const { steps, start } = walkAgain(file).path
    const end = steps.at(-1)?.state ?? start
    if (json) io.out(`${JSON.stringify({ ...file, steps })}\n`)
    else {
      const what = property === undefined ? '' : `, up to where ${property} is broken: ${says ?? ''}`
      const whose = without.length === 0 ? '' : ` without ${without.join(', ')}`
      io.out(`the machines${whose} go this way, ${steps.length} steps${what}\n${chartText(steps)}`)
      io.out(`at its end: ${JSON.stringify(end)}\n`)
    }
    return EXIT_CODES.ok
  } catch (error) {
    if (!(error instanceof UnknownLabelError)) throw error
    io.out(
      json ? `${JSON.stringify({ ...file, refused: error.message })}\n` : `not this way any more: ${error.message}\n`,
    )
    return EXIT_CODES.failed
  }
}

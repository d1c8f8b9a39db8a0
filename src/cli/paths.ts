/** `handoff paths`: ways through the explored world as data, to drive real processes along. */
import { GOALS, type Goal, type HandoffPath, handoffPaths } from '../../machines/handoff/paths.js'
import type { Bounds } from '../../machines/handoff/world/index.js'
import { cliError } from '../errors/cli.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import type { Io } from './io.js'

const FLAGS = {
  world: {
    type: 'string',
    short: 'w',
    value: 'NAME',
    help: 'which one: handoff (the default, and so far the only one)',
  },
  to: { type: 'string', value: 'GOAL', help: `where the paths lead: ${GOALS.join(', ')}` },
  faults: { type: 'string', value: 'N', help: 'how much may break on the way (default: 1)' },
  limit: { type: 'string', value: 'N', help: 'so many of the shortest (default: all)' },
  json: { type: 'boolean', help: 'a line of JSON for each path' },
} as const

export const usage = {
  command: 'handoff paths',
  summary: 'print ways through the explored world: one shortest path for each way to get there.',
  flags: FLAGS,
  notes: [
    'Each line of --json: {"v":1,"world","to","bounds","faults","outcome","replay":{"initial","labels"},"start","steps"};',
    'a step is {"label","kind","covers"?,"state"}: kind is progress, timer, fault or trigger, state is what is true after it',
    '(machines, who holds the lock, who answers on the path, who accepts). S is the supervisor, A the first primitive, B the next.',
    'Labels: A:drain a hook or call of A ends (:fails, :hangs, :blocks it does not), S<A.Drained S takes it, S!x S does x,',
    'S~timer@state a timer, early:… it fires too soon, kill:A SIGKILL, stall:S SIGSTOP.',
    'Exit codes: 0 printed, 1 there is no such path within the bounds, 64 usage.',
  ].join('\n'),
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const { world = 'handoff' } = flags
  if (world !== 'handoff') throw wrong(`there is no world '${world}'`, 'take --world handoff')
  const to = GOALS.find((goal) => goal === flags.to)
  if (to === undefined) throw wrong('--to names no goal', `give one of ${GOALS.join(', ')}`)
  const faults = count('faults', flags.faults) ?? 1
  const bounds: Bounds = { swaps: 1, faults, restarts: faults, orders: 0, rehearsals: 0, connections: 0 }
  const { paths, found } = handoffPaths(to, bounds, count('limit', flags.limit))
  const tell = flags.json === true ? asJson : asText
  for (const path of paths) io.out(tell(path, to, bounds))
  if (flags.json !== true) io.out(`${paths.length} of ${found} paths to ${to}, at most ${faults} faults\n`)
  return found > 0 ? EXIT_CODES.ok : EXIT_CODES.failed
}

const wrong = (problem: string, hint: string) => cliError('ERR_HANDOFF_USAGE_FLAG', [problem, hint])

function count(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,6}$/.test(text))
    throw wrong(`--${flag} takes a whole number, not '${text}'`, "see 'handoff paths --help'")
  return Number(text)
}

function asJson({ faults, outcome, replay, path }: HandoffPath, to: Goal, bounds: Bounds): string {
  const { start, steps } = path
  return `${JSON.stringify({ v: 1, world: 'handoff', to, bounds, faults, outcome, replay, start, steps })}\n`
}

function asText({ faults, outcome, path }: HandoffPath): string {
  const why =
    outcome === null ? 'nothing reported' : `${outcome.result}${outcome.failure ? ` (${outcome.failure})` : ''}`
  const steps = path.steps.map(({ label, kind }) => `  ${kind.padEnd(9)} ${label}\n`)
  return `${why}; ${faults.join(', ') || 'nothing breaks'}; ${steps.length} steps\n${steps.join('')}\n`
}

/** `handoff check`: explores the composed machines with every fault, and says what holds, or shows how it breaks. */
import { toReplayFile, type Violation } from '../../machines/explore/index.js'
import { MUTATED_ROLES, type MutatedRole, mutateRole } from '../../machines/handoff/mutation.js'
import { serviceBound } from '../../machines/handoff/world/bound.js'
import { CHECKS, type Check, checkHandoff } from '../../machines/handoff/world/check.js'
import { checkMix, MIXES } from '../../machines/handoff/world/mixes.js'
import type { WorldOptions } from '../../machines/handoff/world/options.js'
import { cliError } from '../errors/cli.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { checkTraceCommand } from './check-trace.js'
import { EXIT_CODES } from './exit-codes.js'
import { duration, table } from './format.js'
import type { Io } from './io.js'

const FLAGS = {
  faults: { type: 'string', value: '<n>', help: 'how many things may break (1)' },
  swaps: { type: 'string', value: '<n>', help: 'how many swaps may be asked for (2)' },
  restarts: { type: 'string', value: '<n>', help: 'how often a dead supervisor comes back (1)' },
  rehearsals: { type: 'string', value: '<n>', help: 'builds that an operator only rehearses (0)' },
  orders: { type: 'string', value: '<n>', help: 'stops, leavings and cancellations by an operator (0)' },
  probation: { type: 'boolean', help: 'hold Commit back while the successor already serves' },
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
  notes:
    'Exit codes: 0 everything holds or the trace conforms, 1 a counterexample or an unknown step was found, 64 usage.',
} as const satisfies Usage<typeof FLAGS>

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const flags = readFlags(usage, argv)
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const json = flags.json === true
  if (flags.trace !== undefined) return checkTraceCommand(flags.trace, json, io)
  if (flags.mutants === true) return mutate(io, json, { role: flags.role, only: flags.only })
  const chosen: WorldOptions = {
    swaps: count('swaps', flags.swaps, 2),
    faults: count('faults', flags.faults, 1),
    restarts: count('restarts', flags.restarts, 1),
    orders: count('orders', flags.orders, 0),
    rehearsals: count('rehearsals', flags.rehearsals, 0),
    probation: flags.probation === true,
  }
  const set = flags.full === true ? Object.entries(CHECKS) : [['as asked', chosen] as const]
  let holds = true
  let unreached: readonly string[] | null = null
  for (const [name, options] of set) {
    const check = checkHandoff(options, { now: () => performance.now(), onProgress: progress(io) })
    holds &&= check.holds
    const missing = new Set(check.exploration.coverage.missing)
    unreached = unreached === null ? [...missing] : unreached.filter((part) => missing.has(part))
    io.out(json ? `${JSON.stringify(asJson(name, options, check))}\n` : report(name, options, check))
  }
  if (flags.full === true) io.out(json ? `${JSON.stringify({ unreached })}\n` : unreachedText(unreached ?? []))
  if (flags.full === true) holds = checkMixes(io, json) && holds
  return holds ? EXIT_CODES.ok : EXIT_CODES.failed
}

function count(name: string, given: string | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  if (/^\d$/.test(given)) return Number(given)
  throw cliError('ERR_HANDOFF_USAGE_FLAG', [`--${name} takes a number from 0 to 9, not '${given}'`, 'see --help'])
}

const progress =
  (io: Io) =>
  ({ states, waiting }: { readonly states: number; readonly waiting: number }): void =>
    io.err(`${states} states, ${waiting} to look at\n`)

const boundsText = (options: WorldOptions): string =>
  Object.entries(options)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ')

const memoryMb = (): number => Math.round(process.memoryUsage().rss / 1e6)

function report(name: string, options: WorldOptions, { exploration, holds, violations, world }: Check): string {
  const { complete, states, edges, depth, stats, unwitnessed } = exploration
  const head = table([
    [name, holds ? 'holds' : 'BROKEN'],
    ['  bounds', boundsText(options)],
    ['  explored', complete ? 'complete' : 'incomplete: nothing is proven'],
    ['  states', `${states}`, `edges ${edges}`, `depth ${depth}`],
    [
      '  took',
      duration(stats.elapsedMs ?? 0),
      `${Math.round(stats.statesPerSecond ?? 0)} states/s`,
      `${memoryMb()} MB`,
    ],
    ...(holds ? [['  serves again', boundText(exploration, world)]] : []),
    ...unwitnessed.map((id) => ['  never seen', id]),
  ])
  return `${[head, ...violations.map(counterexample)].join('\n')}\n`
}

/** States and transitions that none of the explorations takes: what they say about these is nothing. */
const unreachedText = (parts: readonly string[]): string =>
  [
    `${parts.length} parts of the machines that no exploration of this set reaches`,
    ...parts.map((part) => `  ${part}`),
    '',
  ].join('\n')

/** Mixed versions: what cannot hold beside the original is named, and must have its counterexample. */
function checkMixes(io: Io, json: boolean): boolean {
  let holds = true
  for (const [name, mix] of Object.entries(MIXES)) {
    const check = checkMix(mix, { now: () => performance.now(), onProgress: progress(io) })
    const { complete, states, edges, stats, unwitnessed } = check.exploration
    holds &&= check.holds
    // Machines are no bounds: the name says who plays what.
    const { cast: _cast, otherBuild: _build, ...bounds } = mix.options
    if (json) {
      const seconds = (stats.elapsedMs ?? 0) / 1000
      const { broken, outdated, unexpected } = check
      const found = unexpected.map(({ property, detail, faults, path }) => {
        return { property, detail, faults, replay: toReplayFile(path) }
      })
      const sizes = { complete, states, edges, seconds, memoryMb: memoryMb() }
      io.out(
        `${JSON.stringify({ name, bounds, holds: check.holds, ...sizes, unwitnessed, broken, outdated, unexpected: found })}\n`,
      )
      continue
    }
    const lines = table([
      [name, check.holds ? 'as expected' : 'NOT AS EXPECTED'],
      ['  bounds', boundsText(bounds)],
      ['  explored', complete ? 'complete' : 'incomplete: nothing is proven'],
      ['  states', `${states}`, `edges ${edges}`],
      ['  took', duration(stats.elapsedMs ?? 0), `${memoryMb()} MB`],
      ...check.broken.map((breach) => ['  cannot hold', `${breach}: ${mix.cannotHold[breach] ?? 'NOT EXPECTED'}`]),
      ...check.outdated.map((breach) => ['  holds after all', breach]),
      ...unwitnessed.map((id) => ['  never seen', id]),
    ])
    io.out(`${[lines, ...check.unexpected.map(counterexample)].join('\n')}\n`)
  }
  return holds
}

function boundText(exploration: Check['exploration'], world: Check['world']): string {
  const { worstMs } = serviceBound(exploration, world.players.policy)
  return Number.isFinite(worstMs)
    ? `within ${duration(worstMs)} after the last fault, by the default policy (INV-08)`
    : 'in the end; some waits end only with a hook or with the supervisor (INV-08)'
}

function counterexample({ property, says, kind, detail, faults, path, loop }: Violation): string {
  const steps = path.steps.map(({ label, kind: why }) => `    ${why === 'fault' ? '!' : ' '} ${label}`)
  const again = loop === undefined ? [] : ['    and for ever:', ...loop.map(({ label }) => `      ${label}`)]
  const title = `  ${property} is broken (${kind}): ${says}${detail === undefined ? '' : `: ${detail}`}`
  return [title, `    faults: ${faults.join(', ') || 'none'}`, ...steps, ...again].join('\n')
}

function asJson(name: string, bounds: WorldOptions, { exploration, holds, violations, world }: Check) {
  const { complete, states, edges, depth, stats, unwitnessed } = exploration
  const { worstMs } = serviceBound(exploration, world.players.policy)
  return {
    name,
    bounds,
    holds,
    complete,
    states,
    edges,
    depth,
    seconds: (stats.elapsedMs ?? 0) / 1000,
    memoryMb: memoryMb(),
    unwitnessed,
    servesWithinMs: Number.isFinite(worstMs) ? worstMs : null,
    violations: violations.map(({ property, kind, detail, faults, path }) => {
      return { property, kind, detail, faults, replay: toReplayFile(path) }
    }),
  }
}

interface MutateFlags {
  readonly role?: string | undefined
  readonly only?: string | undefined
}

function rolesOf(role: string | undefined): readonly MutatedRole[] {
  if (role === undefined) return MUTATED_ROLES
  const known = MUTATED_ROLES.find((name) => name === role)
  if (known === undefined)
    throw cliError('ERR_HANDOFF_USAGE_FLAG', [
      `--role takes one of ${MUTATED_ROLES.join(', ')}, not '${role}'`,
      'see --help',
    ])
  return [known]
}

function mutate(io: Io, json: boolean, { role: chosen, only }: MutateFlags): number {
  let holds = true
  for (const role of rolesOf(chosen)) {
    const startedAt = performance.now()
    const result = mutateRole(role, {
      ...(only === undefined ? {} : { only }),
      onProgress: (at, of) => {
        if (at % 50 === 0) io.err(`${role}: ${at} of ${of}\n`)
      },
    })
    const { killed, survived, same, equivalent, stale, score } = result
    holds &&= survived.length === 0 && stale.length === 0
    if (json) {
      io.out(`${JSON.stringify({ role, ...result })}\n`)
      continue
    }
    const total = killed.length + survived.length + same.length + equivalent.length
    const places = [...new Set(killed.map(({ in: where }) => where))]
    const split = places
      .map((where) => `${killed.filter((one) => one.in === where).length} by ${TRIALS[where] ?? where}`)
      .join(', ')
    io.out(
      `${table([
        [role, `${total} mutants`, `score ${(score * 100).toFixed(1)} %`, duration(performance.now() - startedAt)],
        ['  noticed', `${killed.length}`, split],
        ['  the same', `${same.length}`, 'no sequence of events tells them from the original'],
        ['  equivalent', `${equivalent.length}`, 'by a reason that was given'],
        ['  unnoticed', `${survived.length}`],
      ])}\n`,
    )
    for (const { id, reason } of equivalent) io.out(`  equivalent  ${id}: ${reason}\n`)
    for (const { id, complete } of survived)
      io.out(`  unnoticed   ${id}${complete ? '' : ' (not explored completely)'}\n`)
    for (const id of stale) io.out(`  stale       ${id}\n`)
  }
  return holds ? EXIT_CODES.ok : EXIT_CODES.failed
}

const TRIALS: Readonly<Record<string, string>> = {
  contract: 'the contract of the role',
  world: 'the guarantees of the composed world',
  construction: 'XState: no machine any more',
}

/** What an exploration came to, as text and as a line of JSON. */
import { toReplayFile, type Violation } from '../../machines/explore/index.js'
import { serviceBound } from '../../machines/handoff/world/bound.js'
import type { Check } from '../../machines/handoff/world/check.js'
import type { WorldOptions } from '../../machines/handoff/world/options.js'
import { duration, table } from './format.js'
import type { Io } from './io.js'
import { chartText } from './lanes.js'

export const progress =
  (io: Io) =>
  ({ states, waiting }: { readonly states: number; readonly waiting: number }): void =>
    io.err(`${states} states, ${waiting} to look at\n`)

/** Machines are no bounds: the name says who plays what. */
export const boundsText = ({ cast: _cast, otherBuild: _build, ...bounds }: WorldOptions): string =>
  Object.entries(bounds)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ')

/** CPU time of this process since then, ms: what it costs, however busy the machine is. */
export function cpuClock(): () => number {
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  }
}

export const took = (elapsedMs: number, cpuMs: number): string => `${duration(elapsedMs)}, CPU ${duration(cpuMs)}`

export const memoryMb = (): number => Math.round(process.memoryUsage().rss / 1e6)

export function report(
  name: string,
  options: WorldOptions,
  { exploration, holds, violations, world }: Check,
  cpuMs: number,
): string {
  const { complete, states, edges, depth, stats, unwitnessed } = exploration
  const head = table([
    [name, holds ? 'holds' : 'BROKEN'],
    ['  bounds', boundsText(options)],
    ['  explored', complete ? 'complete' : 'incomplete: nothing is proven'],
    ['  states', `${states}`, `edges ${edges}`, `depth ${depth}`],
    [
      '  took',
      took(stats.elapsedMs ?? 0, cpuMs),
      `${Math.round(stats.statesPerSecond ?? 0)} states/s`,
      `${memoryMb()} MB`,
    ],
    ...(holds ? [['  serves again', boundText(exploration, world)]] : []),
    ...unwitnessed.map((id) => ['  never seen', id]),
  ])
  return `${[head, ...violations.map(counterexample)].join('\n')}\n`
}

/** States and transitions that none of the explorations takes: what they say about these is nothing. */
export const unreachedText = (parts: readonly string[]): string =>
  [
    `${parts.length} parts of the machines that no exploration of this set reaches`,
    ...parts.map((part) => `  ${part}`),
    '',
  ].join('\n')

function boundText(exploration: Check['exploration'], world: Check['world']): string {
  const { worstMs } = serviceBound(exploration, world.players.policy)
  return Number.isFinite(worstMs)
    ? `within ${duration(worstMs)} after the last fault, by the default policy (INV-08)`
    : 'in the end; some waits end only with a hook or with the supervisor (INV-08)'
}

export function counterexample({ property, says, kind, detail, faults, path, loop }: Violation): string {
  const again = loop === undefined ? '' : `    and for ever:\n${chartText(loop)}`
  const title = `  ${property} is broken (${kind}): ${says}${detail === undefined ? '' : `: ${detail}`}`
  return `${title}\n    faults: ${faults.join(', ') || 'none'}\n${chartText(path.steps)}${again}`
}

export function asJson(
  name: string,
  { cast: _cast, ...bounds }: WorldOptions,
  { exploration, holds, violations, world }: Check,
  cpuMs: number,
) {
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
    cpuSeconds: cpuMs / 1000,
    memoryMb: memoryMb(),
    unwitnessed,
    servesWithinMs: Number.isFinite(worstMs) ? worstMs : null,
    violations: violations.map(({ property, kind, detail, faults, path }) => {
      return { property, kind, detail, faults, replay: toReplayFile(path) }
    }),
  }
}

/** Part of `handoff check --full`: old and new programs and supervisors in each other's company. */
import { toReplayFile } from '../../machines/explore/index.js'
import { checkMix, MIXES } from '../../machines/handoff/world/mixes.js'
import { boundsText, counterexample, cpuClock, memoryMb, progress, took } from './check-text.js'
import { table } from './format.js'
import type { Io } from './io.js'

/** Mixed versions: what cannot hold beside the original is named, and must have its counterexample. */
export function checkMixes(io: Io, json: boolean): boolean {
  let holds = true
  for (const [name, mix] of Object.entries(MIXES)) {
    const cpu = cpuClock()
    const check = checkMix(mix, { now: () => performance.now(), onProgress: progress(io) })
    const cpuMs = cpu()
    const { complete, states, edges, stats, unwitnessed } = check.exploration
    holds &&= check.holds
    if (json) {
      const { cast: _cast, otherBuild: _build, ...bounds } = mix.options
      const seconds = (stats.elapsedMs ?? 0) / 1000
      const { broken, outdated, unexpected } = check
      const found = unexpected.map(({ property, detail, faults, path }) => {
        return { property, detail, faults, replay: toReplayFile(path) }
      })
      const sizes = { complete, states, edges, seconds, cpuSeconds: cpuMs / 1000, memoryMb: memoryMb() }
      io.out(
        `${JSON.stringify({ name, bounds, holds: check.holds, ...sizes, unwitnessed, broken, outdated, unexpected: found })}\n`,
      )
      continue
    }
    const lines = table([
      [name, check.holds ? 'as expected' : 'NOT AS EXPECTED'],
      ['  bounds', boundsText(mix.options)],
      ['  explored', complete ? 'complete' : 'incomplete: nothing is proven'],
      ['  states', `${states}`, `edges ${edges}`],
      ['  took', took(stats.elapsedMs ?? 0, cpuMs), `${memoryMb()} MB`],
      ...check.broken.map((breach) => ['  cannot hold', `${breach}: ${mix.cannotHold[breach] ?? 'NOT EXPECTED'}`]),
      ...check.outdated.map((breach) => ['  holds after all', breach]),
      ...unwitnessed.map((id) => ['  never seen', id]),
    ])
    io.out(`${[lines, ...check.unexpected.map(counterexample)].join('\n')}\n`)
  }
  return holds
}

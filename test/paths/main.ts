/** `npm run test:paths`: all paths that can be driven, what they cover, and what is left. */
import { handoffPaths } from '../../machines/handoff/paths.js'
import { drive } from './drive.js'
import { ModelRuns } from './inclusion.js'
import { BOUNDS, scriptsOf } from './scripts.js'

const only = process.argv[2]
const { world, graph } = handoffPaths('committed', BOUNDS, 0)
const runs = new ModelRuns(world, graph)
const { drivable, left } = scriptsOf(world, graph)
const scripts = drivable.filter(({ name }) => only === undefined || name.includes(only))
const covered = new Set<string>()
let failed = 0
const unreached: string[] = []
for (const script of scripts) {
  const { struck, wrong, covers } = await drive(script, runs)
  for (const id of covers) covered.add(id)
  if (!struck) unreached.push(script.name)
  if (wrong.length > 0) failed += 1
  console.log(
    `${wrong.length > 0 ? 'WRONG' : struck ? 'ok   ' : 'past '} ${script.name}${wrong.map((one) => `\n      ${one}`).join('')}`,
  )
}
const coverable = world.coverable ?? []
const missing = coverable.filter((id) => !covered.has(id))
console.log(`\n${scripts.length - unreached.length} paths driven, ${failed} wrong`)
console.log(
  `covered ${coverable.length - missing.length} of ${coverable.length} states and transitions of the machines`,
)
for (const id of missing) console.log(`  not driven  ${id}`)
for (const name of unreached)
  console.log(`  not reached ${name}: real processes leave this state before they can be stopped in it`)
for (const { fault, why } of left) console.log(`  left        ${fault}: ${why}`)
process.exitCode = failed > 0 ? 1 : 0

/**
 * `npm run test:paths [-- --only TEXT] [--part K/N] [--at-once N]`: all generated paths on real processes, what they cover,
 * and what is left. Parts are driven apart, on a machine that is wanted for other things in between.
 */
import { parseArgs } from 'node:util'
import { cover } from './generate.js'
import { NOT_DRIVEN } from './not-driven.js'
import { EVERYTHING } from './trace.js'
import { walk } from './walked.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    part: { type: 'string', default: '1/1' },
    'at-once': { type: 'string', default: '2' },
  },
})
const { only, part: partText } = values
const [part = 1, parts = 1] = partText.split('/').map(Number)
const isWhole = only === '' && parts === 1
const began = performance.now()
const paths = cover()
console.error(`${paths.length} paths were generated in ${seconds(began)} s`)
const left = paths.filter(({ name }, at) => name.includes(only) && at % parts === part - 1)
const chosen = left.length
const covered = new Set<string>()
let steps = 0
let wrong = 0
await Promise.all(
  Array.from({ length: Number(values['at-once']) }, async () => {
    for (let path = left.shift(); path !== undefined; path = left.shift()) {
      const walked = await walk(path)
      for (const id of walked.exercised) covered.add(id)
      steps += walked.steps
      if (walked.wrong === null) console.log(`ok    ${path.name}`)
      else {
        wrong += 1
        const way = path.labels.slice(0, walked.steps + 1).join(' | ')
        console.log(`WRONG ${path.name}\n      ${way}\n      ${walked.wrong}`)
      }
    }
  }),
)
console.log(`\n${chosen} paths driven, ${steps} steps, ${wrong} wrong, ${seconds(began)} s`)
process.exitCode = chosen > 0 && wrong === 0 && (!isWhole || isAllTold()) ? 0 : 1

/** What the whole set drove, and whether what it left is listed and no more. */
function isAllTold(): boolean {
  const missing = EVERYTHING.filter((id) => !covered.has(id))
  const stale = Object.keys(NOT_DRIVEN).filter((id) => !missing.includes(id))
  console.log(
    `covered ${EVERYTHING.length - missing.length} of ${EVERYTHING.length} states and transitions of the machines`,
  )
  for (const id of missing) console.log(`  not driven  ${id}: ${NOT_DRIVEN[id] ?? 'NO REASON IS GIVEN'}`)
  for (const id of stale) console.log(`  stale       ${id}: it is driven, or there is no such thing`)
  return stale.length === 0 && missing.every((id) => NOT_DRIVEN[id] !== undefined)
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1000)
}

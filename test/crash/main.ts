/**
 * `npm run test:crash [-- --only TEXT] [--fault SIGKILL|SIGSTOP] [--at-once N]`: the whole crash matrix, role × state ×
 * fault → outcome. Exit 1 when anything does not hold.
 */
import { parseArgs } from 'node:util'
import { findPoints } from './points.js'
import { type Cell, type Fault, strike } from './strike.js'

const { values } = parseArgs({
  options: { only: { type: 'string' }, fault: { type: 'string' }, 'at-once': { type: 'string', default: '3' } },
})
const faults = (['SIGKILL', 'SIGSTOP'] as const).filter((fault) => values.fault === undefined || fault === values.fault)

const points = (await findPoints()).filter(({ scenario, role, machine, state }) =>
  `${scenario} ${role} ${machine} ${state}`.includes(values.only ?? ''),
)
console.error(`${points.length} points × ${faults.length} faults`)
const work = points.flatMap((point) => faults.map((fault): [typeof point, Fault] => [point, fault]))
const cells: Cell[] = []
await Promise.all(
  Array.from({ length: Number(values['at-once']) }, async () => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) {
      const cell = await strike(...next)
      cells.push(cell)
      process.stdout.write(`${line(cell)}\n`)
    }
  }),
)
const failed = cells.filter(({ wrong }) => wrong.length > 0)
const missed = cells.filter(({ outcome }) => outcome === null)
for (const { point, fault, wrong } of failed) console.error(`\n${JSON.stringify(point)} ${fault}\n${wrong.join('\n')}`)
console.log(`${cells.length} cells, ${failed.length} wrong, ${missed.length} not reached a second time`)
process.exit(failed.length === 0 ? 0 : 1)

function line({ point, fault, outcome, wrong }: Cell): string {
  const mark = wrong.length > 0 ? 'WRONG' : outcome === null ? '-' : 'ok'
  const where = `${point.machine}.${point.state}`
  return [
    point.role.padEnd(2),
    where.padEnd(44),
    fault.padEnd(8),
    mark.padEnd(6),
    point.scenario.padEnd(19),
    outcome ?? 'not reached',
  ]
    .join(' ')
    .trimEnd()
}

/** A few generated paths on real processes; `npm run test:paths` drives all that can be. */
import { expect, test } from 'vitest'
import { handoffPaths } from '../../machines/handoff/paths.js'
import { drive } from './drive.js'
import { ModelRuns } from './inclusion.js'
import { BOUNDS, scriptsOf } from './scripts.js'

const { world, graph } = handoffPaths('committed', BOUNDS, 0)
const runs = new ModelRuns(world, graph)
const { drivable } = scriptsOf(world, graph)

test.each([
  'nothing breaks',
  'A:drain:fails',
  'A:seal:fails',
  'B:openState:unhealthy',
  'kill:S in swap attempting.sealing.listening',
  'kill:A in incumbent sealed',
  'kill:B in successor taking.opening',
])('%s: real processes pass the states of one run of the model, and end where it does', async (name) => {
  const script = drivable.find((one) => one.name === name)
  if (script === undefined) throw new Error(`the model has no path to ${name}`)
  expect(await drive(script, runs)).toMatchObject({ struck: true, wrong: [] })
})

const walk = {
  'A.incumbent': ['acquiringLock.trying', 'opening', 'publishing', 'serving.alone', 'serving.attended'],
  'B.successor': ['waiting.preparing', 'waiting.copying', 'waiting.greeting', 'waiting.awaitingBegin'],
  swap: [
    'journaling',
    'spawning',
    'attempting.awaitingSuccessor',
    'attempting.recording',
    'attempting.dialling',
    'attempting.awaitingIncumbent',
    'attempting.draining.listening',
  ],
}
const facts = { lock: 'A', answers: 'A', accepts: 'A' }
const calm = (_label: string, kind: string) => kind !== 'fault'

test('a run that the model knows is explained by the steps that lead there', () => {
  const labels = runs.explain(walk, facts, calm)?.labels ?? []
  expect(labels).toContain('S:dialIncumbent')
  expect(labels.at(-1)).toMatch(/^(A|B|S)/)
})

test.each([
  ['a state in another order', { ...walk, swap: ['spawning', 'journaling', ...walk.swap.slice(2)] }, facts],
  ['a state left out', { ...walk, swap: walk.swap.filter((state) => state !== 'spawning') }, facts],
  ['a machine that goes on alone', { ...walk, 'B.successor': [...walk['B.successor'], 'taking.opening'] }, facts],
  ['another holder of the lock', walk, { ...facts, lock: 'B' }],
  ['nobody on the path', walk, { ...facts, answers: null }],
])('%s is no run of the model', (_name, seen, measured) => {
  expect(runs.explain(seen, measured, calm)).toBeNull()
})

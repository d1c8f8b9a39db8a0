/** A few generated paths on real processes; `npm run test:paths` walks all of them. */
import { beforeAll, describe, expect, test } from 'vitest'
import { castWithout } from '../../machines/handoff/world/decisions.js'
import { type Bounds, cover, type Path } from './generate.js'
import { walk } from './walked.js'

const ONE_SWAP: Bounds = { swaps: 1, faults: 1, restarts: 1 }

describe('real processes on generated paths', () => {
  let paths: readonly Path[]
  beforeAll(() => {
    paths = cover({ 'one swap': ONE_SWAP })
  })

  // The deepest path of all, and one for each kind of fault.
  test.each([
    ['the supervisor is killed in mid-swap', (path: Path) => path.labels.includes('kill:S')],
    ['a hook fails', (path: Path) => path.labels.includes('A:seal:fails')],
    ['a system call fails', (path: Path) => path.labels.includes('B:acquireLock:fails')],
    ['the successor is unhealthy', (path: Path) => path.labels.includes('B:openState:unhealthy')],
    ['a limit passes too soon', (path: Path) => path.labels.some((label) => label.startsWith('early:S~swap'))],
  ])(
    '%s: after each step machines and world are as in the model',
    async (_what, isIt) => {
      const path = paths.find(isIt)
      if (path === undefined) throw new Error('the model has no such path')
      const { wrong, steps } = await walk(path)
      expect({ wrong, steps }).toEqual({ wrong: null, steps: path.labels.length })
    },
    240_000,
  )
})

test('a machine that does otherwise than its model is found out at the step where they part', async () => {
  // This model resumes in memory what ours opens from disk.
  const bounds = { ...ONE_SWAP, cast: castWithout(['reopen']), focus: { faults: /B:openState:fails/ } }
  const path = cover({ 'without reopening': bounds }).find(({ labels }) => labels.includes('A:resume'))
  if (path === undefined) throw new Error('this model does not resume')
  const { wrong } = await walk(path, 20_000)
  expect(wrong).toMatch(/the incumbent of \d+ should be\s+\{"state":"resuming".*is\s+\{"state":"reopening"/s)
}, 240_000)

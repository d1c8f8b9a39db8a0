/** What the generated paths take, without walking them; `npm run test:paths` leads real processes along them. */
import { expect, test } from 'vitest'
import { cover } from './generate.js'
import { NOT_DRIVEN } from './not-driven.js'
import { EVERYTHING } from './trace.js'

test('each state and transition of each machine is on a path, or is told with the reason why not', () => {
  const taken = new Set(cover().flatMap(({ takes }) => takes))
  expect(EVERYTHING.filter((id) => !taken.has(id)).sort()).toEqual(Object.keys(NOT_DRIVEN).sort())
  expect(Object.values(NOT_DRIVEN).filter((reason) => reason.length < 20)).toEqual([])
}, 240_000)

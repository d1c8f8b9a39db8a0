/** A representative part of the crash matrix; `npm run test:crash` runs all of it. */
import { expect, test } from 'vitest'
import { findPoints } from './points.js'
import { SCENARIOS } from './scenarios.js'
import { strike } from './strike.js'

/** A run that did not come to its point is run again, up to four times; each may have to wait for limits. */
const LONGEST_MS = 240_000

/** Of each role the states where most is at stake: before the cut, in it, and after it. */
const REPRESENTATIVE = [
  ['S', 'swap', 'attempting.draining.listening'],
  ['S', 'swap', 'attempting.opening.listening'],
  ['S', 'swap', 'verifying'],
  ['S', 'swap', 'committed'],
  ['O', 'incumbent', 'sealing.running'],
  ['O', 'incumbent', 'sealed'],
  ['N', 'successor', 'waiting.awaitingBegin'],
  ['N', 'successor', 'taking.ready'],
  ['N', 'incumbent', 'serving.alone'],
] as const

test('a real swap passes the states that the struck runs below are struck at', async () => {
  const points = await findPoints(SCENARIOS.filter(({ name }) => name === 'swap'))
  const passed = new Set(points.map(({ role, machine, state }) => `${role} ${machine} ${state}`))
  expect(REPRESENTATIVE.map((point) => point.join(' ')).filter((point) => !passed.has(point))).toEqual([])
  expect(points.length).toBeGreaterThan(30)
})

test.each(REPRESENTATIVE)(
  'killed as %s: %s.%s is entered: one serves, the next swap commits, nothing is lost or left',
  async (...point) => {
    const [role, machine, state] = point
    const cell = await strike({ scenario: 'swap', role, machine, state }, 'SIGKILL')
    expect(cell.wrong).toEqual([])
    expect(cell.outcome).not.toBeNull()
  },
  LONGEST_MS,
)

test(
  'stopped in mid-cut and going on after every limit has passed: the old one serves, or the new one, never both',
  async () => {
    const cell = await strike(
      { scenario: 'swap', role: 'S', machine: 'swap', state: 'attempting.opening.listening' },
      'SIGSTOP',
    )
    expect(cell).toMatchObject({ wrong: [], outcome: expect.stringMatching(/^(committed|rolledBack), a?/) })
  },
  LONGEST_MS,
)

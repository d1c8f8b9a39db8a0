import { describe, expect, test } from 'vitest'
import { and, not, setup } from 'xstate'
import { DEFAULT_POLICY, LIMITS } from '../../machines/handoff/policy.js'
import { supervisorMachine } from '../../machines/handoff/supervisor.machine.js'
import { swapMachine } from '../../machines/handoff/swap.machine.js'
import { FIRM, widthOf, wrap } from '../../visualizations/charts/text.js'
import { actorText, delayText, duration, effectText, guardText } from '../../visualizations/charts/words.js'

const swap = { policy: DEFAULT_POLICY, incumbentPid: 1 }
const plain = (text: string) => text.replaceAll(FIRM, ' ')

describe('times', () => {
  test.each([
    [25, '25 ms'],
    [1_500, '1.5 s'],
    [60_000, '60 s'],
    [61_000, '61 s'],
    [300_000, '5 min'],
    [0, 'off'],
  ])('%i ms reads %s', (ms, text) => expect(plain(duration(ms))).toBe(text))

  test('a delay shows the default of its limit, sums included, and a range where the context changes it', () => {
    expect(plain(delayText(swapMachine, 'livenessMs', swap, []))).toBe(
      `livenessMs (${LIMITS.livenessMs.default / 1_000} s)`,
    )
    const overdue = (LIMITS.drainGraceMs.default + LIMITS.deadlineSlackMs.default) / 1_000
    expect(plain(delayText(swapMachine, 'drainOverdueMs', swap, []))).toBe(`drainOverdueMs (${overdue} s)`)
    const failures = [{ failures: 1 }, { failures: DEFAULT_POLICY.crashLoopLimit }]
    const range = delayText(supervisorMachine, 'respawnPauseMs', { policy: DEFAULT_POLICY }, failures)
    expect(plain(range)).toBe('respawnPauseMs (100 ms to 30 s)')
  })
})

describe('guards', () => {
  test('a name is a name, a function of the definition is its own text, and combinations read like one', () => {
    expect(guardText('isPrepared')).toBe('isPrepared')
    expect(guardText(undefined)).toBe('')
    expect(guardText(({ event }: { event: { pid: number } }) => event.pid === 1)).toBe('pid === 1')
    expect(guardText(({ event }: { event: { output: { held: boolean } } }) => !event.output.held)).toBe('!held')
    expect(guardText(not('isLast'))).toBe('!isLast')
    expect(guardText(and(['isOwed', not('isLast')]))).toBe('isOwed && !isLast')
  })
})

describe('effects', () => {
  const machine = setup({ actions: { tell: () => {}, sendToPeer: () => {} } }).createMachine({})

  test('a message names its receiver, notes and timers are no effects, and nothing is claimed that the context decides', () => {
    expect(effectText(machine, 'tell')).toBe('tell')
    expect(effectText(machine, { type: 'tell', params: { phase: 'sealing' } })).toBe('tell (sealing)')
    expect(effectText(machine, { type: 'sendToPeer', params: () => ({ kind: 'Begin', n: 1 }) })).toBe('Begin → peer')
    expect(effectText(swapMachine, 'noteResult')).toBeNull()
    expect(effectText(swapMachine, { type: 'xstate.raise' })).toBeNull()
    const choosing = ({ context }: { context: { owed: boolean } }) => ({ build: context.owed ? 'new' : 'old' })
    expect(actorText({ src: 'start', id: 'start', input: choosing })).toBe('start')
    expect(actorText({ src: 'open', id: 'open', input: { reason: 'reopen' } })).toBe('open (reopen)')
  })
})

describe('text', () => {
  test('lines break at spaces, never inside a time', () => {
    const text = `after livenessMs${FIRM}(10${FIRM}s) it ends`
    const lines = wrap(text, 11, 90)
    expect(lines.length).toBeGreaterThan(1)
    expect(lines.join(' ')).toBe(text)
    expect(lines.some((line) => line.includes(`livenessMs${FIRM}(10${FIRM}s)`))).toBe(true)
  })

  test('wider letters and larger sizes are wider', () => {
    expect(widthOf('mmm', 11)).toBeGreaterThan(widthOf('iii', 11))
    expect(widthOf('text', 13, true)).toBeGreaterThan(widthOf('text', 13))
    expect(widthOf('text', 13)).toBeGreaterThan(widthOf('text', 11))
  })
})

import { describe, expect, test } from 'vitest'
import { parseOptions } from '../../examples/demo/options.js'
import {
  buildReport,
  colours,
  formatReport,
  formatStep,
  noColours,
  type StepResult,
} from '../../examples/demo/report.js'
import { KIND_LABELS, schedule } from '../../examples/demo/schedule.js'
import { percentile } from '../../examples/demo/stall.js'
import { Counters, MUST_BE_ZERO, MUST_MOVE, type Tally } from '../../examples/demo/tally.js'

const quiet: Tally = { ...new Counters().read(), requests: 1000, writesAcknowledged: 100 }
const good: StepResult = {
  kind: 'good',
  faults: '',
  expected: 'committed',
  reasons: [],
  result: 'committed',
  code: null,
  reason: null,
  totalMs: 80,
  stallMs: 12,
  pid: 7,
  wrong: null,
}

describe('the schedule', () => {
  test.each([1, 2, 3, 5, 6, 10, 11, 100])('of %i good swaps has as many, and one of each failing kind', (swaps) => {
    const steps = schedule(swaps)
    const count = (kind: string) => steps.filter((step) => step.kind === kind).length
    expect(count('good')).toBe(swaps)
    for (const kind of Object.keys(KIND_LABELS)) if (kind !== 'good') expect(count(kind), kind).toBe(1)
    for (const step of steps) {
      expect(step.expected).toBe(step.kind === 'good' ? 'committed' : 'rolledBack')
      expect(step.reasons.length === 0).toBe(step.kind === 'good')
    }
  })

  test.each([1, 4, 10, 33])(
    'of %i: the failing seal meets the build that carries it, and no other swap before',
    (swaps) => {
      const steps = schedule(swaps)
      const failing = steps.findIndex(({ kind }) => kind === 'sealFails')
      expect(steps[failing - 1]).toMatchObject({ kind: 'good', faults: 'seal-fails=1' })
      expect(steps.filter(({ faults }) => faults.startsWith('seal-fails'))).toHaveLength(1)
    },
  )

  test('of ten spreads the failing swaps between good ones', () => {
    const kinds = schedule(10).map(({ kind }) => kind)
    for (const [i, kind] of kinds.entries()) {
      if (kind !== 'good') expect([kinds[i - 1], kinds[i + 1]]).toEqual(['good', 'good'])
    }
  })
})

describe('the verdict', () => {
  test('is ok when nothing was noticed', () => {
    const report = buildReport([good], [3], quiet, 1)
    expect(report).toMatchObject({ ok: true, committed: 1, rolledBack: 0, unexpected: 0 })
  })

  test.each([...MUST_BE_ZERO, ...MUST_MOVE])('is not ok when %s is not 0', (counter) => {
    expect(buildReport([good], [], { ...quiet, [counter]: 1 }, 1).ok).toBe(false)
  })

  test('is not ok when a swap ended otherwise than it should, or when no client was served', () => {
    expect(buildReport([good, { ...good, wrong: 'expected committed' }], [], quiet, 1)).toMatchObject({
      ok: false,
      unexpected: 1,
    })
    expect(buildReport([good], [], { ...quiet, requests: 0 }, 1).ok).toBe(false)
  })

  test('covers everything the run promises', () => {
    expect([...MUST_BE_ZERO]).toEqual(
      expect.arrayContaining(['refused', 'reset', 'failed', 'writesLost', 'writesDuplicated']),
    )
  })
})

describe('the table', () => {
  const steps = [good, { ...good, stallMs: 20 }, { ...good, kind: 'hangs' as const, result: 'rolledBack' as const }]
  const report = buildReport(steps, [1, 2, 3], { ...quiet, reasons: { 'failed: x': 2 } }, 20)

  test('has a stall row for each kind of swap that was made, and one for the time between', () => {
    expect(report.stalls).toEqual([
      { kind: 'none', windows: 3, p50Ms: 2, p99Ms: 3, maxMs: 3 },
      { kind: 'good', windows: 2, p50Ms: 12, p99Ms: 20, maxMs: 20 },
      { kind: 'hangs', windows: 1, p50Ms: 12, p99Ms: 12, maxMs: 12 },
    ])
  })

  test('is aligned, names units, and has colours only where they are wanted', () => {
    const text = formatReport(report, noColours)
    expect(text).not.toContain('\u001b')
    expect(formatReport(report, colours)).toContain('\u001b[32m')
    const counts = text.split('\n').filter((line) => /^ {2}\S.* \d+$/.test(line))
    expect(new Set(counts.map((line) => line.length)).size).toBe(1)
    expect(counts.length).toBeGreaterThan(8)
    expect(text).toMatch(/good swap +2 +12 ms +20 ms +20 ms/)
    expect(text).toContain('2 × failed: x')
  })

  test('a step that went wrong says how', () => {
    expect(formatStep({ ...good, wrong: 'expected rolledBack' }, '3/15', noColours)).toMatch(
      /3\/15 good swap +committed .*80 ms .*pid 7\n +expected rolledBack$/,
    )
  })
})

test('percentiles are nearest-rank', () => {
  const samples = Array.from({ length: 100 }, (_, i) => 100 - i)
  expect([0, 1, 50, 99, 100].map((p) => percentile(samples, p))).toEqual([1, 1, 50, 99, 100])
  expect(percentile([], 50)).toBeUndefined()
  expect(percentile([7], 99)).toBe(7)
})

describe('the command line', () => {
  test('has defaults and takes all three flags', () => {
    expect(parseOptions([])).toEqual({ swaps: 10, seconds: 20, json: false })
    expect(parseOptions(['--swaps', '3', '--seconds=0', '--json'])).toEqual({ swaps: 3, seconds: 0, json: true })
  })

  test.each([
    [['--swaps', '0'], '--swaps takes'],
    [['--swaps', 'x'], '--swaps takes'],
    [['--seconds', '1.5'], '--seconds takes'],
    [['--fast'], '--fast'],
    [['now'], 'now'],
  ])('refuses %j', (args, why) => {
    expect(() => parseOptions(args)).toThrow(why)
  })
})

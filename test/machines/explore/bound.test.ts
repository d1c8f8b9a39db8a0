import { describe, expect, test } from 'vitest'
import { type BoundOptions, boundTo, explore } from '../../../machines/explore/index.js'
import { type Light, table } from './table-world.js'

/** The bound until `up`; a label's trailing number is its weight in ms, as in `wait100`. */
function bound(lines: string, options: Partial<BoundOptions<Light>> = {}) {
  const { graph } = explore(table(lines), { marks: { up: ({ at }) => at === 'up' } })
  return boundTo(graph, { goal: 'up', weightMs: ({ name }) => Number(/\d+$/.exec(name)?.[0] ?? 0), ...options })
}

const names = ({ path }: { readonly path: { readonly steps: readonly { readonly label: string }[] } }) =>
  path.steps.map(({ label }) => label).join(' ')

describe('the time until the goal, if faults stop', () => {
  test('is the heaviest way, with the path that attains it', () => {
    const worst = bound(`
      up crash/fault down
      down wait100/timer retry
      down wait300/timer cold
      retry wait50/timer up
      cold start up`)
    expect(worst.worstMs).toBe(300)
    const why = worst.explain(worst.worst)
    expect(why).toMatchObject({ ms: 300, faultsStopAfter: 1, weights: [{ label: 'wait300', ms: 300 }] })
    expect(names(why)).toBe('crash wait300 start')
    expect(worst.afterFault).toEqual([{ fault: 'crash', ms: 300, at: 1 }])
    expect(worst.of(0)).toBe(0)
  })

  test('is told apart by what a fault hits', () => {
    const worst = bound(
      `
      up crash/fault a
      up step b
      b crash/fault c
      a wait10/timer up
      c wait70/timer up`,
      { scenario: ({ at }, fault) => `${fault} in ${at}` },
    )
    expect(worst.afterFault).toMatchObject([
      { fault: 'crash in up', ms: 10 },
      { fault: 'crash in b', ms: 70 },
    ])
  })

  test('lets time pass only where nothing else can happen', () => {
    const lines = `
      up crash/fault down
      down wait900/timer late
      down notice known
      late notice2 known
      known wait20/timer up`
    const weightMs: BoundOptions<Light>['weightMs'] = ({ name, kind }) => (kind === 'timer' ? Number(name.slice(4)) : 0)
    expect(bound(lines, { weightMs }).worstMs).toBe(20)
    expect(bound(lines, { weightMs, urgent: false }).worstMs).toBe(920)
  })

  test('a circle of weightless steps does not stop the clock, nor does a step that changes nothing', () => {
    const worst = bound(`
      up crash/fault a
      a ping b
      b pong a
      b idle b
      b wait70/timer up`)
    expect(worst.worstMs).toBe(70)
    expect(names(worst.explain(1))).toBe('crash ping wait70')
  })

  test('is infinite at a dead end and in a loop that takes time, and says which', () => {
    const dead = bound('up crash/fault down\ndown again/fault up')
    expect(dead.worstMs).toBe(Number.POSITIVE_INFINITY)
    expect(dead.explain(dead.worst).loop).toEqual([])
    const retry = bound(`
      up crash/fault down
      down try trying
      trying fail waiting
      waiting backoff100/timer down
      trying luck up`)
    expect(retry.worstMs).toBe(Number.POSITIVE_INFINITY)
    expect(retry.explain(retry.worst).loop).toEqual(['try', 'fail', 'backoff100'])
  })

  test('is that of the deadline which ends such a loop wherever it stands', () => {
    const lines = `
      up crash/fault down
      down wait40/timer trying
      down deadline1000/timer cold
      trying wait30/timer down
      trying deadline1000/timer cold
      cold start5 up`
    const absolute: BoundOptions<Light>['absolute'] = ({ name }) => name.startsWith('deadline')
    expect(bound(lines).worstMs).toBe(Number.POSITIVE_INFINITY)
    const worst = bound(lines, { absolute })
    expect(worst.worstMs).toBe(1_005)
    expect(worst.explain(worst.worst).weights).toEqual([
      { label: 'deadline1000', ms: 1_000 },
      { label: 'start5', ms: 5 },
    ])
  })

  test('a deadline that is not armed everywhere, or that may stay in the loop, is none', () => {
    const absolute: BoundOptions<Light>['absolute'] = ({ name }) => name.startsWith('deadline')
    expect(bound('up c/fault a\na wait4/timer b\nb wait3/timer a\na deadline10/timer up', { absolute }).worstMs).toBe(
      Number.POSITIVE_INFINITY,
    )
    expect(
      bound('up c/fault a\na wait4/timer b\nb wait3/timer a\na deadline10/timer up\nb deadline10/timer a', { absolute })
        .worstMs,
    ).toBe(Number.POSITIVE_INFINITY)
  })

  test('an impossible weight or an unknown goal is refused', () => {
    expect(() => bound('a go up', { weightMs: () => -1 })).toThrow(/-1 ms/)
    expect(() => bound('a go up', { weightMs: () => Number.NaN })).toThrow(/NaN ms/)
    expect(() => bound('a go up', { goal: 'down' })).toThrow(/no mark 'down'/)
  })
})

import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import {
  createMachineStepper,
  explore,
  type Progress,
  type Property,
  type SnapshotId,
  type World,
} from '../../../machines/explore/index.js'
import { type Light, table } from './table-world.js'

/** Two counters up to `limit`, and back to zero from the top: (limit + 1)² states. */
function grid(limit: number, key: World<readonly [number, number]>['key']): World<readonly [number, number]> {
  return {
    initial: () => [[0, 0]] as const,
    *steps([x, y]) {
      if (x < limit) {
        yield { label: 'right', kind: 'progress', next: [x + 1, y] }
      }
      if (y < limit) {
        yield { label: 'up', kind: 'progress', next: [x, y + 1] }
      }
    },
    key,
  }
}

const labels = (path: { readonly steps: readonly { readonly label: string }[] }) =>
  path.steps.map(({ label }) => label).join(' ')

describe('states and edges', () => {
  test('are counted exactly, with text keys, number parts and object parts alike', () => {
    const keys: World<readonly [number, number]>['key'][] = [
      ([x, y]) => `${x},${y}`,
      ([x, y]) => [x, y],
      ([x, y]) => [{ x }, [y]],
    ]
    for (const key of keys) {
      const result = explore(grid(20, key))
      expect(result).toMatchObject({ complete: true, states: 441, edges: 840, depth: 40, violations: [] })
    }
  })

  test('survive the growth of the hash table', () => {
    expect(explore(grid(120, ([x, y]) => [x, y]))).toMatchObject({ states: 14_641, edges: 29_040 })
  })

  test('of large, negative and fractional parts stay apart', () => {
    const values = [0, -0, 1, -1, 0.5, 2 ** 30, -(2 ** 30), 2 ** 31, Number.NaN, '0', '', null, undefined, false, 0n]
    const world: World<number> = {
      initial: () => 0,
      steps: (at) => (at + 1 < values.length ? [{ label: 'next', kind: 'progress', next: at + 1 }] : []),
      key: (at) => [values[at]],
    }
    expect(explore(world).states).toBe(values.length)
  })

  test('end at the limit, and nothing is called complete or live then', () => {
    const goal: Property<readonly [number, number]> = {
      id: 'L',
      says: 'the corner',
      kind: 'eventually',
      holds: ([x]) => x === 20,
    }
    const result = explore(
      grid(20, ([x, y]) => [x, y]),
      { properties: [goal], limits: { states: 100 } },
    )
    expect(result.complete).toBe(false)
    expect(result.unchecked).toEqual(['L'])
    expect(result.violations).toEqual([])
  })

  test('of several initial states share one numbering', () => {
    const world = { ...grid(3, ([x, y]) => [x, y]), initial: () => [[2, 0] as const, [2, 0] as const, [0, 2] as const] }
    const result = explore(world)
    expect(result.states).toBe(12)
    const [, other] = [...result.graph.states()].find(([, [x, y]]) => x === 0 && y === 3) ?? []
    expect(other).toEqual([0, 3])
    expect(result.graph.pathTo(result.states - 1).initial).toBeOneOf([0, 2])
  })
})

describe('safety', () => {
  test('the counterexample is a shortest path, counted and deduplicated by verdict', () => {
    const result = explore(
      grid(5, ([x, y]) => [x, y]),
      {
        properties: [
          { id: 'A', says: 'x stays small', kind: 'always', holds: ([x]) => (x < 3 ? true : 'x is large') },
          { id: 'B', says: 'never both', kind: 'always', holds: ([x, y]) => !(x === 1 && y === 2) },
        ],
      },
    )
    expect(
      result.violations.map(({ property, detail, count, path }) => [property, detail, count, labels(path)]),
    ).toEqual([
      ['A', 'x is large', 18, 'right right right'],
      ['B', undefined, 1, 'right up up'],
    ])
    expect(result.violations[0]?.path.steps.at(-1)?.state).toEqual([3, 0])
  })

  test('edges are judged where they happen', () => {
    const result = explore(table('a go b\nb go c\nc back/fault a'), {
      properties: [
        {
          id: 'E',
          says: 'no way back',
          kind: 'edge',
          holds: (from, { next }) => !(from.at === 'c' && next.at === 'a'),
        },
        { id: 'W', says: 'c is left', kind: 'sometimesEdge', holds: (from) => from.at === 'c' },
      ],
    })
    expect(result.violations).toMatchObject([{ property: 'E', kind: 'edge', faults: ['back'], count: 1 }])
    expect(labels(result.violations[0]?.path ?? { steps: [] })).toBe('go go back')
    expect(result.unwitnessed).toEqual([])
    expect(labels(result.witness('W') ?? { steps: [] })).toBe('go go back')
  })

  test('an exception of a step is a violation with its path, and later questions survive it', () => {
    const world: World<number> = {
      initial: () => 0,
      *steps(at) {
        yield { label: 'next', kind: 'progress', next: Math.min(at + 1, 3) }
        if (at === 2) {
          throw new Error('the guard broke')
        }
      },
      key: (at) => [at],
    }
    const result = explore(world)
    expect(result.violations).toMatchObject([{ property: 'exception', kind: 'exception', detail: 'the guard broke' }])
    expect(labels(result.violations[0]?.path ?? { steps: [] })).toBe('next next')
    expect([...result.graph.states()].map(([, state]) => state)).toEqual([0, 1, 2, 3])
  })

  test('stops at the wanted number of violations', () => {
    const result = explore(
      grid(50, ([x, y]) => [x, y]),
      {
        properties: [{ id: 'A', says: '', kind: 'always', holds: ([x, y]) => x + y < 3 }],
        limits: { violations: 1 },
      },
    )
    expect(result.complete).toBe(false)
    expect(result.violations).toHaveLength(1)
    expect(result.states).toBeLessThan(20)
  })

  test('violations are told apart by their faults on request', () => {
    const world = table('a kill:s/fault b\na kill:n/fault c\nb go bad\nc go bad2')
    const bad: Property<Light> = { id: 'A', says: '', kind: 'always', holds: ({ at }) => !at.startsWith('bad') }
    expect(explore(world, { properties: [bad] }).violations).toHaveLength(1)
    expect(explore(world, { properties: [bad], byFaults: true }).violations.map(({ faults }) => faults)).toEqual([
      ['kill:s'],
      ['kill:n'],
    ])
  })
})

describe('liveness', () => {
  const served: Property<Light> = {
    id: 'L',
    says: 'it serves',
    kind: 'eventually',
    holds: ({ at }) => at === 'serving',
  }

  test('a dead end without the goal is found, faults and triggers do not help', () => {
    const world = table('a go serving\na crash/fault dead\ndead restart/trigger a\ndead again/fault a')
    expect(explore(world, { properties: [served] }).violations).toMatchObject([
      { property: 'L', kind: 'deadEnd', count: 1, faults: ['crash'] },
    ])
  })

  test('a livelock has steps everywhere and is found all the same, with its loop', () => {
    const world = table(
      'a go serving\na crash/fault spawn\nspawn try dying\ndying die waiting\nwaiting backoff/timer spawn\nserving tick/timer a',
    )
    const [violation, ...others] = explore(world, { properties: [served] }).violations
    expect(others).toEqual([])
    expect(violation).toMatchObject({ kind: 'livelock', count: 3 })
    expect(violation?.loop?.map(({ label }) => label)).toEqual(['try', 'die', 'backoff'])
  })

  test('a loop that can be left is no livelock', () => {
    const world = table('a retry a2\na2 back a\na2 luck serving')
    expect(explore(world, { properties: [served] }).violations).toEqual([])
  })

  test('a goal that must stay is not satisfied by a visit', () => {
    const world = table('serving flap/timer down\ndown flop/timer serving')
    expect(explore(world, { properties: [served] }).violations).toEqual([])
    expect(explore(world, { properties: [{ ...served, stays: true }] }).violations).toMatchObject([
      { kind: 'livelock' },
    ])
  })

  test('the kinds of step that are owed can be narrowed', () => {
    const world = table('a wait/timer serving')
    expect(explore(world, { properties: [{ ...served, by: ['progress'] }] }).violations).toMatchObject([
      { kind: 'deadEnd', count: 1 },
    ])
  })
})

describe('sometimes', () => {
  test('what nothing shows is named', () => {
    const result = explore(
      grid(2, ([x, y]) => [x, y]),
      {
        properties: [
          { id: 'S1', says: '', kind: 'sometimes', holds: ([x, y]) => x === 2 && y === 1 },
          { id: 'S2', says: '', kind: 'sometimes', holds: ([x]) => x === 9 },
        ],
      },
    )
    expect(result.unwitnessed).toEqual(['S2'])
    expect(result.witness('S1')?.steps).toHaveLength(3)
    expect(result.witness('S2')).toBeUndefined()
  })
})

describe('the graph', () => {
  test('walks to any state again and knows marks, sources and depths', () => {
    const { graph, states } = explore(
      grid(6, ([x, y]) => [x, y]),
      { marks: { corner: ([x, y]) => x === 6 && y === 6 } },
    )
    const seen = [...graph.states()]
    expect(seen).toHaveLength(states)
    for (const [id, [x, y]] of seen) {
      expect(graph.state(id)).toEqual([x, y])
      expect(graph.depth(id)).toBe(x + y)
      expect(graph.edgesTo(id)).toHaveLength(x + y)
      expect(graph.marked('corner', id)).toBe(x + y === 12)
      for (let edge = graph.edgesStart(id); edge < graph.edgesEnd(id); edge++) {
        expect(graph.source(edge)).toBe(id)
      }
    }
    expect(() => graph.marked('middle', 0)).toThrow(/corner/)
  })

  test('gives the same states when they were kept', () => {
    const kept = explore(
      grid(4, ([x, y]) => [x, y]),
      { keepStates: true },
    ).graph
    const walked = explore(grid(4, ([x, y]) => [x, y])).graph
    expect([...kept.states()]).toEqual([...walked.states()])
  })

  test('notices a world that is not deterministic', () => {
    let turn = 0
    const world: World<number> = {
      initial: () => 0,
      steps: (at) => (at < 2 ? [{ label: `step${turn++}`, kind: 'progress', next: at + 1 }] : []),
      key: (at) => [at],
    }
    const { graph } = explore(world)
    expect(() => graph.state(2)).toThrow(/stands where/)
  })
})

describe('reporting', () => {
  test('tells its progress, and the time by the clock it is given', () => {
    let clock = 0
    const seen: Progress[] = []
    const { stats } = explore(
      grid(30, ([x, y]) => [x, y]),
      {
        onProgress: (progress) => seen.push(progress),
        progressEvery: 400,
        now: () => {
          clock += 500
          return clock
        },
      },
    )
    expect(seen.map(({ states, waiting }) => states - waiting)).toEqual([400, 800])
    expect(stats).toMatchObject({ elapsedMs: 500, statesPerSecond: 961 * 2 })
    expect(explore(grid(3, ([x, y]) => [x, y])).stats).not.toHaveProperty('elapsedMs')
  })

  test('counts what the initial states have covered already', () => {
    const world: World<number> = {
      initial: () => 0,
      steps: (at) => (at === 0 ? [{ label: 'go', kind: 'progress', next: 1, covers: ['b'] }] : []),
      key: (at) => [at],
      coverable: ['a', 'b', 'c'],
      initialCovers: ['a'],
    }
    expect(explore(world).coverage).toEqual({ covered: ['a', 'b'], missing: ['c'] })
  })

  test('the example of the door holds', () => {
    const pingMachine = setup({}).createMachine({
      id: 'ping',
      initial: 'one',
      states: { one: { on: { pong: 'two' } }, two: { on: { pong: 'three' } }, three: {} },
    })
    const ping = createMachineStepper(pingMachine)
    const world: World<{ at: SnapshotId; pings: number }> = {
      initial: () => ({ at: ping.start().snapshot, pings: 0 }),
      *steps({ at, pings }) {
        const pong = ping.send(at, { type: 'pong' })
        if (pong.handled) {
          yield { label: 'pong', kind: 'progress', next: { at: pong.snapshot, pings: pings + 1 }, covers: pong.covers }
        }
      },
      key: ({ at, pings }) => [at, pings],
    }
    const { complete, states, violations } = explore(world, {
      properties: [{ id: 'P-1', says: 'two pings at most', kind: 'always', holds: ({ pings }) => pings <= 2 }],
    })
    expect({ complete, states, violations }).toEqual({ complete: true, states: 3, violations: [] })
  })
})

describe('a world that breaks its contract is refused at once', () => {
  test.each([
    ['two steps of one label', 'a go b\na go c', /twice/],
    ['one label of two kinds', 'a go b\nb go/fault c', /'fault' here/],
  ])('%s', (_name, lines, message) => {
    expect(() => explore(table(lines))).toThrow(message)
  })

  test('keys of changing form or without a canonical text', () => {
    const changing = (key: World<number>['key']): World<number> => ({
      initial: () => 0,
      steps: (at) => (at < 3 ? [{ label: 'next', kind: 'progress', next: at + 1 }] : []),
      key,
    })
    expect(() => explore(changing((at) => (at < 2 ? [at] : [at, at])))).toThrow(/list of 1 parts/)
    expect(() => explore(changing((at) => (at < 2 ? 'text' : [at])))).not.toThrow()
    expect(() => explore(changing((at) => (at < 1 ? 'text' : [at])))).toThrow(/was a text/)
    expect(() => explore(changing((at) => [new Map([[at, at]])]))).toThrow(/Map/)
  })

  test('more marks than there are bits', () => {
    const marks = Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`m${at}`, () => true]))
    expect(() => explore(table('a go b'), { marks })).toThrow(/at most 32/)
  })
})

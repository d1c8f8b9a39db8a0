import { getAdjacencyMap, TestModel } from '@xstate/graph'
import { describe, expect, test } from 'vitest'
import { explore, graphLogic, shortestPathsTo, transitionCover, type World } from '../../../machines/explore/index.js'
import { table } from './table-world.js'

const labels = (path: { readonly steps: readonly { readonly label: string }[] }) =>
  path.steps.map(({ label }) => label).join(' ')

const square = (limit: number): World<readonly [number, number]> => ({
  initial: () => [[0, 0] as const],
  *steps([x, y]) {
    if (x < limit) {
      yield { label: 'right', kind: 'progress', next: [x + 1, y] }
    }
    if (y < limit) {
      yield { label: 'up', kind: 'progress', next: [x, y + 1] }
    }
  },
  key: (at) => at,
})

describe('shortest paths', () => {
  test('in a graph too large for the library as a whole', () => {
    const { graph, states } = explore(square(205))
    expect(states).toBeGreaterThan(40_000)
    const paths = shortestPathsTo(graph, ([x, y]) => x === 205 && (y === 3 || y === 205))
    expect(paths.map(({ steps }) => steps.length)).toEqual([208, 410])
    expect(paths[1]?.steps.at(-1)?.state).toEqual([205, 205])
  })

  test('begin in the initial state that is nearest', () => {
    const world = { ...table('a go b\nb go c\nx jump c2\nc go d\nc2 go d'), initial: () => [{ at: 'a' }, { at: 'x' }] }
    const { graph } = explore(world)
    const [path] = shortestPathsTo(graph, ({ at }) => at === 'd')
    expect(path).toMatchObject({ initial: 1, start: { at: 'x' } })
    expect(labels(path ?? { steps: [] })).toBe('jump go')
    expect(shortestPathsTo(graph, ({ at }) => at === 'a')).toMatchObject([{ initial: 0, steps: [] }])
    expect(shortestPathsTo(graph, () => true)).toHaveLength(graph.size)
  })
})

describe('a cover', () => {
  const lines = `
    up swap/trigger swapping
    swapping done up
    swapping fail/fault broken
    broken heal/timer up
    up crash/fault down
    down restart up`

  test('takes calm paths first and faults only where they are needed', () => {
    const { graph } = explore(table(lines), { marks: { up: ({ at }) => at === 'up' } })
    const cover = transitionCover(graph, { of: 'labels', endAt: 'up' })
    expect(cover.paths.map(labels)).toEqual(['swap done', 'crash restart swap fail heal'])
    expect(cover.paths.every(({ final }) => final.marks.includes('up'))).toBe(true)
  })

  test('keeps to the length it is given, as far as it can', () => {
    const { graph } = explore(table(lines))
    const cover = transitionCover(graph, { of: 'labels', maxSteps: 2 })
    expect(cover.paths.map(labels)).toEqual(['swap done', 'crash restart', 'swap fail', 'swap fail heal'])
    expect(cover.missing).toEqual([])
  })

  test('can be asked for some items alone', () => {
    const { graph } = explore(table(lines))
    expect(transitionCover(graph, { of: 'labels', items: (item) => item === 'heal' })).toMatchObject({
      covered: ['heal'],
      paths: [{ steps: [{ label: 'swap' }, { label: 'fail' }, { label: 'heal' }] }],
    })
  })
})

describe('the graph as logic', () => {
  test('gives @xstate/graph the same states and edges', () => {
    const { graph, states, edges } = explore(square(7))
    const { logic, traversal } = graphLogic(graph)
    const map = getAdjacencyMap(logic, traversal)
    expect(Object.keys(map)).toHaveLength(states)
    expect(Object.values(map).flatMap(({ transitions }) => Object.values(transitions))).toHaveLength(edges)
  })

  test('drives a system under test', async () => {
    const { graph } = explore(table('a go b\nb stop c'))
    const { logic, traversal } = graphLogic(graph)
    const model = new TestModel(logic, traversal)
    const done: string[] = []
    for (const path of model.getShortestPaths()) {
      await path.test({
        events: {
          go: () => {
            done.push('go')
          },
          stop: () => {
            done.push('stop')
          },
        },
      })
    }
    expect(done).toEqual(['go', 'stop'])
  })
})

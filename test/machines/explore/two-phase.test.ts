import { describe, expect, test } from 'vitest'
import {
  explore,
  replay,
  sequenceOf,
  shortestPathsTo,
  toReplayFile,
  transitionCover,
  UnknownLabelError,
} from '../../../machines/explore/index.js'
import { type TwoPhase, type TwoPhaseWorld, twoPhaseMarks, twoPhaseProperties, twoPhaseWorld } from './two-phase.js'

const run = (world: TwoPhaseWorld) => explore(world, { properties: twoPhaseProperties(world), marks: twoPhaseMarks })

describe('two-phase commit, composed of real machines', () => {
  test.each([
    { participants: 1, faults: 1, states: 382, edges: 672, unwitnessed: [] },
    { participants: 2, faults: 0, states: 622, edges: 1_383, unwitnessed: ['HEARS'] },
    { participants: 2, faults: 1, states: 8_410, edges: 21_180, unwitnessed: [] },
  ])('$participants participants, $faults faults: complete and sound', ({ participants, faults, ...found }) => {
    const result = run(twoPhaseWorld({ participants, faults }))
    expect(result).toMatchObject({ complete: true, ...found, violations: [], unchecked: [] })
  })

  test('a naive search of ten lines counts the same', () => {
    const world = twoPhaseWorld({ participants: 1, faults: 2 })
    const text = (state: TwoPhase) => JSON.stringify(world.key(state))
    const queue = [world.initial() as TwoPhase]
    const seen = new Set(queue.map(text))
    let edges = 0
    for (const state of queue) {
      for (const { next } of world.steps(state)) {
        edges += 1
        if (!seen.has(text(next))) {
          seen.add(text(next))
          queue.push(next)
        }
      }
    }
    expect(explore(world)).toMatchObject({ states: seen.size, edges })
  })

  test('the memo adds nothing and loses nothing', () => {
    const remembering = twoPhaseWorld({ faults: 1 })
    const forgetful = twoPhaseWorld({ faults: 1, memo: false })
    const [first, second] = [run(remembering), run(forgetful)]
    expect([second.states, second.edges, second.depth]).toEqual([first.states, first.edges, first.depth])
    expect(second.labels).toEqual(first.labels)
    expect(remembering.coordinator.stats.calls).toBeLessThan(100)
    expect(forgetful.coordinator.stats.calls).toBeGreaterThan(20 * remembering.coordinator.stats.calls)
  })

  test('one fault is enough to visit every state and take every transition; without faults the rest is named', () => {
    expect(run(twoPhaseWorld({ faults: 1 })).coverage.missing).toEqual([])
    expect(run(twoPhaseWorld({ faults: 0 })).coverage.missing).toContain('coordinator.logging error(writeLog) #0')
  })
})

describe('paths', () => {
  const world = twoPhaseWorld({ faults: 1 })
  const { graph } = run(world)

  test('lead to every quiescent state on a shortest way, and replay to the same state', () => {
    const paths = shortestPathsTo(graph, 'quiescent')
    const quiescent = [...graph.states()].filter(([, state]) => twoPhaseMarks.quiescent(state))
    expect(paths.map(({ final }) => final.id)).toEqual(quiescent.map(([id]) => id))
    for (const path of paths) {
      expect(path.steps).toHaveLength(graph.depth(path.final.id))
      const { states, path: walked } = replay(world, JSON.parse(JSON.stringify(toReplayFile(path))))
      expect(states.map(world.key).at(-1)).toEqual(world.key(graph.state(path.final.id)))
      expect(walked).toEqual({ initial: path.initial, start: path.start, steps: path.steps })
    }
  })

  test('can be asked for by predicate, one for each outcome', () => {
    const outcome = (id: number) => graph.state(id).outcomes.join()
    const paths = shortestPathsTo(graph, (state) => !state.outcomes.slice(1).includes('none'), { oneFor: outcome })
    expect(paths.map(({ final }) => outcome(final.id)).sort()).toEqual([
      'none,aborted,aborted',
      'none,committed,committed',
    ])
  })

  test('cover every transition of every machine, mostly without faults, and end at rest', () => {
    const cover = transitionCover(graph, { endAt: 'quiescent' })
    expect(cover.missing).toEqual([])
    const items = new Set([
      ...(world.initialCovers ?? []),
      ...cover.paths.flatMap(({ steps }) => steps.flatMap(({ covers }) => covers ?? [])),
    ])
    expect(world.coverable?.filter((item) => !items.has(item))).toEqual([])
    expect(cover.paths.length).toBeLessThan(15)
    for (const path of cover.paths) {
      expect(path.final.marks).toContain('quiescent')
      expect(() => replay(world, toReplayFile(path))).not.toThrow()
    }
    expect(cover.paths[0]?.steps.some(({ kind }) => kind === 'fault')).toBe(false)
  })

  test('cover every label', () => {
    const cover = transitionCover(graph, { of: 'labels', maxSteps: 30 })
    expect([...cover.covered].sort()).toEqual(graph.labels.map(({ name }) => name).sort())
    expect(new Set(cover.paths.flatMap(({ steps }) => steps.map(({ label }) => label))).size).toBe(graph.labels.length)
  })

  test('a label of another world is refused with what was possible', () => {
    const labels = ['C:tellAll', 'P1:explode']
    expect(() => replay(world, { initial: 0, labels })).toThrow(UnknownLabelError)
    expect(() => replay(world, { initial: 0, labels })).toThrow(/step 1 'P1:explode' .*P1:recv\(prepare\)/)
    expect(() => replay(world, { initial: 1, labels: [] })).toThrow(RangeError)
  })

  test('become rows of a sequence chart', () => {
    const { path } = replay(world, { initial: 0, labels: ['C:tellAll', 'P1:recv(prepare)', 'P2:recv(prepare)'] })
    const { lanes, rows } = sequenceOf(path)
    expect(lanes).toEqual(['C', 'P1', 'P2'])
    expect(rows[0]).toEqual({ step: 0, label: 'C:tellAll', kind: 'progress', from: 'C', to: 'C', text: 'tellAll' })
    const bare = { steps: [{ label: 'kill', kind: 'fault' as const, state: null }] }
    expect(sequenceOf(bare).rows).toEqual([])
    expect(sequenceOf(bare, 'kernel').lanes).toEqual(['kernel'])
  })
})

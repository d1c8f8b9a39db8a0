import { describe, expect, test } from 'vitest'
import { createHandoffWorld, type HandoffState } from '../../machines/handoff/world/index.js'
import { sequenceMermaidOf } from '../../visualizations/charts/sequence/mermaid.js'
import { notesOf } from '../../visualizations/charts/sequence/notes.js'
import { pictureOf } from '../../visualizations/charts/sequence/picture.js'
import { SCENARIOS } from '../../visualizations/charts/sequence/scenarios.js'
import { storyOf } from '../../visualizations/charts/sequence/story.js'
import { NoWayError, walk } from '../../visualizations/charts/sequence/walk.js'
import { escapeXml } from '../../visualizations/charts/text.js'

describe.each(SCENARIOS)('the story of $name', (scenario) => {
  const story = storyOf(scenario)
  const last = story.rows.at(-1)?.facts

  test('ends with the promised process serving, alone and with the lock, and the supervisor alive', () => {
    const server = scenario.serves === 'A' ? 'incumbent' : 'successor'
    expect([...(last ?? [])].filter(([, { accepts }]) => accepts).map(([lane]) => lane)).toEqual([server])
    expect([...(last ?? [])].filter(([, { holdsLock }]) => holdsLock).map(([lane]) => lane)).toEqual([server])
    expect(last?.get('supervisor')).toMatchObject({ isAlive: true, phase: 'serving' })
    expect([...(last?.keys() ?? [])].sort()).toEqual(['supervisor', server].sort())
  })

  test('breaks exactly what it says, and never shows two that hold the lock or accept (INV-01)', () => {
    const faults = [scenario.fault, scenario.secondFault].flatMap((fault) => (fault === undefined ? [] : [fault.step]))
    expect(story.rows.filter(({ kind }) => kind === 'fault').map(({ label }) => label)).toEqual(faults)
    for (const { facts, text } of story.rows) {
      expect([...facts.values()].filter(({ holdsLock }) => holdsLock).length, text).toBeLessThanOrEqual(1)
      expect([...facts.values()].filter(({ accepts }) => accepts).length, text).toBeLessThanOrEqual(1)
    }
  })

  test('is told whole in the picture and in the text', () => {
    const svg = pictureOf(story, scenario.says)
    const mermaid = sequenceMermaidOf(story, scenario.says)
    for (const { text } of story.rows) {
      // A long one is told in two lines.
      for (const word of text.split(' ')) expect(svg).toContain(escapeXml(word))
      expect(mermaid).toContain(text)
    }
    expect(mermaid.trim().split('\n').length).toBe(2 + story.lanes.length + story.rows.length)
  })
})

test('every scenario of a supervisor’s death begins where its own swap is, and each phase has one', () => {
  const phases = SCENARIOS.flatMap(({ fault, secondFault }) =>
    [fault, secondFault].flatMap((one) => (one?.step === 'kill:S' ? [one.in] : [])),
  )
  expect(phases).toEqual([
    'awaitingSuccessor',
    'draining',
    'sealing',
    'opening',
    'verifying',
    'probation',
    'endingSuccessor',
  ])
})

test('there are words for every step that the world offers near its beginning, in all its faults', () => {
  const world = createHandoffWorld({ swaps: 1, faults: 1, restarts: 1, orders: 1, probation: true })
  const seen = new Set<string>()
  const queue = [world.initial()].flat() as HandoffState[]
  for (const state of queue) {
    for (const step of world.steps(state)) {
      for (const { text, from } of notesOf(world, state, step)) {
        expect(text, step.label).toMatch(/^\S.*\S$/)
        expect(text, step.label).not.toMatch(/undefined|\[object/)
        expect(from).toBeDefined()
      }
      const key = String(world.key(step.next))
      if (!seen.has(key) && queue.length < 6_000) {
        seen.add(key)
        queue.push(step.next)
      }
    }
  }
  expect(() =>
    notesOf(world, queue[0] as HandoffState, { label: '??', kind: 'fault', next: queue[0] as HandoffState }),
  ).toThrow(/no words/)
})

test('a milestone that is out of reach is named', () => {
  const world = createHandoffWorld({ swaps: 0 })
  const milestones = [{ step: 'swap.requested', when: () => true }]
  expect(() => walk(world, milestones)).toThrow(NoWayError)
  expect(() => walk(world, milestones)).toThrow(/swap\.requested/)
})

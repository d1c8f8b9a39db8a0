import { describe, expect, test } from 'vitest'
import { incumbentMachine } from '../../machines/handoff/incumbent.machine.js'
import { successorMachine } from '../../machines/handoff/successor.machine.js'
import { supervisorMachine } from '../../machines/handoff/supervisor.machine.js'
import { swapMachine } from '../../machines/handoff/swap.machine.js'
import { toJson } from '../../src/observe/inspection-messages.js'
import { Scene } from '../../visualizations/page/scene.js'
import { activeIds, parseChart, plainEvent, takenEdge } from '../../visualizations/page/statechart.js'
import { readTrace } from '../../visualizations/page/trace-file.js'
import { WORDED_STATES, wordsFor } from '../../visualizations/page/words.js'

const machines = [supervisorMachine, swapMachine, incumbentMachine, successorMachine]
const charts = machines.map((machine) => parseChart(toJson(machine.config)))

describe('a definition as boxes and arrows', () => {
  test('every arrow of the real machines leads from a box to a box', () => {
    for (const chart of charts) {
      expect(chart?.nodes.size).toBeGreaterThan(10)
      for (const { source, target } of chart?.edges ?? []) {
        expect(chart?.nodes.has(source)).toBe(true)
        expect(chart?.nodes.has(target)).toBe(true)
      }
    }
  })

  test('the step that was taken is found by its event', () => {
    const chart = charts[1]
    if (!chart) throw new Error('the swap has no chart')
    const before = activeIds('swap', { attempting: { sealing: 'listening' } })
    const after = activeIds('swap', { attempting: { opening: 'listening' } })
    expect(takenEdge(chart, before, after, 'incumbent.sealed')).toMatchObject({
      source: 'swap.attempting.sealing',
      target: 'swap.attempting.opening',
    })
  })

  test('an actor that is no machine has no chart', () => expect(parseChart('{"id":"drain"}')).toBeNull())

  test.each([
    ['xstate.done.actor.drain', 'drain done'],
    ['xstate.error.actor.openState', 'openState failed'],
    ['xstate.after.livenessMs.swap.attempting.draining.listening', 'after livenessMs'],
    ['incumbent.drained', 'incumbent.drained'],
  ])('%s reads as %s', (type, plain) => expect(plainEvent(type)).toBe(plain))
})

test('words are about states that exist, and a state without words reads as its name', () => {
  const known = new Set(charts.flatMap((chart) => [...(chart?.nodes.keys() ?? [])]))
  expect(WORDED_STATES.filter((id) => !known.has(id))).toEqual([])
  expect(wordsFor(['incumbent.serving', 'incumbent.serving.alone'])).toContain('accepts clients')
  expect(wordsFor(['swap.someNewState'])).toBe('some new state')
})

describe('a trace that a process wrote', () => {
  const head = (pid: number) => JSON.stringify({ trace: 1, pid, role: 'daemon', startedAt: '2026-01-02T03:04:05.000Z' })
  const step = (pid: number, machine: string, t: number, type: string, state: string, more: object = {}) =>
    JSON.stringify({ t, pid, machine, session: 'x:0', event: { type }, state, actions: [], ...more })
  const text = [
    head(11),
    step(11, 'incumbent', 1, 'xstate.init', 'acquiringLock.trying'),
    step(11, 'incumbent', 9, 'xstate.done.actor.publishControl', 'serving.alone', { from: 'publishing' }),
    'not a line of a trace',
    head(7),
    JSON.stringify({
      t: 20,
      pid: 7,
      machine: 'swap',
      session: 'x:6',
      event: { type: 'xstate.init', input: { incumbentPid: 11 } },
      state: 'journaling',
      actions: [],
    }),
    JSON.stringify({
      t: 25,
      pid: 7,
      machine: 'swap',
      session: 'x:6',
      event: { type: 'incumbent.greeted' },
      from: 'journaling',
      state: 'attempting.draining.listening',
      actions: [{ type: 'sendToIncumbent', params: { kind: 'PrepareHandoff' } }],
    }),
  ].join('\n')

  test('shows who serves, the messages and the phase, in the order of time', () => {
    const scene = new Scene()
    for (const message of readTrace(text)) scene.apply(message)
    expect(scene.accepting()).toEqual([11])
    expect(scene.owners()).toEqual([11])
    expect(scene.swap?.said.map(({ from, to, what }) => `${from} ${to} ${what}`)).toEqual([
      'incumbent supervisor Hello',
      'supervisor incumbent PrepareHandoff',
    ])
    expect(scene.swap?.phases.map(({ name }) => name)).toEqual(['spawn', 'drain'])
    expect(scene.lamps().find(({ id }) => id === 'INV-01')).toMatchObject({ state: 'good', says: 'held by pid 11' })
  })

  test('two that hold the lock are shown in red', () => {
    const scene = new Scene()
    const other = [head(12), step(12, 'incumbent', 30, 'xstate.init', 'serving.alone')].join('\n')
    for (const message of readTrace(`${text}\n${other}`)) scene.apply(message)
    expect(scene.lamps().find(({ id }) => id === 'INV-01')).toMatchObject({
      state: 'bad',
      says: 'held by pid 11 and pid 12',
    })
  })

  test('the end of a process takes its lock and its clients with it', () => {
    const scene = new Scene()
    for (const message of readTrace(text)) scene.apply(message)
    scene.apply({ type: '@handoff.gone', sessionId: '', sessionIds: ['incumbent-11-trace/x:0'], createdAt: '0' })
    expect(scene.accepting()).toEqual([])
    expect(scene.lamps().find(({ id }) => id === 'INV-01')?.says).toBe('no program is alive')
  })
})

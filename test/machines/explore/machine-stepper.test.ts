import { describe, expect, test } from 'vitest'
import { assign, cancel, emit, fromPromise, log, raise, sendTo, setup, spawnChild } from 'xstate'
import {
  createMachineStepper,
  doneEvent,
  errorEvent,
  MachineStepError,
  restOf,
} from '../../../machines/explore/index.js'

interface Context {
  readonly tries: number
  readonly budgetMs: number
}

type Event =
  | { type: 'peer.ready'; revision: number }
  | { type: 'peer.gone' }
  | { type: 'peer.odd' }
  | { type: 'go' }
  | { type: 'hop' }
  | { type: 'explode' }
  | { type: 'forbidden' }
  | { type: 'noise' }
  | { type: 'again' }

const machine = setup({
  types: { context: {} as Context, events: {} as Event, input: {} as { budgetMs: number } },
  actions: {
    leave: () => {},
    tell: (_, _params: { what: string }) => {
      throw new Error('an exploration runs nothing')
    },
  },
  actors: { open: fromPromise<number, { dir: string }>(() => Promise.resolve(1)) },
  guards: {
    mayRetry: ({ context }) => context.tries < 2,
    breaks: () => {
      throw new Error('guard broke')
    },
  },
  delays: { readyTimeoutMs: ({ context }) => context.budgetMs, pulseMs: 50 },
}).createMachine({
  id: 'peer',
  context: ({ input }) => ({ tries: 0, budgetMs: input.budgetMs }),
  initial: 'booting',
  on: {
    'peer.*': { actions: { type: 'tell', params: { what: 'unexpected' } } },
    explode: { guard: 'breaks', target: '.done' },
  },
  states: {
    booting: { always: 'waiting' },
    waiting: {
      tags: 'idle',
      entry: { type: 'tell', params: ({ context }) => ({ what: `try ${context.tries}` }) },
      exit: 'leave',
      after: {
        readyTimeoutMs: {
          target: 'waiting',
          guard: 'mayRetry',
          reenter: true,
          actions: assign({ tries: ({ context }) => context.tries + 1 }),
        },
      },
      on: {
        'peer.ready': 'opening',
        forbidden: undefined,
        hop: { actions: raise({ type: 'go' }) },
        go: 'hopping',
        again: {},
      },
    },
    hopping: { always: 'done' },
    opening: {
      invoke: { id: 'openState', src: 'open', input: { dir: '/data' }, onDone: 'done', onError: { target: 'waiting' } },
      entry: [raise({ type: 'noise' }, { delay: 'pulseMs', id: 'pulse' }), log('opening'), emit({ type: 'opened' })],
      on: { noise: { actions: [cancel('pulse'), sendTo('openState', { type: 'nudge' })] } },
    },
    done: { type: 'final', entry: { type: 'tell', params: { what: 'bye' } } },
  },
  output: ({ context }) => ({ tries: context.tries }),
})

const input = { budgetMs: 5_000 }
const timeout = 'xstate.after.readyTimeoutMs.peer.waiting'

describe('a machine as a table', () => {
  test('starts with the effects of all microsteps, in order and as data', () => {
    const peer = createMachineStepper(machine)
    const started = peer.start(input)
    expect(started.effects).toEqual([
      { kind: 'action', type: 'tell', params: { what: 'try 0' } },
      { kind: 'armTimer', id: timeout, delayMs: 5_000, event: { type: timeout } },
    ])
    expect(started.taken).toEqual(['peer.booting always #0'])
    expect(new Set(started.covers)).toEqual(new Set(['peer', 'peer.booting', 'peer.waiting', 'peer.booting always #0']))
    const view = peer.view(started.snapshot)
    expect(view).toMatchObject({ value: 'waiting', context: { tries: 0 }, status: 'active', children: [] })
    expect(view.hasTag('idle')).toBe(true)
    expect(view.matches('waiting')).toBe(true)
    expect(view.states).toEqual(['peer', 'peer.waiting'])
  })

  test('the same step is the same object and asks XState once', () => {
    const peer = createMachineStepper(machine)
    const { snapshot } = peer.start(input)
    const first = peer.send(snapshot, { type: 'peer.ready', revision: 1 })
    const { calls } = peer.stats
    expect(peer.send(snapshot, { type: 'peer.ready', revision: 1 })).toBe(first)
    expect(peer.start(input).snapshot).toBe(snapshot)
    expect(peer.stats.calls).toBe(calls)
    const forgetful = createMachineStepper(machine, { memo: false })
    const again = forgetful.start(input).snapshot
    expect(forgetful.send(again, { type: 'peer.ready', revision: 1 })).toEqual(first)
    forgetful.send(again, { type: 'peer.ready', revision: 1 })
    expect(forgetful.stats.calls).toBe(3)
  })

  test('invocations become start and stop, timers arm and disarm, logs and undelayed raises vanish', () => {
    const peer = createMachineStepper(machine)
    const waiting = peer.start(input).snapshot
    const opening = peer.send(waiting, { type: 'peer.ready', revision: 1 })
    expect(opening.effects).toEqual([
      { kind: 'action', type: 'leave' },
      { kind: 'disarmTimer', id: timeout },
      { kind: 'armTimer', id: 'pulse', delayMs: 50, event: { type: 'noise' } },
      { kind: 'emit', event: { type: 'opened' } },
      { kind: 'start', id: 'openState', src: 'open', input: { dir: '/data' } },
    ])
    expect(peer.view(opening.snapshot).children).toEqual(['openState'])
    expect(peer.send(opening.snapshot, { type: 'noise' }).effects).toEqual([
      { kind: 'disarmTimer', id: 'pulse' },
      { kind: 'send', to: 'openState', event: { type: 'nudge' } },
    ])
    const done = peer.send(opening.snapshot, doneEvent('openState', 7))
    expect(done.effects).toContainEqual({ kind: 'stop', id: 'openState' })
    expect(peer.view(done.snapshot)).toMatchObject({ status: 'done', output: { tries: 0 } })
    const failed = peer.send(opening.snapshot, errorEvent('openState', 'EIO'))
    expect(failed.taken).toEqual(['peer.opening error(openState) #0'])
    expect(failed.snapshot).toBe(waiting)
  })

  test('raised events and eventless transitions are taken, with the states they pass through', () => {
    const peer = createMachineStepper(machine, { name: 'N' })
    const hop = peer.send(peer.start(input).snapshot, { type: 'hop' })
    expect(hop.taken).toEqual(['N.waiting hop #0', 'N.waiting go #0', 'N.hopping always #0'])
    expect(hop.covers).toContain('N.hopping')
    expect(hop.effects.some(({ kind }) => kind === 'armTimer')).toBe(false)
  })

  test('wildcards catch what nobody expects; unknown, refused and forbidden events change nothing', () => {
    const peer = createMachineStepper(machine)
    let { snapshot } = peer.start(input)
    expect(peer.send(snapshot, { type: 'peer.odd' })).toMatchObject({
      handled: true,
      changed: false,
      taken: ['peer peer.* #0'],
      effects: [{ kind: 'action', type: 'tell', params: { what: 'unexpected' } }],
    })
    expect(peer.handles(snapshot, { type: 'noise' })).toBe(false)
    expect(peer.send(snapshot, { type: 'forbidden' })).toMatchObject({
      handled: false,
      changed: false,
      taken: ['peer.waiting forbidden #0'],
    })
    expect(peer.handles(snapshot, { type: 'again' })).toBe(false)
    for (let tries = 0; tries < 2; tries++) {
      const retry = peer.send(snapshot, { type: timeout })
      expect(retry).toMatchObject({ handled: true, changed: true, taken: ['peer.waiting after(readyTimeoutMs) #0'] })
      snapshot = retry.snapshot
    }
    expect(peer.send(snapshot, { type: timeout })).toMatchObject({ handled: false, snapshot, effects: [], taken: [] })
  })

  test('an exception names machine, state and event, every time', () => {
    const peer = createMachineStepper(machine)
    const { snapshot } = peer.start(input)
    for (let time = 0; time < 2; time++) {
      expect(() => peer.send(snapshot, { type: 'explode' })).toThrow(MachineStepError)
      expect(() => peer.send(snapshot, { type: 'explode' })).toThrow(/peer in "waiting" on 'explode': .*guard broke/s)
    }
    const broken = createMachineStepper(
      setup({}).createMachine({
        context: () => {
          throw new Error('no context')
        },
      }),
    )
    expect(() => broken.start()).toThrow(/no context/)
  })

  test('an actor without an id is refused: its answer could not be told apart', () => {
    const nameless = setup({ actors: { child: fromPromise(() => Promise.resolve()) } }).createMachine({
      id: 'nameless',
      entry: spawnChild('child'),
    })
    expect(() => createMachineStepper(nameless).start()).toThrow(/without an id/)
  })

  test('every state and transition of the definition is listed', () => {
    const { parts } = createMachineStepper(machine)
    expect(parts.states).toEqual(['peer', 'peer.booting', 'peer.waiting', 'peer.hopping', 'peer.opening', 'peer.done'])
    expect(parts.transitions.map(({ id }) => id)).toEqual([
      'peer peer.* #0',
      'peer explode #0',
      'peer.booting always #0',
      'peer.waiting peer.ready #0',
      'peer.waiting forbidden #0',
      'peer.waiting hop #0',
      'peer.waiting go #0',
      'peer.waiting again #0',
      'peer.waiting after(readyTimeoutMs) #0',
      'peer.hopping always #0',
      'peer.opening noise #0',
      'peer.opening done(openState) #0',
      'peer.opening error(openState) #0',
    ])
    expect(parts.transitions.find(({ kind }) => kind === 'after')).toMatchObject({
      targets: ['peer.waiting'],
      guard: 'mayRetry',
      actions: ['xstate.assign'],
    })
    const peer = createMachineStepper(machine)
    expect(peer.descriptors(peer.start(input).snapshot)).toEqual([
      'peer.*',
      'explode',
      'peer.ready',
      'forbidden',
      'hop',
      'go',
      'again',
      timeout,
    ])
  })
})

describe('an outbox', () => {
  test('has one rest, whoever asks', () => {
    const effects = [1, 2, 3]
    expect(restOf(effects)).toEqual([2, 3])
    expect(restOf(effects)).toBe(restOf(effects))
    expect(restOf(restOf(restOf(effects)))).toEqual([])
    expect(restOf([])).toBe(restOf([9]))
  })
})

/** The broker that owns the connections, and the breaker of one backend: each alone with everything that can happen to it. */

import { describe, expect, test } from 'vitest'
import type { AnyEventObject, AnyStateMachine } from 'xstate'
import { breakerMachine } from '../../../machines/broker/breaker.machine.js'
import { brokerMachine } from '../../../machines/broker/broker.machine.js'
import { DEFAULT_BROKER_POLICY } from '../../../machines/broker/policy.js'
import { explore } from '../../../machines/explore/explore.js'
import { createMachineStepper, type MachineStepper } from '../../../machines/explore/machine-stepper.js'
import type { Property } from '../../../machines/explore/property.js'
import type { Step, World } from '../../../machines/explore/world.js'
import { at, rewired } from './rewire.js'

interface Alone {
  readonly machine: number
  readonly timers: readonly AnyEventObject[]
  /** Connections that really run, as the kernel knows them. */
  readonly running: number
  readonly stopAsked: boolean
  readonly accepting: boolean
  readonly closed: boolean
  /** Handoffs tried in this window of the breaker. */
  readonly tried: number
}

const start: Alone = { machine: 0, timers: [], running: 0, stopAsked: false, accepting: false, closed: false, tried: 0 }

function advance<M extends AnyStateMachine>(
  stepper: MachineStepper<M>,
  state: Alone,
  event: AnyEventObject | null,
): Alone {
  const stepped = event === null ? stepper.start(INPUT as never) : stepper.send(state.machine, event as never)
  let next: Alone = { ...state, machine: stepped.snapshot, timers: state.timers.filter((timer) => timer !== event) }
  for (const effect of stepped.effects) {
    if (effect.kind === 'armTimer') next = { ...next, timers: [...next.timers, effect.event] }
    else if (effect.kind === 'disarmTimer') {
      next = { ...next, timers: next.timers.filter(({ type }) => type !== effect.id) }
    } else if (effect.kind === 'action') next = perform(next, effect.type)
  }
  return next
}

const INPUT = {
  policy: { ...DEFAULT_BROKER_POLICY, maxConnections: 2 },
  breakerFailures: 3,
  breakerWindowMs: 30_000,
}

function perform(state: Alone, action: string): Alone {
  switch (action) {
    case 'startAccepting':
      return { ...state, accepting: true }
    case 'stopAccepting':
      return { ...state, accepting: false }
    case 'startConnection':
      return { ...state, running: state.running + 1 }
    case 'abandonConnections':
      return { ...state, running: 0 }
    case 'closeEndpoint':
      return { ...state, closed: true, accepting: false }
    default:
      return state
  }
}

const keyOf = (state: Alone) => [
  state.machine,
  state.timers,
  state.running,
  state.stopAsked,
  state.accepting,
  state.closed,
  state.tried,
]

function brokerWorld(machine = brokerMachine): World<Alone> {
  const stepper = createMachineStepper(machine)
  const go = (state: Alone, kind: Step<Alone>['kind'], event: AnyEventObject, change: Partial<Alone> = {}) => ({
    label: event.type,
    kind,
    next: advance(stepper, { ...state, ...change }, event),
    covers: stepper.send(state.machine, event as never).covers,
  })
  return {
    initial: () => advance(stepper, start, null),
    coverable: [...stepper.parts.states, ...stepper.parts.transitions.map(({ id }) => id)],
    *steps(state) {
      if (state.closed) return
      if (stepper.view(state.machine).matches('opening' as never)) {
        yield go(state, 'progress', { type: 'endpoint.opened' })
        yield go(state, 'fault', { type: 'endpoint.failed' }, { stopAsked: true })
      }
      if (state.accepting || stepper.view(state.machine).matches('draining' as never)) {
        yield go(state, 'trigger', { type: 'client.accepted' })
        yield go(state, 'fault', { type: 'accept.starved' })
      }
      if (state.running > 0) yield go(state, 'progress', { type: 'connection.ended' }, { running: state.running - 1 })
      for (const timer of state.timers) yield go(state, 'timer', timer)
      yield go(state, 'trigger', { type: 'broker.drainRequested' })
      yield go(state, 'trigger', { type: 'broker.resumeRequested' })
      yield go(state, 'trigger', { type: 'broker.stopRequested' }, { stopAsked: true })
    },
    key: keyOf,
  }
}

const brokerRules = (machine = brokerMachine): Property<Alone>[] => {
  const stepper = createMachineStepper(machine)
  stepper.start(INPUT as never)
  return [
    {
      id: 'W1',
      kind: 'always',
      says: 'only a stop that was asked for closes the endpoint',
      holds: ({ closed, stopAsked }) => !closed || stopAsked,
    },
    {
      id: 'counts',
      kind: 'always',
      says: 'never more connections than the limit',
      holds: ({ running }) => running <= INPUT.policy.maxConnections,
    },
    {
      id: 'ends',
      kind: 'eventually',
      says: 'a broker that was told to stop stops, whatever its connections do',
      holds: ({ closed, stopAsked }) => closed || !stopAsked,
      stays: true,
    },
    { id: 'full', kind: 'sometimes', says: 'the limit is reached', holds: ({ running }) => running === 2 },
  ]
}

describe('the broker that owns the connections', () => {
  test('W1 no client, no backend and no lack of descriptors ends it', () => {
    const { complete, states, edges, violations, unwitnessed, coverage } = explore(brokerWorld(), {
      properties: brokerRules(),
    })
    expect({ complete, states, edges, violations, unwitnessed }).toEqual({
      complete: true,
      states: 22,
      edges: 116,
      violations: [],
      unwitnessed: [],
    })
    // Only what the machine does at its very start is no step.
    expect(coverage.missing.filter((id) => !/^broker(\.opening)?$/.test(id))).toEqual([])
  })

  test('W1 comes back when the end of a connection is allowed to end the broker', () => {
    const fragile = rewired(brokerMachine, (states) => {
      at(states, 'serving', 'on')['connection.ended'] = 'closed'
    })
    const { violations } = explore(brokerWorld(fragile), { properties: brokerRules(fragile) })
    expect(violations.map(({ property }) => property)).toContain('W1')
  })
})

describe('the breaker of one backend', () => {
  const world = (machine = breakerMachine): World<Alone> => {
    const stepper = createMachineStepper(machine)
    const open = (state: Alone) => stepper.view(state.machine).hasTag('open')
    return {
      initial: () => advance(stepper, start, null),
      coverable: stepper.parts.transitions.map(({ id }) => id),
      *steps(state) {
        const covers = (type: string) => stepper.send(state.machine, { type } as never).covers
        if (!open(state)) {
          const failed = { ...state, tried: state.tried + 1 }
          const type = 'handoff.failed'
          yield { label: type, kind: 'progress', next: advance(stepper, failed, { type }), covers: covers(type) }
        }
        // One that was under way when the breaker opened may still succeed.
        const type = 'handoff.succeeded'
        yield {
          label: type,
          kind: 'progress',
          next: advance(stepper, { ...state, tried: 0 }, { type }),
          covers: covers(type),
        }
        for (const timer of state.timers) {
          const next = advance(stepper, { ...state, tried: 0 }, timer)
          yield { label: 'window ends', kind: 'timer', next, covers: covers(timer.type) }
        }
      },
      key: keyOf,
    }
  }
  const rules: Property<Alone>[] = [
    {
      id: 'W7',
      kind: 'always',
      says: 'a dead endpoint is tried no more often than the limit in one window',
      holds: ({ tried }) => tried <= INPUT.breakerFailures,
    },
    { id: 'opens', kind: 'sometimes', says: 'it opens', holds: ({ tried }) => tried === INPUT.breakerFailures },
  ]

  test('W7 leaves a backend alone after the last allowed failure, until its window ends', () => {
    const { complete, violations, unwitnessed, coverage } = explore(world(), { properties: rules })
    expect({ complete, violations, unwitnessed }).toEqual({ complete: true, violations: [], unwitnessed: [] })
    // With three failures allowed the first is never the last.
    expect(coverage.missing).toEqual(['breaker.quiet handoff.failed #0'])
  })

  test('W7 comes back when the breaker never opens', () => {
    const deaf = rewired(breakerMachine, (states) => {
      const closed = at(states, 'counting', 'states', 'closed', 'on')
      closed['handoff.failed'] = { actions: 'countFailure' }
    })
    const { violations } = explore(world(deaf), { properties: rules, limits: { states: 100 } })
    expect(violations.map(({ property }) => property)).toContain('W7')
  })

  test('a limit of one opens at the first failure', () => {
    const stepper = createMachineStepper(breakerMachine)
    const first = stepper.start({ breakerFailures: 1, breakerWindowMs: 1_000 })
    expect(stepper.view(stepper.send(first.snapshot, { type: 'handoff.failed' }).snapshot).hasTag('open')).toBe(true)
  })
})

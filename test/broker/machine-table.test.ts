import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type AnyStateMachine, createActor } from 'xstate'
import { backendMachine } from '../../machines/broker/backend.machine.js'
import { brokerMachine } from '../../machines/broker/broker.machine.js'
import { clientMachine } from '../../machines/broker/client.machine.js'
import { connectionMachine } from '../../machines/broker/connection.machine.js'
import { DEFAULT_BROKER_POLICY as policy } from '../../machines/broker/policy.js'
import { machineParts } from '../../machines/explore/machine-parts.js'
import { machineTable, TableRun } from '../../src/broker/machine-table.js'
import { pollClock } from '../../src/channel/poll-clock.js'

type Sent = { readonly type: string }
/** What happens to a machine from outside: events, some of them out of its own effects, and time. */
type Happening = { readonly send: Sent } | { readonly wait: number }

const MACHINES: readonly (readonly [string, AnyStateMachine, object])[] = [
  ['connection', connectionMachine, { id: 7, policy }],
  ['backend', backendMachine, { id: 7, policy }],
  ['client', clientMachine, { id: 7, policy, cached: false }],
  ['the owner of the connections', brokerMachine, { policy: { ...policy, maxConnections: 3 } }],
  ['client with a cached endpoint', clientMachine, { id: 7, policy, cached: true }],
]

const EXTRA = { reason: 'hungUp', fault: 'shortToken' }
const eventsOf = (machine: AnyStateMachine): Sent[] =>
  machineParts(machine)
    .transitions.map(({ descriptor }) => descriptor)
    .filter((type) => type !== 'always' && !type.startsWith('xstate.'))
    .filter((type, index, all) => all.indexOf(type) === index)
    .map((type) => ({ type, ...EXTRA }))

/** Every effect is written down, and the n-th one answers at once with the n-th answer. */
function recorder(machine: AnyStateMachine, answers: readonly (Sent | null)[]) {
  const seen: unknown[] = []
  let send: (event: Sent) => void = () => {}
  let effects = 0
  const names = Object.entries(machine.implementations.actions)
    .filter(([name]) => !/^(note|count|forget)/.test(name))
    .map(([name]) => name)
  const actions = Object.fromEntries(
    names.map((name) => [
      name,
      ({ context }: { context: { id: number } }, params: unknown) => {
        seen.push([name, context.id, params ?? null])
        const answer = answers[effects++]
        if (answer !== null && answer !== undefined) send(answer)
      },
    ]),
  )
  const bound = machine.provide({ actions: actions as never })
  const connect = (to: (event: Sent) => void) => {
    send = to
  }
  return { seen, bound, connect }
}

function play(happenings: readonly Happening[], send: (event: Sent) => void) {
  for (const happening of happenings) {
    if ('send' in happening) send(happening.send)
    else vi.advanceTimersByTime(happening.wait)
  }
}

function byActor(machine: AnyStateMachine, input: object, happenings: readonly Happening[], answers: (Sent | null)[]) {
  const { seen, bound, connect } = recorder(machine, answers)
  const actor = createActor(bound, { input: input as never, clock: pollClock as never })
  // XState also says so of an actor that is merely stopped.
  actor.subscribe({ complete: () => actor.getSnapshot().status === 'done' && seen.push('complete') })
  const send = (event: Sent) => actor.getSnapshot().status === 'active' && actor.send(event)
  connect(send)
  actor.start()
  play(happenings, send)
  actor.stop()
  return seen
}

function byTable(machine: AnyStateMachine, input: object, happenings: readonly Happening[], answers: (Sent | null)[]) {
  const { seen, bound, connect } = recorder(machine, answers)
  const table = machineTable(bound, { ...input, id: 0 } as never)
  const end = { complete: () => seen.push('complete'), error: (error: unknown) => seen.push(error) }
  const run = new TableRun(table, (input as { id: number }).id, end)
  connect((event) => run.send(event as never))
  run.start()
  play(happenings, (event) => run.send(event as never))
  return seen
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a machine run from a table', () => {
  it.each(MACHINES)('does what an actor of XState does: %s', (_name, machine, input) => {
    const event = fc.constantFrom(...eventsOf(machine))
    const happening = fc.oneof(
      { weight: 4, arbitrary: event.map((send): Happening => ({ send })) },
      { weight: 1, arbitrary: fc.constantFrom(1, 600, 1_100, 31_000).map((wait): Happening => ({ wait })) },
    )
    const happenings = fc.array(happening, { maxLength: 25 })
    const answers = fc.array(fc.option(event, { freq: 2 }), { maxLength: 12 })
    let ended = 0
    fc.assert(
      fc.property(happenings, answers, (outside, inside) => {
        const expected = byActor(machine, input, outside, inside)
        if (expected.at(-1) === 'complete') ended += 1
        expect(byTable(machine, input, outside, inside)).toEqual(expected)
        expect(expected.length).toBeGreaterThan(0)
      }),
      { numRuns: 150 },
    )
    expect(ended).toBeGreaterThan(0)
  })

  it('arms only the timers that outlive their turn, and none after the end', () => {
    const { bound } = recorder(connectionMachine, [])
    const run = new TableRun(machineTable(bound, { id: 0, policy } as never), 7, { complete() {}, error() {} })
    run.start()
    expect(vi.getTimerCount()).toBe(1)
    run.send({ type: 'client.unreadable' } as never)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('tells of an effect that throws, once, and does nothing more', () => {
    const trouble = new Error('no such handle')
    const bound = backendMachine.provide({
      actions: {
        receiveConnection: () => {
          throw trouble
        },
      },
    })
    const told: unknown[] = []
    const end = { complete: () => told.push('complete'), error: (error: unknown) => told.push(error) }
    const run = new TableRun(machineTable(bound, { id: 0, policy }), 7, end)
    run.start()
    run.send({ type: 'broker.left' })
    expect(told).toEqual([trouble])
    expect(vi.getTimerCount()).toBe(0)
  })
})

import { describe, expect, test } from 'vitest'
import { type ExecutableActionObject, initialTransition, transition } from 'xstate'
import { createMachineStepper } from '../../../machines/explore/index.js'
import { N, O, withProbation } from '../../../machines/handoff/alphabets.js'
import { swapMachine } from '../../../machines/handoff/swap.machine.js'
import { after, done, failed, policy, SEALED } from './events.js'
import { expectGolden, type Told, transcript } from './transcript.js'

type Event = Told<typeof swapMachine>

const input = { policy, incumbentPid: O }

const spawned: Event[] = [done('writeJournal'), done('spawnSuccessor', { pid: N })]
const greeted: Event[] = [...spawned, { type: 'successor.greeted', pid: N, versionOk: true }]
const dialling: Event[] = [...greeted, done('writeJournal')]
const draining: Event[] = [
  ...dialling,
  done('dialIncumbent'),
  { type: 'incumbent.greeted', pid: O, versionOk: true, session: 'many' },
]
const sealing: Event[] = [...draining, { type: 'incumbent.drained', acceptClosed: true }]
const opening: Event[] = [...sealing, { type: 'incumbent.sealed', ...SEALED }]
const readyWith = (changed: object): Event =>
  ({ type: 'successor.becameReady', healthy: true, ...SEALED, ...changed }) as Event
const verifying: Event[] = [...opening, readyWith({})]

const successorGone: Event = { type: 'successor.exited' }
const incumbentGone: Event = { type: 'incumbent.exited' }
const resumed = done('confirmServing')

const scenarios: Record<string, Event[]> = {
  committed: [...verifying, done('confirmServing')],
  'journal-fails': [failed('writeJournal'), resumed],
  'spawn-fails': [done('writeJournal'), failed('spawnSuccessor'), resumed],
  'successor-never-greets': [
    ...spawned,
    after('successorBootMs', 'swap.attempting.awaitingSuccessor'),
    successorGone,
    resumed,
  ],
  'successor-cannot-be-recorded': [...greeted, failed('writeJournal'), successorGone, resumed],
  'successor-exits-before-begin': [...draining, successorGone, resumed],
  'successor-exits-after-begin': [...opening, successorGone, resumed],
  'successor-falls-silent': [
    ...opening,
    after('livenessMs', 'swap.attempting.opening.listening'),
    done('probeControl', { answeredBy: 'nobody' }),
    successorGone,
    resumed,
  ],
  'successor-ignores-sigterm': [
    ...opening,
    readyWith({ healthy: false }),
    after('successorKillGraceMs', 'swap.undoing.endingSuccessor.asking'),
    successorGone,
    resumed,
  ],
  'successor-unhealthy': [...opening, readyWith({ healthy: false }), successorGone, resumed],
  'successor-behind': [...opening, readyWith({ revisions: ['4'] }), successorGone, resumed],
  'successor-never-serves': [
    ...verifying,
    after('confirmMs', 'swap.verifying'),
    done('probeControl', { answeredBy: 'incumbent' }),
    successorGone,
    resumed,
  ],
  'successor-served-late': [
    ...opening,
    after('deadlineMs', 'swap.attempting'),
    done('probeControl', { answeredBy: 'successor' }),
  ],
  'drain-fails': [...draining, { type: 'incumbent.sealFailed' }, successorGone, resumed],
  'seal-fails': [...sealing, { type: 'incumbent.sealFailed' }, successorGone, resumed],
  'incumbent-still-accepts': [...draining, { type: 'incumbent.drained', acceptClosed: false }, successorGone, resumed],
  'incumbent-falls-silent': [
    ...sealing,
    after('livenessMs', 'swap.attempting.sealing.listening'),
    successorGone,
    { type: 'incumbent.progressed' },
    resumed,
  ],
  'incumbent-takes-eof-as-abort': [
    ...sealing,
    { type: 'incumbent.disconnected' },
    after('exitNoticeMs', 'swap.attempting.doubting'),
    successorGone,
    resumed,
  ],
  'incumbent-dies-and-successor-takes-over': [
    ...sealing,
    { type: 'incumbent.disconnected' },
    incumbentGone,
    readyWith({}),
    done('confirmServing'),
  ],
  'incumbent-does-not-resume': [
    ...opening,
    successorGone,
    after('resumeBudgetMs', 'swap.undoing.resumingIncumbent'),
    incumbentGone,
  ],
  'both-die': [...opening, incumbentGone, successorGone],
  cancelled: [...draining, { type: 'operator.cancelled' }, successorGone, resumed],
}

const probation: Record<string, Event[]> = {
  passed: [after('probationMs', 'swap.probation')],
  unhealthy: [{ type: 'successor.becameUnhealthy' }, successorGone, resumed],
  'successor-exits': [successorGone, resumed],
  'incumbent-exits': [incumbentGone],
}

/** The actors that a pure transition asks for. */
const started = (effects: readonly ExecutableActionObject[]) =>
  effects.flatMap(({ type, params }) => (type === 'xstate.spawnChild' ? [(params as { src: string }).src] : []))

describe('one swap', () => {
  test.each(Object.entries(scenarios))('%s', (name, events) => {
    expectGolden(`swap-${name}`, transcript(swapMachine, input, events))
  })

  test.each(Object.entries(probation))('in probation: %s', (name, events) => {
    const all = [...verifying, done('confirmServing'), ...events]
    expectGolden(`swap-probation-${name}`, transcript(swapMachine, { ...input, policy: withProbation }, all))
  })

  test('pure transitions: nothing happens before the journal is on disk', () => {
    let [snapshot, effects] = initialTransition(swapMachine, input)
    expect(started(effects)).toEqual(['writeJournal'])
    ;[snapshot, effects] = transition(swapMachine, snapshot, done('writeJournal') as never)
    expect(snapshot.matches('spawning')).toBe(true)
    expect(started(effects)).toEqual(['spawnSuccessor'])
  })

  test('Commit goes to the successor before it goes to the incumbent (INV-13)', () => {
    const stepper = createMachineStepper(swapMachine)
    const told: string[] = []
    let at = stepper.start(input).snapshot
    for (const event of scenarios.committed ?? []) {
      const { snapshot, effects } = stepper.send(at, event)
      at = snapshot
      for (const effect of effects) {
        if (effect.kind !== 'action' || !effect.type.startsWith('sendTo')) continue
        if ((effect.params as { kind: string }).kind === 'Commit') told.push(effect.type)
      }
    }
    expect(told).toEqual(['sendToSuccessor', 'sendToIncumbent'])
  })

  test('a successor is dead before its channel closes: an EOF would tell it to go live', () => {
    const stepper = createMachineStepper(swapMachine)
    const name = { kind: 'action', type: 'closeSuccessorChannel' }
    for (const [scenario, events] of Object.entries(scenarios)) {
      let at = stepper.start(input).snapshot
      for (const event of events) {
        const { snapshot, effects } = stepper.send(at, event)
        at = snapshot
        if (!effects.some((effect) => JSON.stringify(effect) === JSON.stringify(name))) continue
        const { context, value } = stepper.view(at)
        expect([scenario, context.successorAlive && value !== 'committed']).toEqual([scenario, false])
      }
    }
  })
})

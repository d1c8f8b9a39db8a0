import { describe, expect, test } from 'vitest'
import { initialTransition, transition } from 'xstate'
import { createMachineStepper } from '../../../machines/explore/index.js'
import { EXIT } from '../../../machines/handoff/failures.js'
import { successorMachine } from '../../../machines/handoff/successor.machine.js'
import { after, done, failed, policy } from './events.js'
import { expectGolden, type Told, transcript } from './transcript.js'

type Event = Told<typeof successorMachine>

const input = { policy, deadlineKnown: true }
const acknowledged = { type: 'supervisor.acknowledged', versionOk: true } as const
const began = { type: 'supervisor.began' } as const
const aborted = { type: 'supervisor.aborted' } as const
const eof = { type: 'supervisor.disconnected' } as const
const commit = { type: 'supervisor.committed' } as const

const greeting: Event[] = [done('prepare'), done('fetchConnections')]
const waiting: Event[] = [...greeting, acknowledged]
const taking: Event[] = [...waiting, began]
const report = { healthy: true, revisions: ['5'], fingerprint: null }
const opening: Event[] = [...taking, done('acquireLock', { held: true })]
const ready: Event[] = [...opening, done('openState', report), done('stageTakeover')]

const scenarios: Record<string, Event[]> = {
  committed: [...ready, commit, done('publishControl')],
  'reference-supervisor-closes-after-ready': [...ready, eof, done('publishControl')],
  'supervisor-vanishes-before-begin': [...waiting, eof],
  'supervisor-vanishes-while-opening': [
    ...opening,
    eof,
    done('openState', report),
    done('stageTakeover'),
    done('publishControl'),
  ],
  'supervisor-hangs-after-ready': [...ready, after('ownDeadlineMs', 'successor.taking'), done('publishControl')],
  'aborted-before-begin': [...waiting, aborted],
  'aborted-while-opening': [...opening, aborted],
  'aborted-after-ready': [...ready, aborted],
  'aborted-while-going-live': [...ready, commit, aborted],
  'prepare-fails': [failed('prepare')],
  'incumbent-gives-no-connections': [done('prepare'), failed('fetchConnections'), acknowledged, aborted],
  'incumbent-is-slow-to-give-connections': [
    done('prepare'),
    after('copyMs', 'successor.waiting.copying'),
    acknowledged,
    aborted,
  ],
  'version-refused': [...greeting, { type: 'supervisor.acknowledged', versionOk: false }],
  'begin-out-of-turn': [began],
  'open-fails': [...opening, failed('openState')],
  'staging-fails': [...opening, done('openState', report), failed('stageTakeover')],
  'publishing-fails': [...ready, commit, failed('publishControl')],
  'alone-and-another-serves': [
    ...taking,
    done('acquireLock', { held: false }),
    eof,
    after('lockPollMs', 'successor.taking.acquiringLock.pausing'),
    done('acquireLock', { held: false }),
    done('probeControl', { answeredBy: 'other' }),
  ],
  'opening-hangs': [...opening, after('ownDeadlineMs', 'successor.taking')],
}

describe('the successor', () => {
  test.each(Object.entries(scenarios))('%s', (name, events) => {
    expectGolden(`successor-${name}`, transcript(successorMachine, input, events))
  })

  test('pure transitions: nothing is said before prepare is done', () => {
    let [snapshot, effects] = initialTransition(successorMachine, input)
    expect(effects.map(({ type }) => type).sort()).toEqual(['xstate.raise', 'xstate.raise', 'xstate.spawnChild'])
    ;[snapshot, effects] = transition(successorMachine, snapshot, done('prepare') as never)
    expect(effects.filter(({ type }) => type === 'sendToSupervisor')).toEqual([])
    ;[snapshot, effects] = transition(successorMachine, snapshot, done('fetchConnections') as never)
    expect(snapshot.matches({ waiting: 'greeting' })).toBe(true)
    expect(effects.filter(({ type }) => type === 'sendToSupervisor')).toHaveLength(1)
  })

  test('Ready is the last thing that can fail: lock, state, staging come before it', () => {
    const stepper = createMachineStepper(successorMachine)
    const said = { kind: 'action', type: 'sendToSupervisor', params: { kind: 'Ready', ...report } }
    let at = stepper.start(input).snapshot
    for (const event of ready.slice(0, -1)) {
      const step = stepper.send(at, event)
      expect(step.effects).not.toContainEqual(said)
      at = step.snapshot
    }
    expect(stepper.send(at, done('stageTakeover')).effects).toContainEqual(said)
  })

  test('it exits non-zero whenever it does not serve', () => {
    const stepper = createMachineStepper(successorMachine)
    for (const [name, events] of Object.entries(scenarios)) {
      const at = events.reduce((id, event) => stepper.send(id, event).snapshot, stepper.start(input).snapshot)
      const { output } = stepper.view(at)
      if (output === undefined) continue
      expect([name, output?.status === EXIT.done]).toEqual([name, output?.live])
    }
  })
})

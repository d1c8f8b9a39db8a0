import { describe, expect, test } from 'vitest'
import { initialTransition, transition } from 'xstate'
import { createMachineStepper } from '../../../machines/explore/index.js'
import { EXIT } from '../../../machines/handoff/failures.js'
import { incumbentMachine } from '../../../machines/handoff/incumbent.machine.js'
import { after, done, failed, policy, SEALED } from './events.js'
import { expectGolden, type Told, transcript } from './transcript.js'

type Event = Told<typeof incumbentMachine>

const live = { policy, start: 'live', canResume: true } as const
const attended = { type: 'supervisor.attended' } as const
const drain = {
  type: 'supervisor.requestedDrain',
  successorPid: 2,
  drainBudgetMs: 60_000,
  decisionBudgetMs: 300_000,
} as const
const seal = { type: 'supervisor.requestedSeal' } as const
const resume = { type: 'supervisor.requestedResume' } as const
const eof = { type: 'supervisor.disconnected' } as const
const commit = { type: 'supervisor.committed' } as const
const stop = { type: 'process.stopRequested' } as const

const copying: Event[] = [attended, drain]
const draining: Event[] = [...copying, done('copyConnections')]
const parking: Event[] = [...draining, done('drain', { openConnections: 3 })]
const drained: Event[] = [...parking, done('parkConnections')]
const sealing: Event[] = [...drained, seal]
const sealed: Event[] = [...sealing, done('seal', SEALED)]
const servesAgain: Event[] = [done('resume'), done('publishControl')]
const reopens: Event[] = [done('openState', { canResume: true }), done('publishControl')]

/** The rows of the wire spec's "Rolling back" that concern the incumbent, and what this one does beyond them. */
const scenarios: Record<string, Event[]> = {
  committed: [...sealed, commit, done('finishConnections')],
  'supervisor-vanishes-while-copying': [...copying, eof],
  'copying-overdue': [...copying, after('copyMs', 'incumbent.copying'), done('drain', { openConnections: 3 })],
  'cut-overdue': [...parking, after('cutMs', 'incumbent.parking'), seal],
  'cut-fails': [...parking, failed('parkConnections'), seal],
  'supervisor-vanishes-at-the-cut': [...parking, eof, done('parkConnections'), ...servesAgain],
  'some-connections-cannot-move': [...sealed, commit, eof, after('lingerMs', 'incumbent.lingering')],
  'retired-while-connections-linger': [...sealed, commit, eof, stop],
  'drain-fails': [...draining, failed('drain'), ...servesAgain],
  'drain-cancelled-by-eof': [...draining, eof, done('drain', { openConnections: 2 }), ...servesAgain],
  'drain-ignores-its-signal': [
    ...draining,
    eof,
    after('hookCancelGraceMs', 'incumbent.draining.cancelling'),
    ...servesAgain,
  ],
  'drain-overdue': [
    ...draining,
    after('drainOverdueMs', 'incumbent.draining.running'),
    failed('drain', 'AbortError'),
    ...servesAgain,
  ],
  'supervisor-vanishes-while-drained': [...drained, eof, ...servesAgain],
  'supervisor-hangs-while-drained': [...drained, after('decisionOverdueMs', 'incumbent.drained'), ...servesAgain],
  'seal-fails-and-is-undone': [...sealing, failed('seal'), ...servesAgain],
  'seal-fails-and-resume-fails': [...sealing, failed('seal'), failed('resume')],
  'supervisor-vanishes-while-sealing': [...sealing, eof, done('seal', SEALED), ...reopens],
  'seal-ignores-its-signal': [...sealing, eof, after('hookCancelGraceMs', 'incumbent.sealing.cancelling')],
  'told-to-resume-after-sealed': [...sealed, resume, done('acquireLock', { held: true }), ...reopens],
  'told-to-resume-and-cannot-open': [...sealed, resume, done('acquireLock', { held: true }), failed('openState')],
  'parked-until-the-lock-is-free': [
    ...sealed,
    eof,
    done('acquireLock', { held: false }),
    done('probeControl', { answeredBy: 'nobody' }),
    after('lockPollMs', 'incumbent.reclaiming.waiting'),
    done('acquireLock', { held: true }),
    ...reopens,
  ],
  'parked-until-another-is-proven': [
    ...sealed,
    eof,
    done('acquireLock', { held: false }),
    done('probeControl', { answeredBy: 'other' }),
    done('finishConnections'),
  ],
  'supervisor-hangs-while-sealed': [
    ...sealed,
    after('decisionOverdueMs', 'incumbent.sealed'),
    done('acquireLock', { held: true }),
    ...reopens,
  ],
  'peer-speaks-out-of-turn': [...drained, commit, ...servesAgain],
  'orderly-stop': [attended, stop, done('drain', { openConnections: 0 }), done('closeState')],
  'stop-while-draining': [...draining, stop, failed('drain', 'AbortError'), done('closeState')],
}

describe('the incumbent', () => {
  test.each(Object.entries(scenarios))('%s', (name, events) => {
    expectGolden(`incumbent-${name}`, transcript(incumbentMachine, live, events))
  })

  test('cold-start: lock, open, publish, and only then accept', () => {
    const events: Event[] = [
      done('acquireLock', { held: false }),
      after('lockPollMs', 'incumbent.acquiringLock.waiting'),
      done('acquireLock', { held: true }),
      done('openState', { canResume: true }),
      done('publishControl'),
    ]
    expectGolden('incumbent-cold-start', transcript(incumbentMachine, { ...live, start: 'cold' }, events))
  })

  test('without a resume hook a failed seal is closed and opened from disk', () => {
    const events: Event[] = [...sealing, failed('seal'), done('closeState'), ...reopens]
    expectGolden(
      'incumbent-seal-fails-without-resume',
      transcript(incumbentMachine, { ...live, canResume: false }, events),
    )
  })

  test('pure transitions give the same names without any stepper', () => {
    let [snapshot, effects] = initialTransition(incumbentMachine, live)
    expect(effects.map(({ type }) => type)).toEqual(['takeConnectionsBack', 'startAccepting', 'adoptConnections'])
    ;[snapshot] = transition(incumbentMachine, snapshot, attended)
    ;[snapshot] = transition(incumbentMachine, snapshot, drain)
    expect(snapshot.matches('copying')).toBe(true)
    expect(snapshot.hasTag('accepting')).toBe(true)
    ;[snapshot, effects] = transition(incumbentMachine, snapshot, done('copyConnections') as never)
    expect(snapshot.matches({ draining: 'running' })).toBe(true)
    expect(snapshot.hasTag('accepting')).toBe(false)
    expect(effects.map(({ type }) => type)).toContain('stopAccepting')
  })

  test('an end of the session during a hook only raises a flag (INV-08)', () => {
    const stepper = createMachineStepper(incumbentMachine)
    const at = [...sealing, eof].reduce((id, event) => stepper.send(id, event).snapshot, stepper.start(live).snapshot)
    expect(stepper.view(at)).toMatchObject({ value: { sealing: 'cancelling' }, children: ['seal'] })
    expect(stepper.view(at).context.cancel).toBe('resume')
  })

  test('the lock is released before SealComplete is said, and never without a seal (INV-02)', () => {
    const stepper = createMachineStepper(incumbentMachine)
    const before = sealing.reduce((id, event) => stepper.send(id, event).snapshot, stepper.start(live).snapshot)
    const types = stepper
      .send(before, done('seal', SEALED))
      .effects.flatMap((effect) => (effect.kind === 'action' ? [effect.type] : []))
    expect(types).toEqual(['stopHeartbeat', 'releaseLock', 'sendToSupervisor'])
  })

  test('reopening that fails ends the process with a status the supervisor can read', () => {
    const stepper = createMachineStepper(incumbentMachine)
    const events = scenarios['told-to-resume-and-cannot-open'] ?? []
    const at = events.reduce((id, event) => stepper.send(id, event).snapshot, stepper.start(live).snapshot)
    expect(stepper.view(at).output).toEqual({ status: EXIT.openFailed, failure: 'ERR_HANDOFF_OPEN_FAILED' })
  })
})

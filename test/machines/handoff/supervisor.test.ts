import { describe, expect, test } from 'vitest'
import { initialTransition, transition } from 'xstate'
import { createMachineStepper } from '../../../machines/explore/index.js'
import { N, O, OUTCOMES } from '../../../machines/handoff/alphabets.js'
import { supervisorMachine } from '../../../machines/handoff/supervisor.machine.js'
import { after, done, failed, policy } from './events.js'
import { expectGolden, type Told, transcript } from './transcript.js'

type Event = Told<typeof supervisorMachine>

const input = { policy }
const nobody = done('lookAround', { answeringPid: null, livingPids: [] })
const settling = done('lookAround', { answeringPid: null, livingPids: [O] })
const found = (pid: number) => done('lookAround', { answeringPid: pid, livingPids: [pid] })
const stop = { type: 'operator.stopped' } as const
const leave = { type: 'operator.left' } as const
const swap = { type: 'swap.requested' } as const
const exited = (pid: number) => ({ type: 'primitive.exited', pid }) as const

const binding: Event[] = [done('readJournal', { pids: [], begun: false }), nobody]
const recording: Event[] = [...binding, done('bindListeners')]
const starting: Event[] = [...recording, done('recordStart')]
const begun: Event[] = [done('readJournal', { pids: [], begun: true }), nobody]
const held: Event[] = [...begun, failed('bindListeners'), nobody]
const lookAgain = after('settlePollMs', 'supervisor.recovering.awaitingHolder.pausing')
const confirming: Event[] = [...starting, done('startPrimitive', { pid: O })]
const serving: Event[] = [...confirming, done('confirmServing')]
const journaled: Event[] = [done('readJournal', { pids: [O, N], begun: false })]

const scenarios: Record<string, Event[]> = {
  'cold-start': [...serving, after('stableMs', 'supervisor.serving.fresh')],
  'adopts-the-living': [...journaled, found(O), done('takeListeners')],
  'stops-what-it-adopts': [...journaled, found(O), stop, done('takeListeners'), exited(O)],
  'waits-while-a-swap-settles': [
    ...journaled,
    settling,
    after('settlePollMs', 'supervisor.recovering.watching.settling'),
    found(N),
    done('takeListeners'),
  ],
  'fences-the-silent': [
    ...journaled,
    settling,
    after('settleMs', 'supervisor.recovering.watching'),
    done('fence'),
    nobody,
    done('bindListeners'),
  ],
  'waits-for-who-holds-the-path-and-does-not-answer': [
    done('readJournal', { pids: [], begun: false }),
    settling,
    after('settleMs', 'supervisor.recovering.watching'),
    failed('bindListeners'),
    settling,
    found(O),
    done('takeListeners'),
  ],
  'waits-for-whom-a-predecessor-has-just-started': [...held, lookAgain, found(O), done('takeListeners')],
  'starts-when-that-one-has-ended': [
    ...held,
    lookAgain,
    nobody,
    failed('rebindListeners'),
    lookAgain,
    nobody,
    done('rebindListeners'),
    done('recordStart'),
    done('startPrimitive', { pid: N }),
  ],
  'waits-for-that-one-no-longer-than-a-start-takes': [
    ...held,
    after('openBudgetMs', 'supervisor.recovering.awaitingHolder'),
  ],
  'begun-and-nothing-came-of-it': [...begun, done('bindListeners'), done('recordStart')],
  'starts-although-the-disk-is-full': [...recording, failed('recordStart', 'ENOSPC')],
  'stopped-before-it-started-anything': [...recording, stop],
  'left-before-it-started-anything': [...recording, leave],
  'cannot-bind': [...binding, failed('bindListeners')],
  'swap-commits': [...serving, swap, done('swap', OUTCOMES.committed)],
  'swap-fails-over': [...serving, swap, done('swap', OUTCOMES.failover)],
  'swap-rolls-back': [...serving, swap, done('swap', OUTCOMES.rolledBack)],
  'swap-leaves-nobody': [
    ...serving,
    swap,
    done('swap', OUTCOMES.nobodyServes),
    after('respawnPauseMs', 'supervisor.pausing'),
    nobody,
    done('recordStart'),
    done('startPrimitive', { pid: N }),
    done('confirmServing'),
  ],
  'primitive-dies-and-is-started-again': [
    ...serving,
    exited(O),
    after('respawnPauseMs', 'supervisor.pausing'),
    nobody,
    done('recordStart'),
    done('startPrimitive', { pid: N }),
    done('confirmServing'),
  ],
  'looks-before-it-starts': [...serving, exited(O), after('respawnPauseMs', 'supervisor.pausing'), found(N)],
  'start-never-answers': [...confirming, after('openBudgetMs', 'supervisor.starting.confirming'), exited(O)],
  'swap-asked-while-nobody-serves': [
    ...serving,
    exited(O),
    swap,
    nobody,
    done('recordStart'),
    done('startPrimitive', { pid: N }),
    done('confirmServing'),
  ],
  'next-swap-waits-for-the-last-one-to-retire': [
    ...serving,
    swap,
    done('swap', OUTCOMES.committed),
    swap,
    exited(O),
    done('swap', OUTCOMES.rolledBack),
  ],
  'adopts-and-retires-the-rest': [
    ...journaled,
    done('lookAround', { answeringPid: N, livingPids: [O, N] }),
    done('takeListeners'),
    exited(O),
    swap,
  ],
  'start-for-a-swap-fails-and-another-serves': [
    ...serving,
    exited(O),
    swap,
    nobody,
    done('recordStart'),
    failed('startPrimitive', 'ENOENT'),
    found(N),
    done('swap', OUTCOMES.rolledBack),
  ],
  'start-for-a-swap-fails': [
    ...serving,
    exited(O),
    swap,
    nobody,
    done('recordStart'),
    failed('startPrimitive', 'ENOENT'),
    nobody,
  ],
  'primitive-dies-while-a-swap-waits': [
    ...serving,
    swap,
    done('swap', OUTCOMES.committed),
    swap,
    exited(N),
    nobody,
    done('recordStart'),
    done('startPrimitive', { pid: O }),
    done('confirmServing'),
  ],
  'second-swap-is-refused': [...serving, swap, swap],
  'orderly-stop': [...serving, stop, exited(O)],
  'stop-waits-for-the-verdict': [...serving, swap, stop, done('swap', OUTCOMES.rolledBack), exited(O)],
  'stop-ignored-by-the-primitive': [...serving, stop, after('stopGraceMs', 'supervisor.stopping.asking'), exited(O)],
  leaves: [...serving, leave],
  'leave-waits-for-the-verdict': [...serving, swap, leave, done('swap', OUTCOMES.committed)],
  'leave-while-it-starts': [...starting, leave, done('startPrimitive', { pid: O })],
  'second-stop-ends-a-swap-at-once': [...serving, swap, stop, stop, exited(O)],
  'good-build-mends-a-crash-loop': [
    ...confirming,
    exited(O),
    after('respawnPauseMs', 'supervisor.pausing'),
    nobody,
    done('recordStart'),
    done('startPrimitive', { pid: O }),
    swap,
    exited(O),
    done('recordStart'),
    done('startPrimitive', { pid: N }),
    done('confirmServing'),
  ],
  'limits-change': [...serving, { type: 'operator.reconfigured', policy: { ...policy, stableMs: 5_000 } }],
}

describe('the supervisor', () => {
  test.each(Object.entries(scenarios))('%s', (name, events) => {
    expectGolden(`supervisor-${name}`, transcript(supervisorMachine, input, events))
  })

  test('pure transitions: it reads the journal before anything else', () => {
    const [snapshot, effects] = initialTransition(supervisorMachine, input)
    expect(snapshot.matches({ recovering: 'readingJournal' })).toBe(true)
    expect(effects.map(({ params }) => (params as { src?: string }).src)).toEqual(['readJournal'])
    const [next] = transition(supervisorMachine, snapshot, stop)
    expect(next.status).toBe('done')
  })

  test('no start without a look (INV-01): each way to `spawning` comes from a look or an order', () => {
    const stepper = createMachineStepper(supervisorMachine)
    for (const [name, events] of Object.entries(scenarios)) {
      let at = stepper.start(input).snapshot
      let looked = false
      for (const event of events) {
        const step = stepper.send(at, event)
        at = step.snapshot
        if (event.type === 'xstate.done.actor.lookAround' || event === swap) looked = true
        const starts = step.effects.some((effect) => effect.kind === 'start' && effect.src === 'startPrimitive')
        if (starts) {
          expect([name, looked]).toEqual([name, true])
          looked = false
        }
      }
    }
  })

  test('pauses double with each failed start and stop doubling at the crash loop', () => {
    const stepper = createMachineStepper(supervisorMachine)
    let at = starting.reduce((id, event) => stepper.send(id, event).snapshot, stepper.start(input).snapshot)
    const pauses: number[] = []
    for (let start = 0; start < policy.crashLoopLimit; start++) {
      const step = stepper.send(at, failed('startPrimitive', 'ENOENT'))
      for (const effect of step.effects) if (effect.kind === 'armTimer') pauses.push(effect.delayMs)
      at = [after('respawnPauseMs', 'supervisor.pausing'), nobody, done('recordStart')].reduce(
        (id, event) => stepper.send(id, event).snapshot,
        step.snapshot,
      )
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 30_000])
  })
})

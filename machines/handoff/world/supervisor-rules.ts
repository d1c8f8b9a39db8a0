/** The supervisor as rules of the world: many small ones, so that each is asked only about what it looks at. */
import type { LaterRule, Rule } from '../../explore/index.js'
import { type Makers, signalling, type Timing, timingOf, WORK } from './primitive.js'
import type { HandoffState } from './state.js'
import { SupervisorSteps } from './supervisor.js'

/** The supervisor itself has something to take. */
const OWN = 'S'

/** What the supervisor can do now, and what operators may bring. */
export function supervisorRules(makers: Makers): readonly Rule<HandoffState>[] {
  const rule =
    (ask: (steps: SupervisorSteps) => void, ...signals: readonly string[]): Rule<HandoffState> =>
    (state) => {
      const steps = new SupervisorSteps(state, makers)
      ask(steps)
      return steps.taken.map((change) => signalling(change, signals))
    }
  const { settings } = makers
  const slots = Array.from({ length: settings.slots }, (_, slot) => slot)
  return [
    rule((steps) => steps.goOn(), WORK),
    ...slots.map((slot) => rule((steps) => steps.hear(slot), WORK, OWN)),
    ...slots.map((slot) => rule((steps) => steps.noticeEnd(slot), WORK, OWN)),
    rule((steps) => steps.finishJob('supervisor'), WORK, OWN),
    rule((steps) => steps.failJob('supervisor')),
    rule((steps) => steps.finishJob('swap'), WORK, OWN),
    rule((steps) => steps.failJob('swap')),
    rule((steps) => steps.obey()),
    ...(settings.faultKinds.has('strange') ? slots.map((slot) => rule((steps) => steps.burstOut(slot))) : []),
    rule((steps) => steps.flushJournal(), WORK),
    rule((steps) => steps.stall()),
  ]
}

/** And what time does to it. */
export function supervisorTimers(makers: Makers): readonly LaterRule<HandoffState>[] {
  const rule =
    (ask: (steps: SupervisorSteps, timing: Timing) => void): LaterRule<HandoffState> =>
    (state, hears) => {
      const steps = new SupervisorSteps(state, makers)
      if (steps.isIdle() && (makers.settings.timers === 'reckless' || !hears(OWN)))
        ask(steps, timingOf(makers.settings, hears))
      return steps.taken
    }
  return [
    rule((steps, timing) => steps.timers(timing)),
    rule((steps, timing) => steps.swapTimers(timing)),
    rule((steps, timing) => steps.watchSuccessor(timing)),
    rule((steps, timing) => steps.retire(timing)),
  ]
}

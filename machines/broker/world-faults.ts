/** Time and what breaks: any armed timer, SIGKILL, silence, an orderly stop, at any moment. */
import type { AnyEventObject } from 'xstate'
import type { MachineStepper } from '../explore/machine-stepper.js'
import { type BrokerWorldState, ghost, kill, type Role } from './kernel.js'
import type { Steps, WorldContext } from './world-context.js'

type State = BrokerWorldState
const STOP_BROKER = { type: 'broker.stopped' }
const STOP_BACKEND = { type: 'backend.stopped' }
const ABORT = { type: 'caller.aborted' }

export function createFaults(context: WorldContext) {
  const { isIn, hasTag, step, steppers, pipelines, mortal } = context

  function mayFire(state: State, role: Role, id: string): boolean {
    if (role === 'backend' && id.includes('goTimeoutMs')) {
      // T1, and the driver looks at the socket once more before it believes this timer.
      return (
        state.handoff.brokerOpen && !isIn(state, 'broker', { handingOff: 'ready' }) && !isIn(state, 'broker', 'done')
      )
    }
    // T2: a living broker's budget ends before a client's patience, so its EVENT is there first.
    if (pipelines && role === 'client' && isIn(state, 'client', 'awaitingReady')) {
      return !state.conn.toClient.includes('ready') && !(state.broker.alive && hasTag(state, 'broker', 'handingOff'))
    }
    return true
  }

  function* timers(state: State, role: Role): Steps {
    for (const { id, event } of state[role].timers) {
      if (!mayFire(state, role, id)) continue
      const without = state[role].timers.filter((timer) => timer.id !== id)
      let fired: State = { ...state, [role]: { ...state[role], timers: without } }
      if (id.includes('goTimeoutMs')) fired = { ...fired, overdue: true }
      // A broker or backend that is too slow even for the baseline path is no handoff failure.
      if (role === 'client' && !isIn(state, 'client', 'awaitingReady')) fired = ghost(fired, { excused: true })
      yield step(`${role}:timer ${id.split('.')[2]}`, 'timer', fired, role, event)
    }
  }

  function* breakings(state: State): Steps {
    if (state.faultsLeft === 0) return
    const spent = { ...state, faultsLeft: state.faultsLeft - 1 }
    for (const role of mortal) {
      if (!state[role].alive) continue
      const excused = role === 'broker' ? !repliedTo(state) : role === 'backend'
      const killed = kill(excused ? ghost(spent, { excused: true }) : spent, role)
      yield { label: `kill:${role}`, kind: 'fault', next: killed }
    }
    const busy = state.backend.outbox.length > 0
    // A backend that hangs after its promise hangs on the baseline path too: that is no failed handoff.
    if (!state.mute && state.backend.alive && !hasTag(state, 'backend', 'promised') && !busy) {
      yield { label: 'backend:falls silent', kind: 'fault', next: { ...spent, mute: true } }
    }
  }

  /** Orderly ends, at any moment: of the broker, of the backend's handoff side, of the caller's patience. */
  function* stops(state: State): Steps {
    if (state.faultsLeft === 0) return
    const spent = { ...state, faultsLeft: state.faultsLeft - 1 }
    const asked = (role: Role, event: AnyEventObject) => {
      const { machine } = state[role]
      return (
        machine !== null &&
        state[role].alive &&
        state[role].outbox.length === 0 &&
        (steppers[role] as MachineStepper<never>).handles(machine, event as never)
      )
    }
    const excused = repliedTo(state) ? spent : ghost(spent, { excused: true })
    if (asked('broker', STOP_BROKER)) yield step('broker:is stopped', 'fault', excused, 'broker', STOP_BROKER)
    if (asked('backend', STOP_BACKEND)) yield step('backend:is stopped', 'fault', spent, 'backend', STOP_BACKEND)
    if (asked('client', ABORT))
      yield step('client:is aborted', 'fault', ghost(spent, { excused: true }), 'client', ABORT)
  }

  const repliedTo = (state: State) =>
    state.conn.toClient.includes('offer') ||
    !(isIn(state, 'client', 'diallingBroker') || isIn(state, 'client', 'negotiating'))

  return { timers, breakings, stops }
}

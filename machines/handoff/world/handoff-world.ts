/**
 * The handoff as one closed world: the real supervisor, swap, incumbent, successor and greeting machines, a small kernel
 * between them, and whatever may break. It begins with nothing but a supervisor that starts for the first time.
 */
import type { Step, World } from '../../explore/index.js'
import { createCast, type Players } from './cast.js'
import { answerSteps, clientSteps, followSteps } from './clients.js'
import { noTraffic } from './connections.js'
import { Draft } from './draft.js'
import { endSupervisor, whoAnswers } from './kernel.js'
import { type Settings, settingsOf, type WorldOptions } from './options.js'
import { killStep, type Makers, nameOf, primitiveSteps } from './primitive.js'
import { ADMITTED, createPools, type HandoffState, keyOf, NONE, OPEN, type Stream } from './state.js'
import { DEAF } from './strange.js'
import { supervisorSteps } from './supervisor.js'

export interface HandoffWorld extends World<HandoffState> {
  readonly players: Players
  readonly settings: Settings
}

export function createHandoffWorld(options: WorldOptions = {}): HandoffWorld {
  const settings = settingsOf(options)
  const players = createCast(settings, options.cast, options.otherBuild)
  const pools = createPools()
  const makers: Makers = { players, pools, settings }
  const { supervisor, swap, incumbent, successor, greeting } = players

  return {
    players,
    settings,
    initial: () => firstState(makers),
    *steps(state) {
      const processes = [supervisorSteps(state, makers)]
      for (let slot = 0; slot < state.primitives.length; slot++) processes.push(primitiveSteps(state, slot, makers))
      const moving = [...answerSteps(state, makers), ...followSteps(state, makers)]
      const work = [...processes.flatMap((process) => process.work()), ...moving]
      yield* work
      // A restart is somebody else's pace: nobody's limits wait for it.
      const isQuiet = !work.some(({ kind, label }) => kind === 'progress' && label !== 'restart:S')
      const timing = isQuiet || settings.timers !== 'patient' ? 'due' : 'early'
      for (const process of processes) yield* process.timers(timing)
      yield* kills(state, makers)
      yield* clientSteps(state, makers)
    },
    key: keyOf,
    coverable: [supervisor, swap, incumbent, successor, greeting].flatMap(({ stepper: { parts } }) => [
      ...parts.states,
      ...parts.transitions.map(({ id }) => id),
    ]),
    describe: (state) => describeWorld(state, players),
  }
}

function firstState({ players, pools, settings }: Makers): HandoffState {
  const blank: HandoffState = {
    supervisor: pools.supervisor({
      life: 'dead',
      machine: 0,
      outbox: 0,
      job: NONE,
      swap: NONE,
      swapOutbox: 0,
      swapJob: NONE,
      forked: NONE,
      known: 0,
      retiring: 0,
      asked: 0,
      holdsListeners: false,
      journalling: NONE,
    }),
    kernel: pools.kernel({
      lock: NONE,
      path: NONE,
      journal: 0,
      bound: false,
      journalFailed: false,
      served: false,
      abandoned: false,
    }),
    budgets: pools.budgets({
      swaps: settings.swaps,
      faults: settings.faults,
      // Its first start is a start like any other.
      restarts: settings.restarts + 1,
      orders: settings.orders,
      rehearsals: settings.rehearsals,
    }),
    traffic: pools.traffic(noTraffic(settings.connections)),
    primitives: Array.from({ length: settings.slots }, () => null),
  }
  return new Draft(blank, players, pools).finish()
}

function* kills(state: HandoffState, makers: Makers): Generator<Step<HandoffState>> {
  if (state.budgets.faults === 0 || !makers.settings.faultKinds.has('kill')) return
  const { life } = state.supervisor
  if (life === 'running' || life === 'stalled') {
    const draft = new Draft(state, makers.players, makers.pools)
    draft.spend('faults')
    endSupervisor(draft, 'dead')
    yield { label: 'kill:S', kind: 'fault', next: draft.finish() }
  }
  for (const [slot, primitive] of state.primitives.entries()) {
    if (primitive?.life === 'running') yield killStep(state, slot, makers)
  }
}

/** The state as a reader wants it: who is where, who holds what. */
export function describeWorld(state: HandoffState, players: Players) {
  const { supervisor, kernel, primitives, budgets, traffic } = state
  const name = (slot: number) => (slot === NONE ? null : nameOf(slot))
  const names = (bits: number) => primitives.flatMap((_, slot) => ((bits & (1 << slot)) === 0 ? [] : [nameOf(slot)]))
  const kind = (id: number) => (id === DEAF ? 'unread' : players.message(id).kind)
  const stream = ({ toPrimitive, toSupervisor, supervisorEnd, primitiveEnd, greeting }: Stream) => ({
    toPrimitive: toPrimitive.map(kind),
    toSupervisor: toSupervisor.map(kind),
    ends: `${supervisorEnd === OPEN ? 'open' : 'closed'}/${primitiveEnd === OPEN ? 'open' : 'closed'}`,
    ...(greeting === ADMITTED ? {} : { greeting }),
  })
  const isUp = supervisor.life === 'running' || supervisor.life === 'stalled'
  return {
    supervisor: {
      life: supervisor.life,
      ...(isUp
        ? {
            machine: players.supervisor.stepper.view(supervisor.machine).value,
            swap: supervisor.swap === NONE ? null : players.swap.stepper.view(supervisor.swap).value,
            listeners: supervisor.holdsListeners,
            known: names(supervisor.known),
          }
        : {}),
    },
    primitives: Object.fromEntries(
      primitives.flatMap((primitive, slot) =>
        primitive === null
          ? []
          : [
              [
                nameOf(slot),
                primitive.life === 'dead'
                  ? 'dead'
                  : {
                      [primitive.role]: players.playerOf(primitive).stepper.view(primitive.machine).value,
                      accepting: primitive.accepting,
                      open: primitive.open,
                      ...(primitive.hung ? { hung: true } : {}),
                      ...(primitive.channel ? { channel: stream(primitive.channel) } : {}),
                      ...(primitive.sessions.length > 0 ? { sessions: primitive.sessions.map(stream) } : {}),
                    },
              ],
            ],
      ),
    ),
    lock: name(kernel.lock),
    path: name(kernel.path),
    answers: name(whoAnswers(state, players)),
    journal: names(kernel.journal),
    budgets: {
      swaps: budgets.swaps,
      faults: budgets.faults,
      restarts: budgets.restarts,
      orders: budgets.orders,
      rehearsals: budgets.rehearsals,
    },
    ...(traffic.connections.length === 0
      ? {}
      : {
          connections: traffic.connections.map(({ phase, request, takenBy, holds, staged, reads, told }) => ({
            phase,
            request: takenBy === NONE ? request : `${request} by ${nameOf(takenBy)}`,
            held: names(holds & ~staged),
            staged: names(staged),
            told: names(told),
            read: names(reads),
          })),
        }),
  }
}

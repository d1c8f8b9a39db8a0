/**
 * The handoff as one closed world: the real supervisor, swap, incumbent, successor and greeting machines, a small kernel
 * between them, and whatever may break. It begins with nothing but a supervisor that starts for the first time.
 */
import { type Change, type Rule, type RuleSet, type World, worldOfRules } from '../../explore/index.js'
import { createCast, type Players } from './cast.js'
import { answerSteps, clientSteps, followSteps } from './clients.js'
import { noTraffic } from './connections.js'
import { Draft, forgotten } from './draft.js'
import { endSupervisor, whoAnswers } from './kernel.js'
import { type Settings, settingsOf, type WorldOptions } from './options.js'
import { killStep, type Makers, nameOf, primitiveRules, primitiveTimers, signalling, WORK } from './primitive.js'
import { NONE, type Slot } from './slot.js'
import { ADMITTED, createPools, type HandoffState, keyOf, OPEN, type Stream, shapeOf } from './state.js'
import { DEAF } from './strange.js'
import { supervisorRules, supervisorTimers } from './supervisor-rules.js'

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
    ...worldOfRules(rulesFor(makers)),
    coverable: [supervisor, swap, incumbent, successor, greeting].flatMap(({ stepper: { parts } }) => [
      ...parts.states,
      ...parts.transitions.map(({ id }) => id),
    ]),
    describe: (state) => describeWorld(state, players),
  }
}

function firstState({ pools, settings }: Makers): HandoffState {
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
  return blank
}

/** What processes do by themselves, then what time, an axe and clients do to them. */
function rulesFor(makers: Makers): RuleSet<HandoffState> {
  const { settings, players, pools } = makers
  const slots = Array.from({ length: settings.slots }, (_, slot) => slot)
  const working = (rule: Rule<HandoffState>): Rule<HandoffState> => {
    return (state) => Array.from(rule(state), (change) => signalling(change, [WORK]))
  }
  return {
    shape: shapeOf(settings.slots, pools),
    key: keyOf,
    signals: [WORK, ...['S', ...slots.map(nameOf)]],
    rules: [
      ...supervisorRules(makers),
      ...slots.flatMap((slot) => primitiveRules(slot, makers)),
      ...(settings.connections === 0
        ? []
        : [working((state) => answerSteps(state, makers)), working((state) => followSteps(state, makers))]),
    ],
    laterRules: [
      ...supervisorTimers(makers),
      ...slots.map((slot) => primitiveTimers(slot, makers)),
      ...(settings.faultKinds.has('kill')
        ? [
            (state: HandoffState) => killSupervisor(state, makers),
            ...slots.map((slot) => (state: HandoffState) => killPrimitive(state, slot, makers)),
          ]
        : []),
      ...(settings.connections === 0 ? [] : [(state: HandoffState) => clientSteps(state, makers)]),
    ],
    tidy: slots.map((slot) => (state) => forgotten(state, players, slot)),
  }
}

function killSupervisor(state: HandoffState, makers: Makers): Change<HandoffState>[] {
  const { life } = state.supervisor
  if ((life !== 'running' && life !== 'stalled') || state.budgets.faults === 0) return []
  const draft = new Draft(state, makers.players, makers.pools)
  draft.spend('faults')
  endSupervisor(draft, 'dead')
  return [draft.finish('kill:S', 'fault')]
}

const killPrimitive = (state: HandoffState, slot: Slot, makers: Makers): Change<HandoffState>[] =>
  state.primitives[slot]?.life === 'running' && state.budgets.faults > 0 ? [killStep(state, slot, makers)] : []

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

/**
 * Closed-world exploration of composed machines: every reachable state, every crash, the shortest counterexample.
 *
 * **1. Machines become tables.** `createMachineStepper(machine, { name? })` answers in numbers and remembers:
 *
 * ```ts
 * const swap = createMachineStepper(swapMachine)
 * const { snapshot, effects, covers } = swap.start(input)   // effects: plain data, executed by nobody
 * const next = swap.send(snapshot, { type: 'peer.ready' })   // { snapshot, changed, handled, effects, taken, covers }
 * swap.view(next.snapshot).hasTag('serving')                 // value, context, status, output, states, children …
 * swap.handles(snapshot, event); swap.descriptors(snapshot); swap.parts.transitions
 * ```
 *
 * `effects` is a list of `{ kind: 'action', type, params? }`, `{ kind: 'armTimer', id, delayMs, event }`,
 * `{ kind: 'disarmTimer', id }`, `{ kind: 'start', id, src, input? }`, `{ kind: 'stop', id }`,
 * `{ kind: 'send', to, event, delayMs? }`, `{ kind: 'emit', event }`. Undelayed raises and logs do not appear. A timer
 * fires by sending its `event`; an actor answers with `doneEvent(id, output)` or `errorEvent(id, error)`.
 * `restOf(effects)` is the outbox after its first effect. All of these keep their identity, so they are cheap as parts
 * of a state. A throwing guard or assign becomes a `MachineStepError`; let it pass, it is reported as a violation.
 *
 * **2. A world puts them together.** `World<S>`: `initial()`, `steps(state)` (each step with `label`, `kind`, `next`,
 * and `covers` handed on from the stepper), `key(state)`. Return the state's parts from `key` as an array: numbers
 * stand for themselves, objects are interned by identity first and by content second.
 *
 * **3. Explore.** `explore(world, { properties, marks, limits, onProgress, now })` returns
 * `{ complete, states, edges, depth, violations, unwitnessed, unchecked, coverage, labels, graph, stats, witness(id) }`.
 * Properties are `always`, `edge`, `sometimes`, `sometimesEdge` and `eventually`; the last is checked at dead ends and
 * in every closed loop of progress and timer steps, so a livelock is found as well as a deadlock.
 *
 * **4. Ask the graph.** `shortestPathsTo(graph, mark | predicate)` and `transitionCover(graph, { endAt })` give paths as
 * data; `toReplayFile(path)` and `replay(world, file)` walk them again; `sequenceOf(path)` gives rows of a chart;
 * `graphLogic(graph)` hands the graph to @xstate/graph. `boundTo(graph, { goal, weightMs })` computes how long the
 * goal can take, at worst, once faults stop.
 *
 * **5. Demand something of one machine alone.** `aloneWorld({ machine, alphabet, memory, contracts })` walks it with every
 * event at any moment; its contracts are the `properties` of that world. `behaveAlike(a, b, alphabet, shows)` proves two equal.
 *
 * **6. Mutate.** `mutants(machine)` gives every machine that lacks one guard, timer, effect, order or transition;
 * `runMutants({ mutants, worldWith, isSame, equivalent })` explores each and says which property noticed.
 *
 * **7. Fast worlds are made of rules.** `worldOfRules({ shape, key, rules, laterRules, signals, tidy })` gives `steps` and `key` of a
 * world whose state is made of flat records. A rule says which fields change (`{ label, kind, covers, writes }`); the explorer watches
 * what it looks at and asks it nothing twice. Properties are remembered in the same way. Rules must be functions of the state.
 *
 * Other worlds become faster when they change their parts through `memoPart(change, createInterner())`: equal parts are then the same object.
 *
 * ```ts
 * const ping = createMachineStepper(pingMachine)
 * const world: World<{ at: SnapshotId; pings: number }> = {
 *   initial: () => ({ at: ping.start().snapshot, pings: 0 }),
 *   *steps({ at, pings }) {
 *     const pong = ping.send(at, { type: 'pong' })
 *     if (pong.handled) {
 *       yield { label: 'pong', kind: 'progress', next: { at: pong.snapshot, pings: pings + 1 }, covers: pong.covers }
 *     }
 *   },
 *   key: ({ at, pings }) => [at, pings],
 * }
 * const { complete, violations } = explore(world, {
 *   properties: [{ id: 'P-1', says: 'two pings at most', kind: 'always', holds: ({ pings }) => pings <= 2 }],
 * })
 * ```
 *
 * @packageDocumentation
 */
export { behaveAlike, type Shows } from './alike.js'
export type { AloneState, AloneWorld, Alphabet, Contract, Memory, Moment, RoleContract, Silence } from './alone.js'
export { aloneWorld } from './alone.js'
export type { Bound, BoundExplanation, BoundOptions, BoundStep } from './bound.js'
export { boundTo } from './bound.js'
export { canonical, NotCanonicalError } from './canonical.js'
export type {
  ActionEffect,
  ArmTimerEffect,
  DisarmTimerEffect,
  Effect,
  EmitEffect,
  SendEffect,
  StartEffect,
  StopEffect,
  SystemEvent,
} from './effects.js'
export { doneEvent, errorEvent, restOf } from './effects.js'
export type { Coverage, Exploration, ExploreOptions, Progress } from './explore.js'
export { explore, goalMark } from './explore.js'
export type { EdgeId, Label, Path, PathStep, StateId } from './graph.js'
export { StateGraph, WorldChangedError } from './graph.js'
export type { Interner } from './interner.js'
export { createInterner, memoPart } from './interner.js'
export type { MachineParts, TransitionKind, TransitionPart } from './machine-parts.js'
export { machineParts } from './machine-parts.js'
export type {
  MachineStepper,
  SnapshotId,
  SnapshotView,
  Stepped,
  StepperOptions,
} from './machine-stepper.js'
export { createMachineStepper, MachineStepError } from './machine-stepper.js'
export type { Mutant, MutationKind } from './mutants.js'
export { mutants } from './mutants.js'
export type { CoverOptions, GeneratedPath, GraphLogic, ShortestPathsOptions, TransitionCover } from './paths.js'
export { graphLogic, shortestPathsTo, transitionCover } from './paths.js'
export type { Always, Eventually, OnEdge, Property, Sometimes, SometimesOnEdge, Verdict } from './property.js'
export type { Replay, ReplayFile, Sequence, SequenceRow } from './replay.js'
export { replay, sequenceOf, toReplayFile, UnknownLabelError } from './replay.js'
export type { Change, LaterRule, PartKind, Rule, RuleSet, Shape, Write } from './rules.js'
export { worldOfRules } from './rules.js'
export type {
  KilledMutant,
  MutationOptions,
  MutationReport,
  MutationTrial,
  SurvivingMutant,
} from './run-mutants.js'
export { runMutants, UnsoundBaselineError } from './run-mutants.js'
export type { Violation, ViolationKind } from './violations.js'
export type { Step, StepKind, StepNote, World } from './world.js'
export { ContractError } from './world.js'

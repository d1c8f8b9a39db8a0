/**
 * A machine as a table that fills itself: snapshots are numbers, each (snapshot, event) is computed once.
 *
 * A world of a million states takes some hundred distinct steps of each machine. So the memo belongs to the machine
 * and not to the world, and the price of XState's own interpreter disappears from the exploration.
 */
import type {
  ActorScope,
  AnyEventObject,
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
  EventFromLogic,
  InputFrom,
  SnapshotFrom,
  StateValue,
} from 'xstate'
import { createEmptyActor } from 'xstate'
import { canonical } from './canonical.js'
import { type Effect, type SystemEvent, toEffect } from './effects.js'
import { type MachineParts, machineParts } from './machine-parts.js'

/** The number of a machine snapshot within one stepper; a plain part of a world's state. */
export type SnapshotId = number

/** What one event does to a machine. The same step always yields the same frozen object. */
export interface Stepped {
  readonly snapshot: SnapshotId
  /** The snapshot differs from the one before. */
  readonly changed: boolean
  /** Some transition with a target or an action was selected: false for unknown, refused and forbidden events. */
  readonly handled: boolean
  /** In the order exit, transition, entry, over all microsteps. */
  readonly effects: readonly Effect[]
  /** Ids of the transitions taken, `always` and raised ones included ({@link MachineParts}). */
  readonly taken: readonly string[]
  /** `taken` plus the ids of the states that were entered: hand it on as the `covers` of a world's step. */
  readonly covers: readonly string[]
}

/** What may be asked about a snapshot. */
export interface SnapshotView<M extends AnyStateMachine> {
  readonly id: SnapshotId
  readonly value: SnapshotFrom<M>['value']
  readonly context: SnapshotFrom<M>['context']
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly output: SnapshotFrom<M>['output']
  readonly error: unknown
  readonly tags: ReadonlySet<string>
  /** Ids of the active state nodes, as in {@link MachineParts}. */
  readonly states: readonly string[]
  /** Ids of the actors that are started and not stopped. */
  readonly children: readonly string[]
  hasTag(tag: string): boolean
  /** As XState's `snapshot.matches`. */
  matches(value: StateValue): boolean
}

export interface MachineStepper<M extends AnyStateMachine> {
  readonly machine: M
  readonly parts: MachineParts
  /** The first snapshot and what the machine asks for at its start. @throws MachineStepError when the start throws. */
  start(...input: undefined extends InputFrom<M> ? [input?: InputFrom<M>] : [input: InputFrom<M>]): Stepped
  /** @throws MachineStepError when a guard, an assign or a params function throws. */
  send(snapshot: SnapshotId, event: EventFromLogic<M> | SystemEvent): Stepped
  /** Would `event` be {@link Stepped.handled}? */
  handles(snapshot: SnapshotId, event: EventFromLogic<M> | SystemEvent): boolean
  view(snapshot: SnapshotId): SnapshotView<M>
  /** The event descriptors the active states listen to, wildcards and XState's own included. */
  descriptors(snapshot: SnapshotId): readonly string[]
  /** Distinct snapshots seen, and how often XState really was asked. */
  readonly stats: { readonly snapshots: number; readonly calls: number }
}

export interface StepperOptions {
  /** Prefix of the ids in `parts`, `taken` and `covers`. Default: the machine's id. */
  readonly name?: string
  /** `false` asks XState for every step again: the slow control of the memo. Default: true. */
  readonly memo?: boolean
}

/** A guard, assign or params function threw. Explorations report it as a violation. */
export class MachineStepError extends Error {
  override readonly name = 'MachineStepError'
  constructor(
    readonly machine: string,
    readonly value: unknown,
    readonly event: AnyEventObject,
    cause: unknown,
  ) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`${machine} in ${JSON.stringify(value)} on '${event.type}': ${reason}`, { cause })
  }
}

interface Row {
  readonly snapshot: AnyMachineSnapshot
  readonly view: SnapshotView<AnyStateMachine>
  readonly steps: Map<string | object, Stepped | MachineStepError>
}

export function createMachineStepper<M extends AnyStateMachine>(
  machine: M,
  options: StepperOptions = {},
): MachineStepper<M> {
  const memo = options.memo ?? true
  const parts = machineParts(machine, options.name)
  const rows: Row[] = []
  const idByKey = new Map<string, SnapshotId>()
  const starts = new Map<string, Stepped | MachineStepError>()
  let calls = 0

  function rowOf(id: SnapshotId): Row {
    const row = rows[id]
    if (row === undefined) {
      throw new RangeError(`${parts.name} has no snapshot ${id}`)
    }
    return row
  }

  function idOf(snapshot: AnyMachineSnapshot): SnapshotId {
    const key = snapshotKey(snapshot)
    let id = idByKey.get(key)
    if (id === undefined) {
      id = rows.length
      idByKey.set(key, id)
      rows.push({ snapshot, view: viewOf(id, snapshot, parts), steps: new Map() })
    }
    return id
  }

  function run(before: Row | undefined, event: AnyEventObject, input: unknown): Stepped {
    calls += 1
    const record = createRecord()
    let after: AnyMachineSnapshot
    try {
      after = before
        ? (machine.transition(before.snapshot, event, record.scope) as AnyMachineSnapshot)
        : (machine.getInitialSnapshot(record.scope, input as InputFrom<M>) as AnyMachineSnapshot)
    } catch (error) {
      throw new MachineStepError(parts.name, before?.view.value, event, error)
    }
    // XState swallows an exception of the start and returns a snapshot in error.
    if (before === undefined && after.status === 'error') {
      throw new MachineStepError(parts.name, undefined, event, after.error)
    }
    const snapshot = idOf(after)
    const taken = record.transitions.flatMap((definition) => parts.transitionId(definition) ?? [])
    const states = new Set([...record.visited, ...after._nodes].map((node: AnyStateNode) => parts.stateId(node)))
    const entered = [...states].filter((id) => !before?.view.states.includes(id))
    return Object.freeze({
      snapshot,
      changed: before === undefined || before.view.id !== snapshot,
      handled: record.transitions.some(({ target, actions }) => target !== undefined || actions.length > 0),
      effects: Object.freeze(record.actions.flatMap((action) => toEffect(action) ?? [])),
      taken: Object.freeze(taken),
      covers: Object.freeze([...new Set([...taken, ...entered])]),
    })
  }

  function remembered<K>(table: Map<K, Stepped | MachineStepError>, key: K, compute: () => Stepped): Stepped {
    let known = memo ? table.get(key) : undefined
    if (known === undefined) {
      try {
        known = compute()
      } catch (error) {
        if (!(error instanceof MachineStepError)) {
          throw error
        }
        known = error
      }
      table.set(key, known)
    }
    if (known instanceof MachineStepError) {
      throw known
    }
    return known
  }

  function send(id: SnapshotId, event: AnyEventObject): Stepped {
    const row = rowOf(id)
    return remembered(row.steps, eventKey(event), () => run(row, event, undefined))
  }

  return {
    machine,
    parts,
    start: (...[input]) =>
      remembered(starts, canonical(input), () => run(undefined, { type: 'xstate.init', input }, input)),
    send,
    handles: (id, event) => send(id, event).handled,
    view: (id) => rowOf(id).view as SnapshotView<M>,
    descriptors: (id) => [
      ...new Set(rowOf(id).snapshot._nodes.flatMap((node: AnyStateNode) => [...node.transitions.keys()] as string[])),
    ],
    get stats() {
      return { snapshots: rows.length, calls }
    },
  }
}

const eventKeys = new WeakMap<object, string>()

// Worlds send constant event objects over and over: their text is computed once.
function eventKey(event: AnyEventObject): string {
  if (isBare(event)) return event.type
  let key = eventKeys.get(event)
  if (key === undefined) {
    key = canonicalEvent(event)
    eventKeys.set(event, key)
  }
  return key
}

function isBare(event: AnyEventObject): boolean {
  for (const name in event) if (name !== 'type') return false
  return true
}

// The error of a failed actor may be an Error instance; its text tells it apart.
function canonicalEvent(event: AnyEventObject): string {
  const error: unknown = event.error
  return canonical(error instanceof Error ? { ...event, error: `${error.name}: ${error.message}` } : event)
}

/** Everything the next transition can depend on; actor references count by their ids. */
function snapshotKey(snapshot: AnyMachineSnapshot): string {
  const { error } = snapshot as { readonly error: unknown }
  const history = Object.entries(snapshot.historyValue as Record<string, readonly AnyStateNode[]>)
  return canonical([
    snapshot.value,
    Object.entries(snapshot.context as object)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, part]) => [name, textOf(part)]),
    snapshot.status,
    Object.keys(snapshot.children).sort(),
    history.map(([id, nodes]) => [id, nodes.map((node) => node.id)]),
    snapshot.output,
    error instanceof Error ? `${error.name}: ${error.message}` : error,
  ])
}

const texts = new WeakMap<object, readonly [string]>()

/** Parts of a context are values and never mutated: a large one, like a policy, is written out once. */
function textOf(part: unknown): unknown {
  if (typeof part !== 'object' || part === null) return part
  let text = texts.get(part)
  if (text === undefined) {
    text = [canonical(part)]
    texts.set(part, text)
  }
  return text
}

function viewOf(id: SnapshotId, snapshot: AnyMachineSnapshot, parts: MachineParts): SnapshotView<AnyStateMachine> {
  const tags: ReadonlySet<string> = new Set(snapshot.tags as Iterable<string>)
  return Object.freeze({
    id,
    value: snapshot.value,
    context: snapshot.context,
    status: snapshot.status,
    output: snapshot.output,
    error: snapshot.error as unknown,
    tags,
    states: snapshot._nodes.map((node: AnyStateNode) => parts.stateId(node)),
    children: Object.keys(snapshot.children),
    hasTag: (tag: string) => tags.has(tag),
    matches: (value: StateValue) => snapshot.matches(value as never),
  })
}

type Action = Parameters<ActorScope<never, never>['actionExecutor']>[0]
type Definition = Parameters<MachineParts['transitionId']>[0]

/**
 * A scope that runs nothing and writes down everything. It is made anew for each real step: a scope that is used twice
 * refuses the second spawn under the same systemId.
 */
function createRecord() {
  const actor = createEmptyActor()
  const actions: Action[] = []
  const transitions: Definition[] = []
  // Transient states are left again within the step, so the last snapshot does not show them.
  const visited = new Set<AnyStateNode>()
  // The microstep event is XState's own account of which transitions it selected, eventless and raised ones included.
  actor.system.inspect({
    next: (inspected) => {
      if (inspected.type !== '@xstate.microstep') {
        return
      }
      for (const definition of inspected._transitions) {
        transitions.push(definition)
        visited.add(definition.source as AnyStateNode)
      }
      for (const node of (inspected.snapshot as AnyMachineSnapshot)._nodes as readonly AnyStateNode[]) {
        visited.add(node)
      }
    },
  })
  const scope = {
    self: actor,
    id: '',
    sessionId: '',
    logger: () => {},
    defer: () => {},
    emit: () => {},
    system: actor.system,
    stopChild: () => {},
    actionExecutor: (action: Action) => {
      actions.push(action)
    },
  } as unknown as Parameters<AnyStateMachine['transition']>[2]
  return { scope, actions, transitions, visited }
}

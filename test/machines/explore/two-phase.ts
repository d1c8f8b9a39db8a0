/**
 * Two-phase commit as a closed world: one coordinator, some participants, crashes at any moment, restarts from disk.
 *
 * Small enough to know every count, rich enough to need everything an explorer must understand: invocations that fail,
 * timers, raised and eventless transitions, wildcards, final states, and effects executed one at a time.
 */
import { type AnyStateMachine, assign, fromPromise, raise, setup } from 'xstate'
import {
  createMachineStepper,
  doneEvent,
  type Effect,
  errorEvent,
  type MachineStepper,
  type Property,
  restOf,
  type SnapshotId,
  type Step,
  type Stepped,
  type World,
} from '../../../machines/explore/index.js'

const job = () => fromPromise(() => Promise.reject(new Error('an exploration runs nothing')))

type CoordinatorEvent =
  | { type: 'vote.yes'; from: number }
  | { type: 'vote.no'; from: number }
  | { type: 'hello'; from: number }
  | { type: 'counted' }

export const coordinatorMachine = setup({
  types: {
    context: {} as { votes: number; everybody: number; memory: Memory },
    events: {} as CoordinatorEvent,
    input: {} as { participants: number; memory: Memory },
  },
  actions: {
    tellAll: (_, _params: { what: string }) => {},
    reply: (_, _params: { to: number; what: string }) => {},
    recordUnexpected: () => {},
    countVote: assign({ votes: ({ context, event }) => ('from' in event ? context.votes | (1 << event.from) : -1) }),
  },
  actors: { writeLog: job() },
  guards: {
    hasCommitted: ({ context }) => context.memory === 'decided',
    isRestarted: ({ context }) => context.memory !== 'none',
    everybodyVoted: ({ context }) => context.votes === context.everybody,
  },
  delays: { voteTimeoutMs: 5_000 },
}).createMachine({
  id: 'coordinator',
  context: ({ input }) => ({ votes: 0, everybody: (1 << input.participants) - 1, memory: input.memory }),
  initial: 'starting',
  on: { 'vote.*': { actions: 'recordUnexpected' } },
  states: {
    starting: {
      always: [
        { guard: 'hasCommitted', target: 'committed' },
        { guard: 'isRestarted', target: 'aborted' },
        { target: 'preparing' },
      ],
    },
    preparing: {
      entry: { type: 'tellAll', params: { what: 'prepare' } },
      after: { voteTimeoutMs: 'aborted' },
      on: {
        'vote.yes': { actions: ['countVote', raise({ type: 'counted' })] },
        counted: { guard: 'everybodyVoted', target: 'logging' },
        'vote.no': 'aborted',
      },
    },
    logging: { invoke: { id: 'writeLog', src: 'writeLog', onDone: 'committed', onError: 'aborted' } },
    committed: {
      tags: 'decided',
      entry: { type: 'tellAll', params: { what: 'commit' } },
      on: { hello: { actions: { type: 'reply', params: ({ event }) => ({ to: event.from, what: 'commit' }) } } },
    },
    aborted: {
      tags: 'decided',
      entry: { type: 'tellAll', params: { what: 'abort' } },
      on: { hello: { actions: { type: 'reply', params: ({ event }) => ({ to: event.from, what: 'abort' }) } } },
    },
  },
})

export const participantMachine = setup({
  types: {
    context: {} as { cancelled: boolean; memory: Memory },
    events: {} as { type: 'prepare' } | { type: 'commit' } | { type: 'abort' },
    input: {} as { memory: Memory },
  },
  actions: {
    say: (_, _params: { what: string }) => {},
    record: (_, _params: { what: 'committed' | 'aborted' }) => {},
    cancelForce: assign({ cancelled: true }),
  },
  actors: { force: job() },
  guards: {
    hasPrepared: ({ context }) => context.memory === 'decided',
    isRestarted: ({ context }) => context.memory !== 'none',
    isCancelled: ({ context }) => context.cancelled,
  },
}).createMachine({
  id: 'participant',
  context: ({ input }) => ({ cancelled: false, memory: input.memory }),
  initial: 'starting',
  states: {
    starting: {
      always: [
        { guard: 'hasPrepared', target: 'inDoubt' },
        { guard: 'isRestarted', target: 'refused' },
        { target: 'working' },
      ],
    },
    working: { on: { prepare: 'forcing', abort: 'aborted' } },
    forcing: {
      invoke: {
        id: 'force',
        src: 'force',
        onDone: [{ guard: 'isCancelled', target: 'aborted' }, { target: 'prepared' }],
        onError: 'refused',
      },
      // A running hook is never abandoned: its end decides.
      on: { abort: { actions: 'cancelForce' } },
    },
    prepared: {
      entry: { type: 'say', params: { what: 'vote.yes' } },
      on: { commit: 'committed', abort: 'aborted' },
    },
    inDoubt: {
      entry: { type: 'say', params: { what: 'hello' } },
      on: { commit: 'committed', abort: 'aborted' },
    },
    refused: { entry: { type: 'say', params: { what: 'vote.no' } }, always: 'aborted' },
    committed: { type: 'final', entry: { type: 'record', params: { what: 'committed' } } },
    aborted: { type: 'final', entry: { type: 'record', params: { what: 'aborted' } } },
  },
})

/** What a process finds on disk: nothing, that it ran before, or its durable decision. */
type Memory = 'none' | 'restarted' | 'decided'

interface Process {
  readonly snapshot: SnapshotId | null
  readonly outbox: readonly Effect[]
  readonly timers: readonly string[]
  readonly jobs: readonly string[]
  readonly memory: Memory
}

export interface TwoPhase {
  /** Coordinator first. */
  readonly processes: readonly Process[]
  /** `inboxes[n]`: messages on their way to process n. */
  readonly inboxes: readonly (readonly Message[])[]
  readonly outcomes: readonly ('none' | 'committed' | 'aborted' | 'both')[]
  readonly unexpected: boolean
  readonly broken: boolean
  readonly faultsLeft: number
}

interface Message {
  readonly type: string
  readonly from: number
}

export interface TwoPhaseOptions {
  readonly participants?: number
  readonly faults?: number
  readonly memo?: boolean
  readonly coordinator?: AnyStateMachine
  readonly participant?: AnyStateMachine
}

const replaced = <T>(list: readonly T[], at: number, item: T): readonly T[] => list.with(at, item)
const withItem = (list: readonly string[], item: string) => [...list.filter((other) => other !== item), item].sort()
const without = (list: readonly string[], item: string) => list.filter((other) => other !== item)

export interface TwoPhaseWorld extends World<TwoPhase> {
  readonly coordinator: MachineStepper<AnyStateMachine>
  readonly participant: MachineStepper<AnyStateMachine>
}

export function twoPhaseWorld(options: TwoPhaseOptions = {}): TwoPhaseWorld {
  const { participants = 2, faults = 1, memo = true } = options
  const coordinator = createMachineStepper(options.coordinator ?? (coordinatorMachine as AnyStateMachine), { memo })
  const participant = createMachineStepper(options.participant ?? (participantMachine as AnyStateMachine), { memo })
  const stepper = (role: number) => (role === 0 ? coordinator : participant)
  const name = (role: number) => (role === 0 ? 'C' : `P${role}`)
  const roles = Array.from({ length: participants + 1 }, (_, role) => role)

  const start = (role: number, memory: Memory): Stepped => stepper(role).start({ participants, memory })
  const run = (state: TwoPhase, role: number, process: Process, stepped: Stepped): TwoPhase => ({
    ...state,
    processes: replaced(state.processes, role, { ...process, ...stepped, outbox: stepped.effects } as Process),
    broken: state.broken || stepper(role).view(stepped.snapshot).status === 'error',
  })
  const fresh = (role: number, memory: Memory): Process => {
    const { snapshot, effects } = start(role, memory)
    return { snapshot, outbox: effects, timers: [], jobs: [], memory }
  }
  const isRunning = (process: Process, role: number): process is Process & { readonly snapshot: SnapshotId } =>
    process.snapshot !== null && stepper(role).view(process.snapshot).status === 'active'

  function post(state: TwoPhase, to: number, message: Message): TwoPhase {
    const target = state.processes[to] as Process
    return target.snapshot === null
      ? state
      : { ...state, inboxes: replaced(state.inboxes, to, [...(state.inboxes[to] ?? []), message]) }
  }

  function execute(before: TwoPhase, role: number, effect: Effect): TwoPhase {
    const process = before.processes[role] as Process
    const set = (change: Partial<Process>): TwoPhase => ({
      ...before,
      processes: replaced(before.processes, role, { ...process, outbox: restOf(process.outbox), ...change }),
    })
    switch (effect.kind) {
      case 'armTimer':
        return set({ timers: withItem(process.timers, effect.id) })
      case 'disarmTimer':
        return set({ timers: without(process.timers, effect.id) })
      case 'start':
        return set({ jobs: withItem(process.jobs, effect.id) })
      case 'stop':
        return set({ jobs: without(process.jobs, effect.id) })
      case 'action':
        return act(set({}), role, effect.type, effect.params as { to: number; what: string })
      default:
        throw new Error(`this world does not know '${effect.kind}'`)
    }
  }

  function act(state: TwoPhase, role: number, type: string, params: { to: number; what: string }): TwoPhase {
    switch (type) {
      case 'tellAll':
        return roles.slice(1).reduce((now, to) => post(now, to, { type: params.what, from: 0 }), state)
      case 'reply':
        return post(state, params.to + 1, { type: params.what, from: 0 })
      case 'say':
        return post(state, 0, { type: params.what, from: role - 1 })
      case 'record': {
        const before = state.outcomes[role]
        const outcome = (before === 'none' || before === params.what ? params.what : 'both') as 'committed'
        return { ...state, outcomes: replaced(state.outcomes, role, outcome) }
      }
      case 'recordUnexpected':
        return { ...state, unexpected: true }
      default:
        throw new Error(`this world does not know the action '${type}'`)
    }
  }

  function* stepsOf(state: TwoPhase, role: number): Generator<Step<TwoPhase>> {
    const process = state.processes[role] as Process
    const who = name(role)
    const [effect] = process.outbox
    const [message] = state.inboxes[role] ?? []
    if (process.snapshot === null) {
      const reborn = { ...state, processes: replaced(state.processes, role, fresh(role, process.memory)) }
      yield { label: `${who}:restart`, kind: 'progress', next: reborn, covers: start(role, process.memory).covers }
      return
    }
    if (effect !== undefined) {
      const what = effect.kind === 'action' ? effect.type : `${effect.kind}(${'id' in effect ? effect.id : ''})`
      yield { label: `${who}:${what}`, kind: 'progress', next: execute(state, role, effect) }
    } else if (!isRunning(process, role)) {
      if (message !== undefined) {
        yield {
          label: `${who}:ignore`,
          kind: 'progress',
          next: { ...state, inboxes: replaced(state.inboxes, role, []) },
        }
      }
      return
    } else {
      yield* eventsOf(state, role, process)
    }
    if (state.faultsLeft > 0) {
      const dead = { ...process, snapshot: null, outbox: [], timers: [], jobs: [] }
      const memory = process.memory === 'none' ? 'restarted' : process.memory
      yield {
        label: `kill:${who}`,
        kind: 'fault',
        next: {
          ...state,
          processes: replaced(state.processes, role, { ...dead, memory }),
          inboxes: replaced(state.inboxes, role, []),
          faultsLeft: state.faultsLeft - 1,
        },
      }
    }
  }

  function* eventsOf(
    state: TwoPhase,
    role: number,
    process: Process & { readonly snapshot: SnapshotId },
  ): Generator<Step<TwoPhase>> {
    const who = name(role)
    const table = stepper(role)
    const [message, ...later] = state.inboxes[role] ?? []
    if (message !== undefined) {
      const stepped = table.send(process.snapshot, message)
      const read = { ...state, inboxes: replaced(state.inboxes, role, later) }
      yield {
        label: `${who}:recv(${message.type})`,
        kind: 'progress',
        next: run(read, role, process, stepped),
        covers: stepped.covers,
      }
    }
    for (const id of process.timers) {
      const stepped = table.send(process.snapshot, { type: id as `xstate.${string}` })
      const disarmed = { ...process, timers: without(process.timers, id) }
      yield { label: `${who}:timer`, kind: 'timer', next: run(state, role, disarmed, stepped), covers: stepped.covers }
    }
    for (const id of process.jobs) {
      const rest = { ...process, jobs: without(process.jobs, id) }
      const done = table.send(process.snapshot, doneEvent(id))
      // The durable write and its completion are one step: a crash falls before or after it.
      yield {
        label: `${who}:done(${id})`,
        kind: 'progress',
        next: run(state, role, { ...rest, memory: 'decided' }, done),
        covers: done.covers,
      }
      if (state.faultsLeft > 0) {
        const failed = table.send(process.snapshot, errorEvent(id, 'EIO'))
        const poorer = { ...state, faultsLeft: state.faultsLeft - 1 }
        yield {
          label: `fail:${who}:${id}`,
          kind: 'fault',
          next: run(poorer, role, rest, failed),
          covers: failed.covers,
        }
      }
    }
  }

  const first: TwoPhase = {
    processes: roles.map((role) => fresh(role, 'none')),
    inboxes: roles.map(() => []),
    outcomes: roles.map(() => 'none'),
    unexpected: false,
    broken: false,
    faultsLeft: faults,
  }

  return {
    coordinator,
    participant,
    initial: () => first,
    *steps(state) {
      for (const role of roles) {
        yield* stepsOf(state, role)
      }
    },
    key: (state) => [
      ...state.processes.flatMap(({ snapshot, outbox, timers, jobs, memory }) => [
        snapshot,
        outbox,
        timers,
        jobs,
        memory,
      ]),
      ...state.inboxes,
      ...state.outcomes,
      state.unexpected,
      state.broken,
      state.faultsLeft,
    ],
    coverable: [coordinator, participant].flatMap(({ parts }) => [
      ...parts.states,
      ...parts.transitions.map(({ id }) => id),
    ]),
    initialCovers: [...start(0, 'none').covers, ...start(1, 'none').covers],
    describe: (state) => ({
      states: state.processes.map(({ snapshot }, role) =>
        snapshot === null ? 'dead' : stepper(role).view(snapshot).value,
      ),
      outcomes: state.outcomes.slice(1),
    }),
    notes: (_, { label }) => {
      const [from = '', text = ''] = label.split(':')
      return from === 'kill' || from === 'fail' ? [{ from: text, text: label }] : [{ from, text }]
    },
  }
}

const outcomes = (state: TwoPhase) => state.outcomes.slice(1)

/** What the coordinator is doing; nothing while it is dead. */
function coordinatorState({ coordinator }: TwoPhaseWorld, { processes: [process] }: TwoPhase): unknown {
  return process === undefined || process.snapshot === null ? undefined : coordinator.view(process.snapshot).value
}

export const twoPhaseProperties = (world: TwoPhaseWorld): readonly Property<TwoPhase>[] => [
  {
    id: 'ATOMIC',
    says: 'nobody commits what another aborts',
    kind: 'always',
    holds: (state) => !(outcomes(state).includes('committed') && outcomes(state).includes('aborted')),
  },
  { id: 'ONCE', says: 'no decision is changed', kind: 'always', holds: (state) => !outcomes(state).includes('both') },
  { id: 'SOUND', says: 'no machine ends in error', kind: 'always', holds: (state) => !state.broken },
  {
    id: 'LOGGED',
    says: 'a restarted coordinator does what its log says, and aborts without one',
    kind: 'always',
    holds: (state) => {
      const memory = state.processes[0]?.memory
      const now = coordinatorState(world, state)
      return (memory !== 'decided' || now !== 'aborted') && (memory !== 'restarted' || now !== 'preparing')
    },
  },
  {
    id: 'HEARS',
    says: 'a refusal is heard, and decides at once',
    kind: 'sometimesEdge',
    holds: (from, { label, next }) =>
      label === 'C:recv(vote.no)' &&
      coordinatorState(world, from) === 'preparing' &&
      coordinatorState(world, next) === 'aborted',
  },
  {
    id: 'DECIDES',
    says: 'if faults stop, everybody decides',
    kind: 'eventually',
    holds: (state) => !outcomes(state).includes('none'),
  },
  {
    id: 'COMMITS',
    says: 'a commit happens',
    kind: 'sometimes',
    holds: (state) => outcomes(state).every((outcome) => outcome === 'committed'),
  },
  {
    id: 'ABORTS',
    says: 'an abort happens',
    kind: 'sometimes',
    holds: (state) => outcomes(state).every((outcome) => outcome === 'aborted'),
  },
  { id: 'LATE', says: 'a late vote is recorded', kind: 'sometimes', holds: (state) => state.unexpected },
]

export const twoPhaseMarks = {
  quiescent: (state: TwoPhase) =>
    !outcomes(state).includes('none') &&
    state.inboxes.every((inbox) => inbox.length === 0) &&
    state.processes.every(({ outbox, snapshot }) => outbox.length === 0 && snapshot !== null),
}

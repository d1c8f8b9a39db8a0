/**
 * Two-phase commit as a closed world: one coordinator, some participants, crashes at any moment, restarts from disk.
 *
 * Small enough to know every count, rich enough to need everything an explorer must understand: invocations that fail,
 * timers, raised and eventless transitions, wildcards, final states, and effects executed one at a time.
 */
import { type AnyStateMachine, assign, fromPromise, raise, setup } from 'xstate'
import {
  createInterner,
  createMachineStepper,
  doneEvent,
  type Effect,
  errorEvent,
  type MachineStepper,
  memoPart,
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

function replaced<T>(list: readonly T[], at: number, item: T): readonly T[] {
  const copy = list.slice()
  copy[at] = item
  return copy
}
const withItem = (list: readonly string[], item: string) => [...list.filter((other) => other !== item), item].sort()
const without = (list: readonly string[], item: string) => list.filter((other) => other !== item)

export interface TwoPhaseWorld extends World<TwoPhase> {
  readonly coordinator: MachineStepper<AnyStateMachine>
  readonly participant: MachineStepper<AnyStateMachine>
}

type Change<A> = (process: Process, argument: A) => Process

/** Everything that happens to one process or one inbox alone: each pair of part and argument is computed once. */
function partChanges() {
  const processes = createInterner<Process>()
  const inboxes = createInterner<readonly Message[]>()
  const ofProcess = <A>(change: Change<A>) => memoPart(change, processes)
  const inboxOf = <A>(change: (inbox: readonly Message[], argument: A) => readonly Message[]) =>
    memoPart(change, inboxes)
  const NOWHERE = { snapshot: null, outbox: [], timers: [], jobs: [] } as const
  return {
    empty: inboxes.canonical([]),
    unborn: processes.canonical({ ...NOWHERE, memory: 'none' }),
    append: inboxOf((inbox, message: Message) => [...inbox, message]),
    shift: inboxOf((inbox, _: undefined) => inbox.slice(1)),
    settle: ofProcess((process, { snapshot, effects }: Stepped) => ({ ...process, snapshot, outbox: effects })),
    die: ofProcess(({ memory }, _: undefined) => ({ ...NOWHERE, memory: memory === 'none' ? 'restarted' : memory })),
    endTimer: ofProcess((process, id: string) => ({ ...process, timers: without(process.timers, id) })),
    endJob: ofProcess((process, id: string) => ({ ...process, jobs: without(process.jobs, id) })),
    decide: ofProcess((process, _: undefined) => ({ ...process, memory: 'decided' })),
    execute: ofProcess((process, effect: Effect) => {
      const done = { ...process, outbox: restOf(process.outbox) }
      switch (effect.kind) {
        case 'armTimer':
          return { ...done, timers: withItem(process.timers, effect.id) }
        case 'disarmTimer':
          return { ...done, timers: without(process.timers, effect.id) }
        case 'start':
          return { ...done, jobs: withItem(process.jobs, effect.id) }
        case 'stop':
          return { ...done, jobs: without(process.jobs, effect.id) }
        case 'action':
          return done
        default:
          throw new Error(`this world does not know '${effect.kind}'`)
      }
    }),
  }
}

export function twoPhaseWorld(options: TwoPhaseOptions = {}): TwoPhaseWorld {
  const { participants = 2, faults = 1, memo = true } = options
  const coordinator = createMachineStepper(options.coordinator ?? (coordinatorMachine as AnyStateMachine), { memo })
  const participant = createMachineStepper(options.participant ?? (participantMachine as AnyStateMachine), { memo })
  const change = partChanges()
  const stepper = (role: number) => (role === 0 ? coordinator : participant)
  const roles = Array.from({ length: participants + 1 }, (_, role) => role)
  const names = roles.map((role) => (role === 0 ? 'C' : `P${role}`))
  const labelled = names.map((who) => memoPart((_: object, text: string) => `${who}:${text}`))
  const label = (role: number, text: string) => labelled[role]?.(change, text) ?? ''
  const kill = names.map((who) => `kill:${who}`)
  const message = memoPart((_: object, text: string): Message => {
    const [type = '', from] = text.split(' ')
    return { type, from: Number(from) }
  })
  const timer = memoPart((_: object, id: string) => ({ type: id as `xstate.${string}` }))
  const succeeded = memoPart((_: object, id: string) => doneEvent(id))
  const failed = memoPart((_: object, id: string) => errorEvent(id, 'EIO'))

  const start = (role: number, memory: Memory): Stepped => stepper(role).start({ participants, memory })
  const become = (state: TwoPhase, role: number, process: Process): TwoPhase => ({
    ...state,
    processes: replaced(state.processes, role, process),
  })
  const run = (state: TwoPhase, role: number, process: Process, stepped: Stepped): TwoPhase => ({
    ...become(state, role, change.settle(process, stepped)),
    broken: state.broken || stepper(role).view(stepped.snapshot).status === 'error',
  })

  function post(state: TwoPhase, to: number, what: string, from: number): TwoPhase {
    if ((state.processes[to] as Process).snapshot === null) {
      return state
    }
    const inbox = change.append(state.inboxes[to] as readonly Message[], message(change, `${what} ${from}`))
    return { ...state, inboxes: replaced(state.inboxes, to, inbox) }
  }

  function act(state: TwoPhase, role: number, type: string, params: { to: number; what: string }): TwoPhase {
    switch (type) {
      case 'tellAll':
        return roles.slice(1).reduce((now, to) => post(now, to, params.what, 0), state)
      case 'reply':
        return post(state, params.to + 1, params.what, 0)
      case 'say':
        return post(state, 0, params.what, role - 1)
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

  function stepsOf(state: TwoPhase, role: number, steps: Step<TwoPhase>[]): void {
    const process = state.processes[role] as Process
    const { snapshot, outbox, memory } = process
    if (snapshot === null) {
      const reborn = start(role, memory)
      const next = become(state, role, change.settle(process, reborn))
      steps.push({ label: label(role, 'restart'), kind: 'progress', next, covers: reborn.covers })
      return
    }
    const [effect] = outbox
    if (effect !== undefined) {
      const done = become(state, role, change.execute(process, effect))
      const isAction = effect.kind === 'action'
      const next = isAction ? act(done, role, effect.type, effect.params as { to: number; what: string }) : done
      steps.push({ label: label(role, isAction ? effect.type : effect.kind), kind: 'progress', next })
    } else if (stepper(role).view(snapshot).status === 'active') {
      eventsOf(state, role, process, snapshot, steps)
    } else {
      if (state.inboxes[role]?.length !== 0) {
        const next = { ...state, inboxes: replaced(state.inboxes, role, change.empty) }
        steps.push({ label: label(role, 'ignore'), kind: 'progress', next })
      }
      return
    }
    if (state.faultsLeft > 0) {
      const next = {
        ...become(state, role, change.die(process, undefined)),
        inboxes: replaced(state.inboxes, role, change.empty),
        faultsLeft: state.faultsLeft - 1,
      }
      steps.push({ label: kill[role] as string, kind: 'fault', next })
    }
  }

  function eventsOf(state: TwoPhase, role: number, process: Process, at: SnapshotId, steps: Step<TwoPhase>[]): void {
    const table = stepper(role)
    const inbox = state.inboxes[role] as readonly Message[]
    const [first] = inbox
    if (first !== undefined) {
      const stepped = table.send(at, first)
      const read = { ...state, inboxes: replaced(state.inboxes, role, change.shift(inbox, undefined)) }
      const next = run(read, role, process, stepped)
      steps.push({ label: label(role, `recv(${first.type})`), kind: 'progress', next, covers: stepped.covers })
    }
    for (const id of process.timers) {
      const stepped = table.send(at, timer(change, id))
      const next = run(state, role, change.endTimer(process, id), stepped)
      steps.push({ label: label(role, 'timer'), kind: 'timer', next, covers: stepped.covers })
    }
    for (const id of process.jobs) {
      const ended = change.endJob(process, id)
      const done = table.send(at, succeeded(change, id))
      // The durable write and its completion are one step: a crash falls before or after it.
      const next = run(state, role, change.decide(ended, undefined), done)
      steps.push({ label: label(role, `done(${id})`), kind: 'progress', next, covers: done.covers })
      if (state.faultsLeft > 0) {
        const broken = table.send(at, failed(change, id))
        const poorer = { ...run(state, role, ended, broken), faultsLeft: state.faultsLeft - 1 }
        steps.push({ label: label(role, `fail(${id})`), kind: 'fault', next: poorer, covers: broken.covers })
      }
    }
  }

  const first: TwoPhase = {
    processes: roles.map((role) => change.settle(change.unborn, start(role, 'none'))),
    inboxes: roles.map(() => change.empty),
    outcomes: roles.map(() => 'none'),
    unexpected: false,
    broken: false,
    faultsLeft: faults,
  }
  const parts: unknown[] = []

  return {
    coordinator,
    participant,
    initial: () => first,
    steps(state) {
      const steps: Step<TwoPhase>[] = []
      for (const role of roles) {
        stepsOf(state, role, steps)
      }
      return steps
    },
    key(state) {
      let at = 0
      for (const role of roles) {
        parts[at++] = state.processes[role]
        parts[at++] = state.inboxes[role]
        parts[at++] = state.outcomes[role]
      }
      parts[at++] = state.unexpected
      parts[at++] = state.broken
      parts[at] = state.faultsLeft
      return parts
    },
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
      return from === 'kill' ? [{ from: text, text: 'dies' }] : [{ from, text }]
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

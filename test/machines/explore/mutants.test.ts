import { describe, expect, test } from 'vitest'
import { type AnyStateMachine, and, assign, fromPromise, not, setup } from 'xstate'
import {
  createMachineStepper,
  doneEvent,
  type Mutant,
  mutants,
  runMutants,
  UnsoundBaselineError,
} from '../../../machines/explore/index.js'
import { coordinatorMachine, participantMachine, twoPhaseProperties, twoPhaseWorld } from './two-phase.js'

const job = fromPromise(() => Promise.resolve())

const small = setup({
  types: { context: {} as { tries: number }, events: {} as { type: 'go' } | { type: 'stop' } },
  actions: { first: () => {}, second: () => {}, count: assign({ tries: ({ context }) => context.tries + 1 }) },
  actors: { job },
  guards: { isFresh: ({ context }) => context.tries === 0, isOdd: ({ context }) => context.tries % 2 === 1 },
  delays: { waitMs: 10 },
}).createMachine({
  id: 'small',
  context: { tries: 0 },
  initial: 'idle',
  on: { stop: '.done' },
  states: {
    idle: {
      entry: ['first', 'second', 'second'],
      exit: 'first',
      on: {
        go: [{ guard: and(['isFresh', not('isOdd')]), target: 'busy', actions: 'count' }, 'idle'],
        stop: undefined,
      },
    },
    busy: {
      invoke: { id: 'job', src: 'job', onDone: 'done' },
      after: { waitMs: 'idle' },
    },
    done: { always: { guard: 'isOdd', target: 'idle' } },
  },
})

const byId = (id: string): Mutant<typeof small> => {
  const mutant = mutants(small).find((one) => one.id === id)
  if (mutant === undefined) {
    throw new Error(`no mutant ${id}`)
  }
  return mutant
}

describe('mutants of a machine', () => {
  test('are all single changes, with stable ids', () => {
    expect(mutants(small).map(({ id }) => id)).toEqual([
      'small stop #0: dropTransition',
      'small.idle entry: dropAction first[0]',
      'small.idle entry: swapActions first[0] second',
      'small.idle entry: dropAction second[1]',
      'small.idle entry: dropAction second[2]',
      'small.idle exit: dropAction first[0]',
      'small.idle go #0: dropTransition',
      'small.idle go #0: dropGuard and(isFresh, not(isOdd))',
      'small.idle go #0: negateGuard and(isFresh, not(isOdd))',
      'small.idle go #0: dropGuard and(isFresh, not(isOdd)) / isFresh',
      'small.idle go #0: dropGuard and(isFresh, not(isOdd)) / not(isOdd)',
      'small.idle go #0: dropAction count[0]',
      'small.idle go #1: dropTransition',
      'small.idle stop #0: dropTransition',
      'small.busy: dropInvoke job',
      'small.busy done(job) #0: dropTransition',
      'small.busy: dropTimer waitMs',
      'small.done always #0: dropTransition',
      'small.done always #0: dropGuard isOdd',
      'small.done always #0: negateGuard isOdd',
    ])
    expect(new Set(mutants(small).map(({ id }) => id)).size).toBe(mutants(small).length)
    expect(mutants(small, 'N')[0]?.id).toBe('N stop #0: dropTransition')
  })

  test('all build, keep the implementations and leave the original alone', () => {
    const before = JSON.stringify(small.definition)
    for (const mutant of mutants(small)) {
      const machine = mutant.build()
      expect(machine.implementations).toEqual(small.implementations)
      expect(() => createMachineStepper(machine).start()).not.toThrow()
    }
    expect(JSON.stringify(small.definition)).toBe(before)
  })

  test('do what they say', () => {
    const effectsOf = (machine: typeof small) => {
      const stepper = createMachineStepper(machine)
      const { snapshot, effects } = stepper.start()
      const names = effects.map((effect) => (effect.kind === 'action' ? effect.type : effect.kind))
      return { stepper, snapshot, names }
    }
    expect(effectsOf(byId('small.idle entry: swapActions first[0] second').build()).names).toEqual([
      'second',
      'first',
      'second',
    ])
    const idle = effectsOf(byId('small.idle go #0: negateGuard and(isFresh, not(isOdd))').build())
    expect(idle.stepper.send(idle.snapshot, { type: 'go' }).taken).toEqual(['small.idle go #1'])
    const free = effectsOf(byId('small.idle stop #0: dropTransition').build())
    expect(free.stepper.send(free.snapshot, { type: 'stop' }).taken).toEqual(['small stop #0'])
    const timeless = effectsOf(byId('small.busy: dropTimer waitMs').build())
    const busy = timeless.stepper.send(timeless.snapshot, { type: 'go' })
    expect(busy.effects.some(({ kind }) => kind === 'armTimer')).toBe(false)
    expect(timeless.stepper.view(timeless.stepper.send(busy.snapshot, doneEvent('job')).snapshot).value).toBe('idle')
  })
})

type Role = 'coordinator' | 'participant'
type RoleMutant = Mutant & { readonly role: Role }

const ofRole = (role: Role, machine: AnyStateMachine): RoleMutant[] =>
  mutants(machine).map((mutant) => ({ ...mutant, role }))

const all = [
  ...ofRole('coordinator', coordinatorMachine as AnyStateMachine),
  ...ofRole('participant', participantMachine as AnyStateMachine),
]

function worldWith(mutant: RoleMutant | undefined) {
  const world = twoPhaseWorld({ faults: 1, ...(mutant && { [mutant.role]: mutant.build() }) })
  return { world, options: { properties: twoPhaseProperties(world), limits: { states: 100_000 } } }
}

const EQUIVALENT = {
  'coordinator.preparing vote.yes #0: swapActions countVote[0] xstate.raise':
    'a raised event is processed after all actions of its transition',
}

describe('the mutation run', () => {
  test('every decision of two-phase commit is needed', () => {
    const report = runMutants({ mutants: all, worldWith, equivalent: EQUIVALENT })
    expect(report.survived).toEqual([])
    expect(report.stale).toEqual([])
    expect(report.equivalent).toHaveLength(1)
    expect(report.score).toBe(1)
    expect(report.killed).toHaveLength(all.length - 1)
    const votes = report.killed.find(({ id }) => id === 'coordinator.preparing counted #0: dropGuard everybodyVoted')
    expect(votes).toMatchObject({ by: 'ATOMIC', how: 'always' })
    expect(votes?.labels.length).toBeGreaterThan(0)
    const hook = report.killed.find(({ id }) => id === 'participant.forcing abort #0: dropTransition')
    expect(hook).toMatchObject({ by: 'DECIDES', how: 'deadEnd' })
  })

  test('survivors, stale excuses and unfinished explorations are told apart', () => {
    const one = all.filter(({ id }) => id.startsWith('coordinator.preparing vote.yes #0: swapActions'))
    expect(runMutants({ mutants: one, worldWith })).toMatchObject({ score: 0, survived: [{ complete: true }] })
    const killed = all.filter(({ id }) => id === 'coordinator: dropTimer voteTimeoutMs' || id.includes('dropTimer'))
    const excuses = { [killed[0]?.id ?? '']: 'wrong', gone: 'no such mutant' }
    expect(runMutants({ mutants: killed, worldWith, equivalent: excuses })).toMatchObject({
      score: 1,
      stale: [killed[0]?.id, 'gone'],
    })
    const short = runMutants({
      mutants: one,
      worldWith: (mutant) => {
        const trial = worldWith(mutant)
        return mutant ? { ...trial, options: { ...trial.options, limits: { states: 50 } } } : trial
      },
      equivalent: EQUIVALENT,
    })
    expect(short).toMatchObject({ score: 0, equivalent: [], survived: [{ complete: false }] })
  })

  test('an unsound original is refused', () => {
    const broken = all.find(({ id }) => id === 'coordinator: dropTimer voteTimeoutMs' || id.includes('dropTimer'))
    expect(() => runMutants({ mutants: all, worldWith: () => worldWith(broken) })).toThrow(UnsoundBaselineError)
    expect(() =>
      runMutants({
        mutants: all,
        worldWith: () => ({ ...worldWith(undefined), options: { limits: { states: 10 } } }),
      }),
    ).toThrow(/not explored completely/)
  })
})

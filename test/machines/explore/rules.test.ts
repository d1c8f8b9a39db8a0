import { describe, expect, test } from 'vitest'
import {
  type Change,
  ContractError,
  type Exploration,
  explore,
  type Property,
  type RuleSet,
  type World,
  worldOfRules,
} from '../../../machines/explore/index.js'
import { handoffInvariants, handoffSightings } from '../../../machines/handoff/invariants.js'
import { castWithout } from '../../../machines/handoff/world/decisions.js'
import { createHandoffWorld } from '../../../machines/handoff/world/handoff-world.js'
import type { WorldOptions } from '../../../machines/handoff/world/options.js'

/** An office: clerks come in while the door is open, work, and go; the door closes when nobody works. */
interface Office {
  readonly door: { readonly open: boolean; readonly closings: number }
  readonly clerks: readonly (Clerk | null)[]
}
interface Clerk {
  readonly left: number
  readonly papers: readonly string[]
}

const PLACES = [0, 1, 2]

const ruleSet = (more: Partial<RuleSet<Office>> = {}): RuleSet<Office> => ({
  shape: {
    door: { fields: ['open', 'closings'] },
    clerks: { fields: ['left', 'papers'], places: PLACES.length },
  },
  key: ({ door, clerks }) => [door, ...clerks],
  signals: ['work'],
  rules: [
    ({ door }) =>
      door.open
        ? []
        : [{ label: 'open', kind: 'trigger', covers: ['opens'], writes: [{ part: 'door', fields: { open: true } }] }],
    ...PLACES.map((place) => ({ door, clerks }: Office): Change<Office>[] => {
      const clerk = clerks[place]
      const at = { part: 'clerks', place } as const
      if (clerk == null) {
        const fields = { left: 2, papers: ['in'] }
        return door.open ? [{ label: `enter ${place}`, kind: 'trigger', writes: [{ ...at, fields }] }] : []
      }
      const fields = { left: clerk.left - 1, papers: [...clerk.papers, 'out'] }
      return [{ label: `work ${place}`, kind: 'progress', signals: ['work'], writes: [{ ...at, fields }] }]
    }),
  ],
  laterRules: [
    ({ door }, hears) =>
      door.open && door.closings < 3 && !hears('work')
        ? [
            {
              label: 'close',
              kind: 'timer',
              writes: [{ part: 'door', fields: { open: false, closings: door.closings + 1 } }],
            },
          ]
        : [],
  ],
  tidy: PLACES.map((place) => ({ clerks }: Office) => {
    return clerks[place]?.left === 0 ? [{ part: 'clerks', place, fields: null }] : []
  }),
  ...more,
})

const office = (more?: Partial<RuleSet<Office>>): World<Office> => ({
  initial: () => ({ door: { open: false, closings: 0 }, clerks: PLACES.map(() => null) }),
  ...worldOfRules(ruleSet(more)),
})

/** The same world without its rules: each state is computed whole. */
const plain = <S>(world: World<S>): World<S> => ({ ...world, steps: (state) => world.steps(state) })

const properties: Property<Office>[] = [
  { id: 'O-1', says: 'somebody is missing', kind: 'always', holds: ({ clerks }) => clerks.includes(null) || 'all in' },
  {
    id: 'O-2',
    says: 'it closes on nobody',
    kind: 'edge',
    holds: ({ clerks }, { kind }) => kind !== 'timer' || !clerks[0],
  },
  { id: 'O-3', says: 'two are in', kind: 'sometimes', holds: ({ clerks }) => clerks.filter(Boolean).length === 2 },
  { id: 'O-4', says: 'never', kind: 'sometimes', holds: ({ door }) => door.closings > 3 },
  { id: 'O-5', says: 'it opens', kind: 'sometimesEdge', holds: (_, { covers }) => covers?.includes('opens') === true },
  { id: 'O-6', says: 'nothing opens', kind: 'edge', holds: (_, { covers }) => covers?.includes('opens') !== true },
  {
    id: 'O-7',
    says: 'no door that has closed three times opens',
    kind: 'edge',
    holds: ({ door }, { next }) => door.closings < 3 || door.open || !next.door.open,
  },
  {
    id: 'O-8',
    says: 'all go home',
    kind: 'eventually',
    holds: ({ clerks, door }) => !clerks.some(Boolean) && !door.open,
  },
]

/** All that an exploration found, for comparison. */
function found<S>({ graph, stats, witness, ...rest }: Exploration<S>) {
  const { store, size, edgeCount } = graph
  const list = (numbers: { get(at: number): number }, length: number) =>
    Array.from({ length }, (_, at) => numbers.get(at))
  return {
    ...rest,
    levels: store.levels,
    offsets: list(store.offsets, size),
    parents: list(store.parentEdges, size),
    marks: list(store.marks, size),
    targets: list(store.targets, edgeCount),
    labels: list(store.edgeLabels, edgeCount).map((label) => store.labels[label]?.name),
    covers: list(store.edgeCovers, edgeCount).map((covers) => store.coverSets[covers]),
    witnesses: ['O-3', 'O-5', 'committed', 'failover'].map((id) => witness(id)),
  }
}

describe('a world of rules', () => {
  test('is explored as if each of its states were computed whole', () => {
    const marks = { open: ({ door }: Office) => door.open }
    const byRules = explore(office(), { properties, marks })
    expect(found(byRules)).toEqual(found(explore(plain(office()), { properties, marks })))
    expect(byRules.violations.map(({ property }) => property)).toEqual(['O-6', 'O-1', 'O-7', 'O-8'])
    expect(byRules.unwitnessed).toEqual(['O-4'])
  })

  test.each<[string, WorldOptions]>([
    ['one fault', { swaps: 1, faults: 1, restarts: 1, probation: true }],
    ['a connection', { swaps: 1, connections: 1 }],
    ['an operator', { swaps: 1, orders: 1, restarts: 1 }],
    ['free timers', { swaps: 0, faults: 1, rehearsals: 1, timers: 'free', slots: 7 }],
    ['a peer that breaks the protocol', { swaps: 1, faults: 1, faultKinds: ['strange', 'meddling'] }],
    ['a decision taken out', { swaps: 1, faults: 1, restarts: 1, cast: castWithout(['reopen']) }],
  ])('and so is the handoff: %s', (_name, options) => {
    const world = createHandoffWorld(options)
    const all = [...handoffInvariants(world), ...handoffSightings(world)]
    expect(found(explore(world, { properties: all }))).toEqual(found(explore(plain(world), { properties: all })))
  })

  test('asks a rule only what it was not asked before', () => {
    let asked = 0
    const counted = ruleSet().rules.map((rule) => (state: Office) => {
      asked += 1
      return rule(state)
    })
    const { states } = explore(office({ rules: counted }))
    // The door knows open and closed; each place empty or not, and the door, or how much is left and what was written.
    expect(states).toBe(112)
    expect(asked).toBe(2 + PLACES.length * (2 + 2))
  })

  test('keeps whole states only when asked to', () => {
    const { graph } = explore(office(), { keepStates: true })
    expect(graph.state(0)).toEqual(office().initial())
    expect([...graph.states()].map(([, state]) => state)).toEqual(
      [...explore(plain(office())).graph.states()].map(([, state]) => state),
    )
  })

  test('is an ordinary world once its steps or its key are replaced', () => {
    const shut: World<Office> = { ...office(), steps: () => [] }
    expect(explore(shut).states).toBe(1)
    const coarse: World<Office> = { ...office(), key: ({ door }) => [door.open] }
    expect(explore(coarse).states).toBe(2)
  })
})

describe('mistakes of a world of rules', () => {
  const withRule = (rule: RuleSet<Office>['rules'][number]) => office({ rules: [...ruleSet().rules, rule] })
  const offering = (change: Partial<Change<Office>>) =>
    withRule(() => [{ label: 'wrong', kind: 'progress', writes: [], ...change }])

  test('a rule that throws is a violation, as anywhere', () => {
    const world = withRule(({ clerks }) => {
      if (clerks[1]?.left === 1) throw new RangeError('no chair')
      return []
    })
    const byRules = found(explore(world))
    expect(byRules).toEqual(found(explore(plain(world))))
    expect(byRules.violations).toMatchObject([{ property: 'exception', detail: 'no chair' }])
  })

  test('a property that throws is one, too', () => {
    const holds = ({ clerks }: Office) => {
      if (clerks[1]?.left === 1) throw new RangeError('no chair')
      return true
    }
    const throwing: Property<Office>[] = [{ id: 'O-9', says: 'it can be said', kind: 'always', holds }]
    const { violations } = explore(office(), { properties: throwing })
    expect(violations).toEqual(explore(plain(office()), { properties: throwing }).violations)
    expect(violations).toMatchObject([{ property: 'exception', detail: 'no chair' }])
  })

  test.each<[string, World<Office>, RegExp]>([
    [
      'looking at a field that is not declared',
      withRule((state) => ((state.door as unknown as { lock: number }).lock > 0 ? [] : [])),
      /'lock'/,
    ],
    ['writing one', offering({ writes: [{ part: 'door', fields: { lock: 1 } }] }), /'lock' is no field of 'door'/],
    ['emptying a part that is no place', offering({ writes: [{ part: 'door', fields: null }] }), /cannot be empty/],
    [
      'changing a place that is not there',
      offering({ writes: [{ part: 'clerks', place: 3, fields: {} }] }),
      /not there/,
    ],
    ['changing who is not there', offering({ writes: [{ part: 'clerks', fields: { left: 1 } }] }), /without 'papers'/],
    ['a signal that is not declared', offering({ signals: ['noise'] }), /no signal 'noise'/],
  ])('%s', (_name, world, message) => {
    expect(() => explore(world)).toThrow(ContractError)
    expect(() => explore(world)).toThrow(message)
  })

  test('a part of the watched state as a value', () => {
    const world = withRule(({ door }) => [
      { label: 'wrong', kind: 'progress', writes: [{ part: 'clerks', fields: { left: 1, papers: door } }] },
    ])
    expect(() => explore(world)).toThrow(/cannot be part of an explored state|no field/)
  })

  test('a rule that is no function of the state', () => {
    let calls = 0
    const world = withRule(({ door, clerks }) => {
      calls += 1
      if (calls > 1) void door.closings
      else void clerks[0]
      return []
    })
    expect(() => explore(world)).toThrow(/no function of the state/)
  })
})

import { describe, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import {
  type Alphabet,
  aloneWorld,
  behaveAlike,
  type Contract,
  explore,
  mutants,
} from '../../../machines/explore/index.js'

const lamp = setup({
  types: { events: {} as { type: 'pressed' }, context: {} as { presses: number; seen: boolean } },
  actions: {
    light: () => {},
    note: assign({ seen: true }),
    count: assign({ presses: ({ context }) => (context.presses + 1) % 2 }),
  },
  delays: { burnMs: 1_000 },
}).createMachine({
  id: 'lamp',
  context: { presses: 0, seen: false },
  initial: 'off',
  states: {
    off: { on: { pressed: { target: 'on', actions: ['light', 'note', 'count'] } } },
    on: { after: { burnMs: 'off' } },
  },
})

const alphabet: Alphabet<typeof lamp> = { inputs: [undefined as never], events: [{ type: 'pressed' }], outputs: {} }

const lit: Contract<{ on: boolean }> = {
  id: 'LIT',
  says: 'it is lit by the first press only',
  holds: ({ on }, { event, effects }) =>
    effects.some((effect) => effect.kind === 'action' && effect.type === 'light') === (event.type === 'pressed' && !on),
}

const role = (limitMs: number) => ({
  machine: lamp,
  alphabet,
  memory: {
    first: { on: false },
    after: ({ on }: { on: boolean }, { event }: { event: { type: string } }) => ({
      on: event.type === 'pressed' || (on && !event.type.startsWith('xstate.after')),
    }),
  },
  contracts: [lit],
  silence: { says: 'it burns for a second', rests: ({ on }: { on: boolean }) => !on, limitMs: () => limitMs },
})

const broken = (limitMs: number, machine: typeof lamp = lamp) => {
  const world = aloneWorld(role(limitMs), machine)
  return explore(world, { properties: world.properties }).violations.map(({ property, detail }) => [property, detail])
}

const mutant = (id: string) => {
  const found = mutants(lamp).find((one) => one.id === id)
  if (found === undefined) throw new Error(`no mutant ${id}`)
  return found.build()
}

describe('a machine alone', () => {
  test('keeps a contract over events and effects, and ends silence in time', () => {
    expect(broken(1_000)).toEqual([])
  })

  test('is found out by an effect, by a clock that is too slow, and by one that is gone', () => {
    expect(broken(1_000, mutant('lamp.off pressed #0: dropAction light[0]'))).toContainEqual(['LIT', undefined])
    expect(broken(999)).toContainEqual(['SILENCE', 'longer than 999 ms'])
    expect(broken(1_000, mutant('lamp.on: dropTimer burnMs'))).toContainEqual(['SILENCE', 'no clock leads out'])
  })
})

describe('two machines', () => {
  const shows = () => null

  test('are alike when no sequence of events tells them apart, however their contexts differ', () => {
    expect(behaveAlike(lamp, mutant('lamp.off pressed #0: swapActions light[0] note'), alphabet, shows)).toBe(true)
    expect(behaveAlike(lamp, mutant('lamp.off pressed #0: dropAction count[2]'), alphabet, shows)).toBe(true)
  })

  test('are told apart by an effect, a transition, a clock, and by what outsiders see', () => {
    for (const id of [
      'lamp.off pressed #0: dropAction light[0]',
      'lamp.off pressed #0: dropTransition',
      'lamp.on: dropTimer burnMs',
    ])
      expect([id, behaveAlike(lamp, mutant(id), alphabet, shows)]).toEqual([id, false])
    const counts = mutant('lamp.off pressed #0: dropAction count[2]')
    expect(behaveAlike(lamp, counts, alphabet, ({ context }) => context.presses)).toBe(false)
  })
})

import { describe, expect, test } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import { unboundName } from '../../../machines/effects.js'
import { type Alphabet, aloneWorld, explore } from '../../../machines/explore/index.js'
import {
  greetingAlphabet,
  incumbentAlphabet,
  successorAlphabet,
  supervisorAlphabet,
  swapAlphabet,
} from '../../../machines/handoff/alphabets.js'
import { greetingMachine } from '../../../machines/handoff/greeting.machine.js'
import { incumbentMachine } from '../../../machines/handoff/incumbent.machine.js'
import { successorMachine } from '../../../machines/handoff/successor.machine.js'
import { supervisorMachine } from '../../../machines/handoff/supervisor.machine.js'
import { swapMachine } from '../../../machines/handoff/swap.machine.js'

const machines: [string, AnyStateMachine, Alphabet<never>][] = [
  ['incumbent', incumbentMachine, incumbentAlphabet as unknown as Alphabet<never>],
  ['successor', successorMachine, successorAlphabet as unknown as Alphabet<never>],
  ['greeting', greetingMachine, greetingAlphabet as unknown as Alphabet<never>],
  ['swap', swapMachine, swapAlphabet as unknown as Alphabet<never>],
  ['supervisor', supervisorMachine, supervisorAlphabet as unknown as Alphabet<never>],
]

/** Pure context updates stay in the machine; everything else must come from a door. */
const isPure = (name: string) => /^(note|count|clear(Failures)|cancelFor|forget)/.test(name)

const NOTHING = { first: null, after: () => null }

describe.each(machines)('%s', (_name, machine, alphabet) => {
  test('leaves every effect unbound, and loud, until a door binds it', () => {
    const { actions, actors } = machine.implementations
    const bound = Object.entries({ ...actions, ...actors })
      .filter(([name, implementation]) => !isPure(name) && unboundName(implementation) !== name)
      .map(([name]) => name)
    // The supervisor's swap is a machine of its own, and unbound in itself.
    expect(bound).toEqual(machine === supervisorMachine ? ['swap'] : [])
  })

  test('has no state and no transition that nothing reaches', () => {
    const result = explore(aloneWorld({ machine, alphabet: alphabet as never, memory: NOTHING, contracts: [] }))
    expect(result).toMatchObject({ complete: true, violations: [] })
    expect(result.coverage.missing).toEqual([])
  })
})

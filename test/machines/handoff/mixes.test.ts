import { describe, expect, test, vi } from 'vitest'
import { checkMix, MIXES } from '../../../machines/handoff/world/mixes.js'

// Pure computation: how long it takes says something about the machine it runs on alone.
vi.setConfig({ testTimeout: 600_000 })

const mixOf = (name: string) => {
  const mix = MIXES[name]
  if (mix === undefined) throw new Error(`there is no mix '${name}'`)
  return mix
}

describe('beside a reference peer, what must hold holds, and what cannot has its counterexample', () => {
  test.each(['our supervisor, reference primitives', 'our supervisor, our primitive first, then theirs, then ours'])(
    '%s',
    (name) => {
      const { exploration, unexpected, outdated } = checkMix(mixOf(name))
      expect(unexpected.map(({ property, detail, faults }) => [property, detail, faults])).toEqual([])
      expect(outdated).toEqual([])
      expect(exploration).toMatchObject({ complete: true, unwitnessed: [] })
    },
  )

  test('a reference supervisor, our primitives: no lost write, no closed listener, no mute incumbent', () => {
    const { options, cannotHold } = mixOf('a reference supervisor, our primitives')
    const { exploration, unexpected, outdated } = checkMix({ options: { ...options, swaps: 1 }, cannotHold })
    expect(unexpected.map(({ property, detail, faults }) => [property, detail, faults])).toEqual([])
    // This one takes a second swap.
    expect(outdated).toEqual(['INV-06 a process is left behind'])
    expect(exploration).toMatchObject({ complete: true, unwitnessed: [] })
    for (const id of ['INV-01', 'INV-02', 'INV-03', 'INV-04', 'INV-05', 'INV-10', 'INV-11'])
      expect(Object.keys(cannotHold).filter((breach) => breach.startsWith(id))).toEqual([])
  })

  test('every mix says why each breach cannot be helped', () => {
    for (const { cannotHold } of Object.values(MIXES))
      for (const [breach, reason] of Object.entries(cannotHold))
        expect([breach, reason.length > 20]).toEqual([breach, true])
  })
})

import { describe, expect, test } from 'vitest'
import { aloneWorld, explore, mutants, type RoleContract } from '../../../machines/explore/index.js'
import {
  greetingContract,
  incumbentContract,
  successorContract,
  supervisorContract,
  swapContract,
} from '../../../machines/handoff/contracts/index.js'
import { EQUIVALENT } from '../../../machines/handoff/equivalent.js'
import { mutateRole } from '../../../machines/handoff/mutation.js'

const contracts = {
  greeting: greetingContract,
  successor: successorContract,
  incumbent: incumbentContract,
  swap: swapContract,
  supervisor: supervisorContract,
} as unknown as Record<string, RoleContract<never, unknown>>

describe('alone against everything', () => {
  test.each(Object.entries(contracts))(
    'the %s keeps its contract, and every part of it is needed',
    (_name, contract) => {
      const world = aloneWorld(contract)
      const { complete, violations, coverage } = explore(world, { properties: world.properties })
      expect(
        violations.map(({ property, detail, path }) => [property, detail, path.steps.map(({ label }) => label)]),
      ).toEqual([])
      expect(complete).toBe(true)
      // A transition that only an impossible company could take would be one too many.
      expect(coverage.missing).toEqual([])
    },
  )
})

describe('a decision that is taken away is noticed', () => {
  test('every one of the greeting, in full', () => {
    const { score, survived, same } = mutateRole('greeting')
    expect({ score, survived, same }).toEqual({ score: 1, survived: [], same: [] })
  })

  test.each([
    ['supervisor', 'supervisor.starting.spawning done(startPrimitive) #0: dropTransition'],
    ['supervisor', 'supervisor.serving.rehearsing exit: dropAction endRehearsed[0]'],
    ['supervisor', 'supervisor.serving.rehearsing.awaitingHello rehearsed.violatedProtocol #0: dropTransition'],
    ['swap', 'swap.attempting.opening.listening: dropTimer livenessMs'],
    ['swap', 'swap.attempting incumbent.violatedProtocol #0: dropTransition'],
    ['swap', 'swap.undoing.endingSuccessor entry: swapActions'],
    ['incumbent', 'incumbent.sealing done(seal) #2: swapActions'],
    ['incumbent', 'incumbent.drained: dropTimer decisionOverdueMs'],
    ['incumbent', 'incumbent.serving entry: dropAction takeConnectionsBack'],
    ['incumbent', 'incumbent.serving entry: dropAction adoptConnections'],
    ['incumbent', 'supervisor.violatedProtocol #0: dropTransition'],
    ['successor', 'successor.taking.acquiringLock entry: dropAction startHeartbeat[0]'],
    ['successor', 'successor.taking.ready always #0: dropGuard isOrphaned'],
  ] as const)('%s: %s', (role, only) => {
    const { killed, survived } = mutateRole(role, { only })
    expect(survived).toEqual([])
    expect(killed.length).toBeGreaterThan(0)
    expect(killed.every(({ in: where }) => where === 'contract')).toBe(true)
  })

  test('two notes in the other order are proven to be the same', () => {
    const { same, survived } = mutateRole('successor', { only: 'error(prepare) #0: swapActions' })
    expect({ same: same.length, survived }).toEqual({ same: 1, survived: [] })
  })

  test('what is listed as equivalent is a mutant that exists', () => {
    for (const [role, list] of Object.entries(EQUIVALENT)) {
      const ids = mutants((contracts[role] as RoleContract<never, unknown>).machine, role).map(({ id }) => id)
      expect(ids).toEqual(expect.arrayContaining(Object.keys(list)))
    }
  })
})

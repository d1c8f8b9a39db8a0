import { describe, expect, test } from 'vitest'
import { unboundName } from '../../machines/effects.js'
import { greetingMachine } from '../../machines/handoff/greeting.machine.js'
import { bindIncumbent } from '../../src/daemon/bind-incumbent.js'
import { bindSuccessor } from '../../src/daemon/bind-successor.js'
import type { DaemonCore } from '../../src/daemon/core.js'
import { bindSupervisor } from '../../src/supervisor/bind-supervisor.js'
import { bindSwap } from '../../src/supervisor/bind-swap.js'
import type { SupervisorCore } from '../../src/supervisor/core.js'

interface Implementations {
  readonly actions: Readonly<Record<string, unknown>>
  readonly actors: Readonly<Record<string, unknown>>
}

/** Effects that nobody replaced: an unbound actor would look like an ordinary rollback in production. */
function leftovers(machine: { readonly implementations: unknown }): string[] {
  const { actions, actors } = machine.implementations as Implementations
  return [...Object.values(actions), ...Object.values(actors)].flatMap(
    (implementation) => unboundName(implementation) ?? [],
  )
}

// Binding touches nothing of the core; running would.
const daemon = new Proxy({}, { get: () => ({}) }) as unknown as DaemonCore
const supervisor = new Proxy({}, { get: () => ({}) }) as unknown as SupervisorCore

describe('every effect of every machine is bound by its door', () => {
  test('incumbent', () => expect(leftovers(bindIncumbent(daemon))).toEqual([]))
  test('successor', () => expect(leftovers(bindSuccessor(daemon, {} as never))).toEqual([]))
  test('swap', () => expect(leftovers(bindSwap(() => ({}) as never))).toEqual([]))
  test('supervisor', () => expect(leftovers(bindSupervisor(supervisor))).toEqual([]))
  test('the walk finds what is not bound', () => {
    expect(leftovers(greetingMachine)).toEqual(['sendHello', 'sendHeartbeat'])
  })
})

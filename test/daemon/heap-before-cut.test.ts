/** What a rehearsal leaves behind is collected before the cut: by who serves so that its clients do not wait for it. */
import { expect, test } from 'vitest'
import { type AnyActorLogic, createActor, toPromise } from 'xstate'
import { bindIncumbent } from '../../src/daemon/bind-incumbent.js'
import { bindSuccessor } from '../../src/daemon/bind-successor.js'
import type { DaemonCore } from '../../src/daemon/core.js'

function noting() {
  const calls: string[] = []
  const note = (name: string) => () => void calls.push(name)
  const later = (name: string) => async () => {
    await new Promise((resolve) => setImmediate(resolve))
    calls.push(name)
  }
  const core = {
    moves: { copy: later('copy') },
    state: { prepare: later('prepare') },
    surroundings: { rehearse: later('rehearse'), collect: (kind: string) => calls.push(`collect ${kind}`) },
    noting: (_hook: string, running: Promise<void>) => running,
    stage: note('stage'),
    policy: { heartbeatPeriodMs: 1_000 },
  }
  return { calls, core: core as unknown as DaemonCore }
}

async function run(machine: { readonly implementations: unknown }, name: string, input: object): Promise<void> {
  const { actors } = machine.implementations as { actors: { readonly [name: string]: AnyActorLogic } }
  await toPromise(createActor(actors[name] as AnyActorLogic, { input }).start())
}

test('the incumbent collects the young generation alone, once it has rehearsed and copied', async () => {
  const { calls, core } = noting()
  await run(bindIncumbent(core), 'copyConnections', { successorPid: null })
  expect(calls.slice(0, 2).sort()).toEqual(['copy', 'rehearse'])
  expect(calls.slice(2)).toEqual(['collect young'])
})

test('the successor collects everything, behind what its prepare leaves', async () => {
  const { calls, core } = noting()
  const channel = { startBeating() {}, stopBeating() {} }
  await run(bindSuccessor(core, channel as never), 'prepare', {})
  expect(calls).toEqual(['rehearse', 'prepare', 'stage', 'collect whole'])
})

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, test } from 'vitest'
import { type DiagnosticChannel, publish } from '../../src/observe/diagnostics.js'
import { World } from '../process/harness.js'

const off: (() => void)[] = []
afterEach(() => {
  for (const leave of off.splice(0)) leave()
})
function listen(name: DiagnosticChannel): unknown[] {
  const heard: unknown[] = []
  const hear = (message: unknown) => heard.push(message)
  subscribe(name, hear)
  off.push(() => unsubscribe(name, hear))
  return heard
}

describe('diagnostics_channel', () => {
  test('without a subscriber no message is made', () => {
    publish('handoff:serving', () => {
      throw new Error('it was made')
    })
  })

  test('a swap, a rollback and a rehearsal are told: start, each phase once, the end, and who serves', async () => {
    const [starts, phases, ends, serving, rehearsals] = [
      listen('handoff:swap.start'),
      listen('handoff:swap.phase') as { phase: string; handoffId: string; parked?: number }[],
      listen('handoff:swap.end') as { handoffId: string; result: string }[],
      listen('handoff:serving') as { incumbent: { pid: number } | null }[],
      listen('handoff:rehearsal.end'),
    ]
    await using world = await World.start()
    const before = await world.incumbentPid()
    const committed = await world.swap({ id: 'v2' })
    const undone = await world.swap({ behave: { begin: 'throw' } })
    const report = await world.rehearse()
    await new Promise((resolve) => setImmediate(resolve))
    expect(starts).toEqual([
      { handoffId: committed.handoffId, incumbent: expect.objectContaining({ pid: before }) },
      { handoffId: undone.handoffId, incumbent: expect.objectContaining({ pid: committed.incumbent?.pid }) },
    ])
    expect(ends).toEqual([committed, undone])
    const told = (id: string) => phases.filter(({ handoffId }) => handoffId === id).map(({ phase }) => phase)
    expect(told(committed.handoffId)).toEqual(committed.phases.map(({ name }) => name).filter((n) => n !== 'requested'))
    expect(phases.find(({ phase }) => phase === 'seal')?.parked).toBe(0)
    expect(serving.map(({ incumbent }) => incumbent?.pid)).toEqual([before, committed.incumbent?.pid])
    expect(rehearsals).toEqual([report])
  }, 180_000)
})

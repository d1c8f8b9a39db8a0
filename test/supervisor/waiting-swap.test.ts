import { afterEach, expect, test } from 'vitest'
import { isAlive } from '../../src/os/processes.js'
import { Rig, tryKill, until } from './rig.js'

let made: Rig | null = null
afterEach(async () => {
  await made?.end()
  made = null
})

test('a swap that waits for a retired program to end begins with that program when it serves again', async () => {
  const rig = await Rig.create({ toml: 'linger_secs = 60' })
  made = rig
  await rig.start()
  const first = (await rig.get()).pid
  rig.build('v2', 'slow-open=500')
  await rig.beginSwap()
  await until(() => rig.told().includes('handoff.seal_complete') || null)
  // The second program takes over without a supervisor; the first one is parked, and stopped before it knows that.
  tryKill(first, 'SIGSTOP')
  await rig.killSupervisor()
  rig.build('v3')
  await rig.start()
  const { pid: supervisor, incumbent } = await rig.status()
  expect(incumbent).toMatchObject({ buildId: 'v2' })
  const { ended } = await rig.beginSwap()
  await until(async () => ((await rig.status()).state === 'clearing' ? true : null))
  // Now the second one dies and the first one finds the lock free, both before the supervisor hears of anything.
  tryKill(supervisor, 'SIGSTOP')
  const second = incumbent?.pid as number
  tryKill(second, 'SIGKILL')
  await until(() => !isAlive(second) || null)
  tryKill(first, 'SIGCONT')
  await until(async () => ((await rig.get().catch(() => null))?.pid === first ? true : null))
  tryKill(supervisor, 'SIGCONT')
  expect(await ended).toMatchObject({
    result: 'committed',
    previous: { pid: first, buildId: 'v1' },
    incumbent: { buildId: 'v3' },
  })
  expect((await rig.get()).buildId).toBe('v3')
})

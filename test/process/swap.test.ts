import { expect, test } from 'vitest'
import { World } from './harness.js'

test('a swap commits under load: no client notices, exactly one process serves, nothing is left over', async () => {
  await using world = await World.start()
  const clients = await world.clients()
  const before = await world.incumbentPid()
  const outcome = await world.swap()
  expect(outcome).toMatchObject({ result: 'committed', code: null, reason: null, previous: { pid: before } })
  const pid = outcome.incumbent?.pid
  expect(pid).not.toBe(before)
  expect(await world.facts()).toEqual({ accepts: pid, answers: pid, holdsLock: [pid], known: pid })
  await clients.answered()
  await clients.expectUnnoticed()
})

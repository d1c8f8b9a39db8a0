import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { isAlive } from '../../src/os/processes.js'
import { Clients } from './clients.js'
import { Rig, tryKill, until, zombiesOf } from './rig.js'

const rigs: Rig[] = []
async function rig(...args: Parameters<typeof Rig.create>): Promise<Rig> {
  const made = await Rig.create(...args)
  rigs.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(rigs.splice(0).map((made) => made.end()))
})

const child = (made: Rig) => made.supervisor as NonNullable<typeof made.supervisor>

describe('a program that dies', () => {
  test('is started again while its clients wait: nobody is refused (INV-04), no zombie stays', async () => {
    const made = await rig()
    await made.start()
    const clients = new Clients(made.port)
    for (let round = 0; round < 3; round++) {
      const { pid } = await made.get()
      await clients.answered(10)
      tryKill(pid, 'SIGKILL')
      await until(async () => ((await made.served()).incumbent?.pid !== pid ? true : null))
    }
    await clients.answered(10)
    const tally = await clients.finish()
    expect(tally).toMatchObject({ refused: 0, writesLost: 0, writesDuplicated: 0 })
    const { restarts, pid } = await made.status()
    expect(restarts).toBe(3)
    await until(() => zombiesOf(pid).length === 0 || null)
  })

  test('again and again: the pauses grow, it is called a crash loop, and a swap to a good build mends it at once', async () => {
    const limits = [
      'respawn_backoff_ms = 1',
      'crash_loop_limit = 3',
      'respawn_backoff_max_secs = 3600',
      'stable_secs = 0.1',
    ]
    const made = await rig({ toml: limits.join('\n') })
    await made.start()
    const waiting: Promise<unknown>[] = []
    made.build('broken', 'crash-before-ready')
    tryKill((await made.get()).pid, 'SIGKILL')
    await until(async () => ((await made.status()).state === 'pausing.crashLooping' ? true : null))
    expect((await made.status()).incumbent).toBeNull()
    waiting.push(made.get()) // it waits in the listener's queue
    made.build('mended')
    expect(await made.swap()).toMatchObject({ result: 'committed', incumbent: { buildId: 'mended' } })
    expect(await Promise.all(waiting)).toEqual([expect.objectContaining({ buildId: 'mended' })])
    // The count is cleared once it has held, and the mended build is what is started from now on.
    await until(async () => ((await made.status()).state === 'serving.stable' ? true : null))
    tryKill((await made.get()).pid, 'SIGKILL')
    expect((await made.get()).buildId).toBe('mended')
  })

  test('that hangs in its start is replaced by the build that is asked for, once it has failed before', async () => {
    const made = await rig({ toml: 'respawn_backoff_ms = 1' })
    await made.start()
    made.build('hangs', 'hang')
    tryKill((await made.get()).pid, 'SIGKILL')
    const hung = await until(() => {
      const others = made.living().filter((pid) => pid !== child(made).pid)
      return others.length === 1 ? (others[0] as number) : null
    })
    await until(async () => ((await made.status()).state === 'starting.confirming' ? true : null))
    made.build('good')
    expect(await made.swap()).toMatchObject({ result: 'committed', incumbent: { buildId: 'good' } })
    expect(isAlive(hung)).toBe(false)
  })

  test('stopped between two starts: it ends at once and leaves nothing, no journal either', async () => {
    const made = await rig({ toml: 'respawn_backoff_ms = 1\nrespawn_backoff_max_secs = 3600\ncrash_loop_limit = 2' })
    await made.start()
    made.build('broken', 'crash-before-ready')
    tryKill((await made.get()).pid, 'SIGKILL')
    await until(async () => ((await made.status()).state === 'pausing.crashLooping' ? true : null))
    expect(made.leftFiles()).toContain('journal') // of the start that failed, for whoever comes after a kill
    const exited = once(child(made), 'exit')
    child(made).kill('SIGTERM')
    expect(await exited).toEqual([0, null])
    expect(made.living()).toEqual([])
    // A program that was killed could not take its sockets away; the next one does.
    expect(made.leftFiles().filter((name) => !name.startsWith('control.sock'))).toEqual([])
  })

  test('a swap to a broken build in a crash loop says that nobody serves', async () => {
    const made = await rig({ toml: 'respawn_backoff_ms = 50' })
    await made.start()
    made.build('broken', 'crash-before-ready')
    tryKill((await made.get()).pid, 'SIGKILL')
    await until(async () => ((await made.status()).incumbent === null ? true : null))
    expect(await made.swap()).toMatchObject({ result: 'nobodyServes', incumbent: null })
  })
})

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s stops in order: requests are finished, exit 0, nothing is left',
    async (signal) => {
      const made = await rig()
      await made.start()
      const slow = made.get('/slow?ms=300')
      await until(async () => ((await made.status()).listeners[0]?.queued === 0 ? true : null))
      await made.get() // behind it in the queue: the slow one has been accepted
      const exited = once(child(made), 'exit')
      child(made).kill(signal)
      expect(await slow).toEqual({ sleptMs: 300 })
      expect(await exited).toEqual([0, null])
      expect(made.living()).toEqual([])
      expect(made.leftFiles()).toEqual([])
    },
  )

  test('a second one ends at once a program that does not', async () => {
    const made = await rig()
    await made.start()
    const { pid } = await made.get()
    tryKill(pid, 'SIGSTOP') // whatever a program may do with SIGTERM, this one does nothing
    const exited = once(child(made), 'exit')
    child(made).kill('SIGTERM')
    await until(() => (made.told().includes('stopping in order') ? true : null))
    child(made).kill('SIGTERM')
    expect(await exited).toEqual([0, null])
    expect(isAlive(pid)).toBe(false)
    expect(made.living()).toEqual([])
  })

  test('in mid-swap a stop waits for the verdict, then stops the one that serves; a second one takes both', async () => {
    const made = await rig()
    made.build('v1', 'slow-seal=600')
    await made.start()
    made.build('v2')
    await made.beginSwap()
    await until(() => (made.told().includes('handoff.seal') ? true : null))
    const exited = once(child(made), 'exit')
    child(made).kill('SIGTERM')
    expect(await exited).toEqual([0, null])
    expect(made.told()).toContain('ERR_HANDOFF_CANCELLED')
    expect(made.living()).toEqual([])
    expect(made.leftFiles()).toEqual([])

    const other = await rig()
    other.build('v1', 'slow-seal=60000')
    await other.start()
    other.build('v2')
    await other.beginSwap()
    await until(() => (other.told().includes('handoff.seal') ? true : null))
    const ended = once(child(other), 'exit')
    child(other).kill('SIGTERM')
    await until(() => (other.told().includes('a signal asks for an orderly stop') ? true : null))
    child(other).kill('SIGINT')
    expect(await ended).toEqual([0, null])
    expect(other.living()).toEqual([])
  })

  test('leaving in mid-swap waits for the verdict, and the one that serves is adopted by the next', async () => {
    const made = await rig()
    made.build('v1', 'slow-drain=300')
    await made.start()
    made.build('v2')
    const { ended } = await made.beginSwap()
    const exited = once(child(made), 'exit')
    await made.leave()
    expect(await ended).toMatchObject({ result: 'committed' })
    expect(await exited).toEqual([0, null])
    expect((await made.get()).buildId).toBe('v2')
    await made.start()
    expect((await made.status()).incumbent).toMatchObject({ buildId: 'v2' })
  })

  test('SIGHUP reads the config again: limits and the next start change, what cannot is named, a broken file changes nothing', async () => {
    const made = await rig({ toml: 'env = [["KV_FAULT", ""]]' })
    await made.start()
    const hup = async (says: string) => {
      const before = made.told().length
      child(made).kill('SIGHUP')
      await until(() => (made.told().slice(before).includes(says) ? true : null))
      return made.told().slice(before)
    }
    made.configure('env = [["KV_FAULT", "unhealthy"]]\nallowed_uids = [12345]')
    expect(await hup('the config was read again')).toContain('"level":30')
    expect(await made.swap()).toMatchObject({ code: 'ERR_HANDOFF_SUCCESSOR_UNHEALTHY' })

    made.configure('deadline_secs = 0.2\nboot_secs = 0.1')
    await hup('the config was read again')
    expect(await made.swap()).toMatchObject({ code: 'ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT' })

    made.listeners = '[]'
    made.configure()
    expect(await hup('needs `handoff stop --leave`')).toContain('"unchanged":["listeners"]')
    expect((await made.status()).listeners).toHaveLength(1)

    writeFileSync(join(made.dir, 'handoff.toml'), 'binary = ')
    await hup('everything stays as it was')
    expect((await made.get()).buildId).toBe('v1')
  })
})

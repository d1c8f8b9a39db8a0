/** Disks that are full or read-only: a swap that cannot be recorded is not begun, and nothing acknowledged is lost. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { until, World } from './harness.js'

/** A small file system of its own where this user may mount one; elsewhere null, and the tests use what any user can do. */
class SmallDisk implements Disposable {
  private constructor(readonly path: string) {}

  static mount(path: string, size: string): SmallDisk | null {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'none', path], { stdio: 'ignore' })
      return new SmallDisk(path)
    } catch {
      return null
    }
  }

  /** Until not one byte more fits. */
  fill(): void {
    const fd = openSync(join(this.path, 'ballast'), 'a')
    try {
      for (const size of [4096, 1]) {
        try {
          while (writeSync(fd, Buffer.alloc(size)) === size);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
    } finally {
      closeSync(fd)
    }
  }

  free(): void {
    rmSync(join(this.path, 'ballast'))
  }

  remount(how: 'ro' | 'rw'): void {
    execFileSync('mount', ['-o', `remount,${how}`, this.path])
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['-l', this.path])
  }
}

describe('a journal that cannot be written', () => {
  /** Breaks it, and mends it again. */
  type Trouble = (disk: SmallDisk | null, directory: string) => () => void
  const blocked: Trouble = (_disk, directory) => {
    rmSync(directory, { recursive: true })
    writeFileSync(directory, '')
    return () => {
      rmSync(directory)
      mkdirSync(directory)
    }
  }

  test.each<[string, Trouble]>([
    [
      'for the disk is full',
      (disk, directory) => {
        if (disk === null) return blocked(disk, directory)
        disk.fill()
        return () => disk.free()
      },
    ],
    [
      'for the disk is read-only',
      (disk, directory) => {
        if (disk === null) return blocked(disk, directory)
        disk.remount('ro')
        return () => disk.remount('rw')
      },
    ],
  ])(
    '%s: the swap is refused before anything happens, and the next one after the cure commits',
    async (_why, trouble) => {
      const world = World.empty()
      const directory = join(world.dir, 'gate-disk')
      mkdirSync(directory)
      {
        using disk = SmallDisk.mount(directory, '64k')
        await world.supervise({ journal: join(directory, 'journal') })
        const incumbent = await world.incumbentPid()
        const clients = await world.clients()
        const mend = trouble(disk, directory)
        const outcome = await world.swap()
        expect(outcome).toMatchObject({
          result: 'rolledBack',
          code: 'ERR_HANDOFF_JOURNAL_WRITE',
          incumbent: { pid: incumbent },
        })
        expect(outcome.reason).toMatch(/the supervisor could not write its journal: .*(ENOSPC|EROFS|ENOTDIR)/)
        expect(world.story({ pid: incumbent, hook: 'seal' })).toEqual([])
        expect(world.story({ build: 'v2' })).toEqual([])
        mend()
        expect(await world.swap()).toMatchObject({ result: 'committed' })
        await clients.expectUnnoticed()
        await world.supervisor.stop()
      }
      await world[Symbol.asyncDispose]()
    },
  )
})

test('a store on a full disk: reads go on, the outcome of a swap is true, and with room again every acknowledged write is there', async () => {
  const world = World.empty({ program: 'kv', policy: { respawnBackoffMaxMs: 300 } })
  {
    using disk = SmallDisk.mount(world.dataDir, '4m')
    await world.supervise()
    const acknowledged = new Map<string, string>()
    const write = async (key: string): Promise<number> => {
      const { host, port } = await world.target()
      const response = await fetch(`http://${host}:${port}/kv/${key}`, { method: 'PUT', body: `value of ${key}` })
      await response.arrayBuffer()
      if (response.status === 200) acknowledged.set(key, `value of ${key}`)
      return response.status
    }
    expect(await write('before')).toBe(200)
    if (disk !== null) {
      disk.fill()
      // What LevelDB had set aside may still take a few.
      let status = 200
      for (let n = 0; status === 200; n += 1) status = await write(`squeezed-${n}-${'x'.repeat(2_000)}`)
      expect(status).toBe(503)
    }
    const outcome = await world.swap()
    if (outcome.result !== 'nobodyServes') {
      expect((await world.root()).pid).toBe(outcome.incumbent?.pid)
      expect((await world.hello())?.pid).toBe(outcome.incumbent?.pid)
    }
    if (disk !== null) disk.free()
    await until(async () => (await world.status()).incumbent !== null)
    const { host, port } = await world.target()
    for (const [key, value] of acknowledged) {
      expect(await (await fetch(`http://${host}:${port}/kv/${key}`)).text()).toBe(value)
    }
    expect(await write('after')).toBe(200)
    expect(await world.swap()).toMatchObject({ result: 'committed' })
    await world.supervisor.stop()
  }
  await world[Symbol.asyncDispose]()
})

/** The supervisor as process 1, as in a container without an init. */
import { spawn, spawnSync } from 'node:child_process'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { Rig, tryKill, until, zombiesOf } from '../supervisor/rig.js'

const program = fileURLToPath(new URL('../../dist/src/cli/bundle/handoff-supervisor.cjs', import.meta.url))
/** A pid namespace of its own; whoever is not root makes a user namespace for it. */
const NAMESPACE = [
  ...(process.geteuid?.() === 0 ? [] : ['--user', '--map-root-user']),
  '--pid',
  '--fork',
  '--mount-proc',
]
const isAllowed = spawnSync('unshare', [...NAMESPACE, '--kill-child', 'true']).status === 0

let made: Rig | null = null
afterEach(async () => {
  await made?.end()
  made = null
})

test.skipIf(!isAllowed)('orphans of the program are reaped, and ends of its own children are still told', async () => {
  const rig = await Rig.create({ toml: 'respawn_backoff_ms = 10' })
  made = rig
  // The subshell ends at once, and what it has started is nobody's but process 1's.
  const kv = join(rig.dir, 'bin', 'kv')
  writeFileSync(
    kv,
    readFileSync(kv, 'utf8').replace('exec', () => '(sleep 0.1 &)\n(true &)\nexec'),
  )
  const out = openSync(rig.story, 'a')
  rig.supervisor = spawn('unshare', [...NAMESPACE, '--kill-child', process.execPath, program, '--config', rig.config], {
    stdio: ['ignore', out, out],
    env: { ...process.env, HANDOFF_LOG_LEVEL: 'info' },
  })
  const { pid, incumbent } = await rig.served()
  expect(pid).toBe(1)
  const outside = (await until(() => outerPid(rig, program))) as number
  await until(() => reaped(rig) >= 2 || null)
  expect(zombiesOf(outside)).toEqual([])

  // Its own child: libuv tells how it ended, and it is started again.
  tryKill((await until(() => outerPid(rig, 'examples/kv.js'))) as number, 'SIGKILL')
  const next = await until(async () => {
    const status = await rig.served()
    return status.incumbent?.pid === incumbent?.pid ? null : status
  })
  expect(next.restarts).toBe(1)
  expect(rig.told()).toMatch(new RegExp(`"primitivePid":${incumbent?.pid},"code":null,"signal":"SIGKILL"`))
  await until(() => reaped(rig) >= 4 || null)
  expect(zombiesOf(outside)).toEqual([])

  rig.build('v2')
  expect(await rig.swap()).toMatchObject({ result: 'committed' })
  await until(() => (reaped(rig) >= 6 && zombiesOf(outside).length === 0) || null)
})

const reaped = (rig: Rig): number => rig.told().match(/an orphan was reaped/g)?.length ?? 0

/** The process that runs this program itself, as seen from here. */
const outerPid = (rig: Rig, runs: string): number | null =>
  rig.living().find((pid) => {
    const [executable, script] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return executable === process.execPath && script?.endsWith(runs)
  }) ?? null

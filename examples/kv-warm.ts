/** Runs the daemon's code before it matters: native code paged in, functions compiled, a store opened and closed. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { warmUpHttp } from 'handoff-machines/daemon'
import { kvHandler } from './kv-http.js'
import { KvStore } from './kv-store.js'

const PREFIX = 'kv-warm-'

const REQUESTS = [{ path: '/' }, { method: 'PUT', path: '/kv/warm', body: 'value' }, { path: '/kv/warm' }] as const

export async function warmUp(count: number, signal: AbortSignal): Promise<void> {
  await sweepWarmUps()
  const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  try {
    const store = await KvStore.open(join(directory, 'store'))
    const handler = kvHandler({ store, buildId: 'warm', reason: 'prepare', healthy: () => true })
    await warmUpHttp(createServer(handler), { requests: REQUESTS, count, signal })
    await store.close()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Removes what daemons that were killed in the middle of their warm-up could not. */
export async function sweepWarmUps(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN
    if (Number.isNaN(pid) || isAlive(pid)) continue
    await rm(join(tmpdir(), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's process of that number is alive all the same.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Runs the daemon's code once before it matters: native code paged in, functions compiled, a store opened and closed. */
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kvHandler } from './kv-http.js'
import { KvStore } from './kv-store.js'

const PREFIX = 'kv-warm-'

export async function warmUp(): Promise<void> {
  await sweepWarmUps()
  const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  try {
    const store = await KvStore.open(join(directory, 'store'))
    await store.put('warm', new Uint8Array(64))
    await answerOnce(store, join(directory, 'http.sock'))
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

async function answerOnce(store: KvStore, socketPath: string): Promise<void> {
  const server = createServer(kvHandler({ store, buildId: 'warm', reason: 'prepare', healthy: () => true }))
  server.listen(socketPath)
  await once(server, 'listening')
  const [answer] = (await once(get({ socketPath, agent: false }), 'response')) as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')
  server.close()
}

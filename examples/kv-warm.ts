/** Runs the daemon's code once before it matters: native code paged in, functions compiled, a store opened and closed. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kvHandler } from './kv-http.js'
import { KvStore } from './kv-store.js'

export async function warmUp(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'kv-warm-'))
  try {
    const store = await KvStore.open(join(directory, 'store'))
    await store.put('warm', new Uint8Array(64))
    await answerOnce(store, join(directory, 'http.sock'))
    await store.close()
  } finally {
    await rm(directory, { recursive: true, force: true })
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

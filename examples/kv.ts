#!/usr/bin/env node
/** A durable key-value daemon over HTTP whose program can be replaced while it runs. `--help` tells the flags. */
import { createServer } from 'node:http'
import { join } from 'node:path'
import { exitWithError, serveDaemon } from 'handoff-machines/daemon'
import { kvHandler } from './kv-http.js'
import { readOptions } from './kv-options.js'
import { kvSockets } from './kv-socket.js'
import { KvStore } from './kv-store.js'
import { warmUp } from './kv-warm.js'

const {
  dataDir,
  controlSocket,
  host,
  port,
  buildId,
  warmUp: requests,
  faults,
} = readOptions(process.argv.slice(2), process.env)

await serveDaemon({
  controlSocket,
  dataDir,
  listeners: { http: { host, port } },
  buildId,
  // The incumbent still serves: whatever is slow only the first time happens here, outside the gap.
  prepare: ({ signal }) => warmUp(requests, signal),
  async open({ dataDir, listeners, reason }) {
    await faults.beforeHook('open')
    const store = await KvStore.open(join(dataDir, 'store'))
    await faults.beforeReady()
    const healthy = () => !faults.has('unhealthy')
    const server = createServer(kvHandler({ store, buildId, reason, healthy }))
    const http = listeners.http.attach(server, kvSockets(server, store))
    return {
      revisions: () => [store.revision],
      healthy,
      async drain(limits) {
        await faults.beforeHook('drain')
        return http.drain(limits)
      },
      async seal() {
        await faults.beforeHook('seal')
        await store.close()
        return { revisions: [store.revision] }
      },
      // No `resume`: a seal that failed may have closed half of the store. Closing and opening it takes 2 ms.
      close: () => store.close(),
    }
  },
}).catch(exitWithError)

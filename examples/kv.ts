#!/usr/bin/env node
/** A durable key-value daemon over HTTP whose program can be replaced while it runs. `--help` tells the flags. */
import { createServer, type RequestListener } from 'node:http'
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

/** Set by `open`; nobody is read before. */
let store: KvStore
let answer: RequestListener = () => {}
// There before the store: attached in `prepare`, it builds the sockets of connections that move while the incumbent serves.
const server = createServer((request, response) => answer(request, response))
const sockets = kvSockets(server, () => store)

await serveDaemon({
  controlSocket,
  dataDir,
  listeners: { http: { host, port } },
  buildId,
  // The incumbent still serves: whatever is slow only the first time happens here, outside the gap.
  async prepare({ listeners, signal }) {
    await warmUp(requests, signal)
    listeners.http.attach(server, sockets)
  },
  async open({ dataDir, listeners, reason }) {
    await faults.beforeHook('open')
    const opened = await KvStore.open(join(dataDir, 'store'))
    await faults.beforeReady()
    const healthy = () => !faults.has('unhealthy')
    store = opened
    answer = kvHandler({ store: opened, buildId, reason, healthy })
    const http = listeners.http.attach(server, sockets)
    return {
      revisions: () => [opened.revision],
      healthy,
      async drain(limits) {
        await faults.beforeHook('drain')
        return http.drain(limits)
      },
      async seal() {
        await faults.beforeHook('seal')
        await opened.close()
        return { revisions: [opened.revision] }
      },
      // No `resume`: a seal that failed may have closed half of the store. Closing and opening it takes 2 ms.
      close: () => opened.close(),
    }
  },
}).catch(exitWithError)

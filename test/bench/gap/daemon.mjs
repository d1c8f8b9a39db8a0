/** A daemon whose hooks do nothing. Arguments: control socket, data directory. */
import { createServer } from 'node:net'

const { serveDaemon } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/daemon/index.js`)
const [controlSocket, dataDir] = process.argv.slice(2)

await serveDaemon({
  controlSocket,
  dataDir,
  listeners: { http: { host: '127.0.0.1', port: 0 } },
  open({ listeners }) {
    listeners.http.attach(createServer((socket) => socket.end()))
    return { revisions: () => [1], drain() {}, seal: () => ({ revisions: [1] }), close() {} }
  },
})

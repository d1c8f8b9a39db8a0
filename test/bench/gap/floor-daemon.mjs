/** The floor's incumbent and successor: the frames, the lock and the rename of a swap, and nothing else. */
import { openSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import { frames, onFrames, send } from './floor-wire.mjs'
import { mark } from './marks.mjs'

const [controlSocket, dataDir, how] = process.argv.slice(2)
const { flockSync } = await lockCalls()

/** fs-ext is built for one Node; under another ours falls back to the addon's call, and so does the floor. */
async function lockCalls() {
  try {
    return createRequire(`${process.env.HANDOFF_COMPILED}/dist/`)('fs-ext')
  } catch {
    const { native } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/os/native.js`)
    const { LOCK_EX, LOCK_NB, LOCK_UN } = native.constants
    return { flockSync: (fd, operation) => native.flock(fd, operation === 'un' ? LOCK_UN : LOCK_EX | LOCK_NB) }
  }
}
const lock = openSync(`${dataDir}/.handoff.lock`, 'a+')
const server = net.createServer((socket) => socket.end())
const staging = `${controlSocket}.${process.pid}`
const control = net.createServer((socket) => {
  send(socket, frames.HelloIncumbent)
  onFrames(socket, (type) => {
    if (type === 'PrepareHandoff') {
      server.close()
      mark('stopped')
      send(socket, frames.Drained)
    } else if (type === 'SealRequest') {
      flockSync(lock, 'un')
      send(socket, frames.SealComplete)
    } else if (type === 'Commit') process.exit(0)
  })
})
const goLive = () => {
  renameSync(staging, controlSocket)
  server.listen({ fd: 3 }, 4096)
  mark('started')
}

process.on('SIGTERM', () => process.exit(0))
await new Promise((resolve) => control.listen(staging, resolve))
if (how === 'cold') {
  flockSync(lock, 'exnb')
  goLive()
} else {
  const channel = new net.Socket({ fd: 4, readable: true, writable: true })
  onFrames(channel, (type) => {
    if (type === 'Begin') {
      flockSync(lock, 'exnb')
      send(channel, frames.Ready)
    } else if (type === 'Commit') goLive()
  })
  send(channel, frames.HelloSuccessor)
}

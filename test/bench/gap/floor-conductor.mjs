/**
 * The floor's supervisor: the same frames between the same three processes in the same order, by bare Node, without a
 * machine, a log, a policy, or an answer to anything that goes wrong. Told over IPC as conductor.mjs is.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { frames, onFrames, send } from './floor-wire.mjs'

const { bindListener } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/os/listeners.js`)
const { controlSocket, dataDir } = JSON.parse(process.argv[2])
const program = fileURLToPath(new URL('floor-daemon.mjs', import.meta.url))
const listener = bindListener({ name: 'http', address: { kind: 'tcp', host: '127.0.0.1', port: 0 }, backlog: 4096 })

let incumbent = await start([])

function start(channel) {
  const child = spawn(process.execPath, [program, controlSocket, dataDir, channel[0] ?? 'cold'], {
    stdio: ['ignore', 'inherit', 'inherit', listener.fd, ...channel],
  })
  // Its reason is in the log that both write; nobody would answer any more.
  child.once('exit', (code) => code && process.exit(code))
  return channel.length > 0 ? child : until(() => answers()).then(() => child)
}

/** Dials until a process greets; the connection stays open for whoever wants it. */
function answers() {
  return new Promise((resolve) => {
    const socket = net.connect(controlSocket)
    socket.on('error', () => resolve(null))
    onFrames(socket, () => resolve(socket))
  })
}

async function until(look) {
  for (;;) {
    const found = await look()
    if (found) return found.destroy()
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

async function swap() {
  const successor = start(['pipe'])
  const [, , , , channel] = successor.stdio
  await new Promise((done) => {
    const control = { socket: null }
    onFrames(channel, (type) => {
      if (type === 'Hello') {
        send(channel, frames.HelloAck)
        control.socket = net.connect(controlSocket)
        onFrames(control.socket, onIncumbent)
      } else if (type === 'Ready') {
        send(channel, frames.Commit)
        until(() => answers()).then(async () => {
          send(control.socket, frames.Commit)
          await once(incumbent, 'exit')
          control.socket.destroy()
          channel.destroy()
          incumbent = successor
          done()
        })
      }
    })
    const onIncumbent = (type) => {
      if (type === 'Hello') {
        send(control.socket, frames.HelloAck)
        send(control.socket, frames.PrepareHandoff)
      } else if (type === 'Drained') send(control.socket, frames.SealRequest)
      else if (type === 'SealComplete') send(channel, frames.Begin)
    }
  })
}

process.on('message', async ({ swap: id, stop }) => {
  if (stop) {
    incumbent.kill('SIGTERM')
    await once(incumbent, 'exit')
    process.disconnect()
    return
  }
  await swap()
  process.send({ id, result: 'committed' })
})
// The benchmark is gone: nothing of it stays.
process.on('disconnect', () => {
  incumbent.kill('SIGTERM')
  process.exit(0)
})
process.send({ ready: true })

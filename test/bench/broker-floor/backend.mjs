// The least a backend can do on this wire: node --import ../../fixtures/ts.mjs backend.mjs <pipe> <handoff>
import { createServer, Socket } from 'node:net'
import { acceptOn } from '../../../src/os/acceptor.js'
import { native } from '../../../src/os/native.js'
import { stageUnixServer } from '../../../src/os/unix-socket.js'
import { ACK, OFFER } from './frames.js'

const [pipe, handoff] = process.argv.slice(2)
const { POLL_READABLE } = native.constants
const serve = (socket) => {
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => socket.write(chunk))
}
await new Promise((resolve) => createServer(serve).listen(pipe, resolve))

const room = Buffer.alloc(1024)
const token = Buffer.alloc(16)
function take(fd) {
  const [passed] = native.recvmsg(fd, token, 4).fds
  // The offer is a second message: almost always there, seldom not.
  if (native.pendingBytes(fd) > 0 && native.recv(fd, room) !== OFFER.length) throw new Error('no offer')
  native.send(fd, ACK)
  const poll = new native.Poll(fd, () => {
    if (native.recv(fd, room) > 0) return
    poll.close()
    native.close(fd)
    serve(new Socket({ fd: passed, readable: true, writable: true }))
  })
  poll.start(POLL_READABLE)
}
const server = stageUnixServer(handoff, { backlog: 4_096 })
server.publish()
acceptOn(
  server.fd,
  {
    onConnection(fd) {
      if (native.pendingBytes(fd) > 0) return take(fd)
      const poll = new native.Poll(fd, () => {
        poll.close()
        take(fd)
      })
      poll.start(POLL_READABLE)
    },
  },
  { batch: 1 },
)
process.stdout.write('ready\n')

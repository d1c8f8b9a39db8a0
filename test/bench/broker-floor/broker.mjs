// The least a broker can do on this wire: node --import ../../fixtures/ts.mjs broker.mjs <control> <handoff> <pipe>
import { acceptOn } from '../../../src/os/acceptor.js'
import { native } from '../../../src/os/native.js'
import { stageUnixServer } from '../../../src/os/unix-socket.js'
import { ACK, EVENT, HELLO_HANDOFF, OFFER, reply, TOKEN } from './frames.js'

const [control, handoff, pipe] = process.argv.slice(2)
const { AF_UNIX, SOCK_STREAM, POLL_READABLE } = native.constants
const REPLY_HANDOFF = reply(pipe, true)
const REPLY_PLAIN = reply(pipe, false)
const room = Buffer.alloc(1024)

function pass(client) {
  const fd = native.socket(AF_UNIX, SOCK_STREAM)
  native.connectUnix(fd, handoff)
  native.sendmsg(fd, TOKEN, [client])
  native.send(fd, OFFER)
  const poll = new native.Poll(fd, () => {
    poll.close()
    if (native.recv(fd, room) !== ACK.length) throw new Error('no ACK')
    native.send(client, EVENT)
    native.close(fd)
    native.close(client)
  })
  poll.start(POLL_READABLE)
}

const server = stageUnixServer(control, { backlog: 4_096 })
server.publish()
acceptOn(
  server.fd,
  {
    onConnection(client) {
      const read = () => {
        const count = native.recv(client, room)
        if (count === HELLO_HANDOFF.length) {
          native.send(client, REPLY_HANDOFF)
          pass(client)
        } else {
          native.send(client, REPLY_PLAIN)
          native.close(client)
        }
      }
      if (native.pendingBytes(client) > 0) return read()
      const poll = new native.Poll(client, () => {
        poll.close()
        read()
      })
      poll.start(POLL_READABLE)
    },
  },
  { batch: 1 },
)
process.stdout.write('ready\n')

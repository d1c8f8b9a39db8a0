#!/usr/bin/env node
/** A service behind a broker: greets first, echoes lines, and takes connections both ways. */
import { createServer, type Socket } from 'node:net'
import { serveBackend } from 'handoff-machines/broker'

const [pipe = '/tmp/echo.sock', endpoint = '/tmp/echo-handoff.sock'] = process.argv.slice(2)

function serve(socket: Socket, how: 'adopted' | 'dialled'): void {
  socket.on('error', () => socket.destroy())
  socket.write(`${process.pid} ${how}\n`)
  socket.on('data', (line) => socket.write(line))
}

const backend = await serveBackend({ endpoint, onConnection: (socket) => serve(socket, 'adopted') })
const server = createServer((socket) => serve(socket, 'dialled'))
server.listen(pipe, () => console.log('ready'))

process.once('SIGTERM', async () => {
  // No more of either kind; then the connections that live end with the process.
  server.close()
  await backend.close()
  process.exit(0)
})

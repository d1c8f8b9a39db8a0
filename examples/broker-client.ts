#!/usr/bin/env node
/** A client of a service behind a broker: connects, asks once, tells which way it came. */
import { connectClient } from 'handoff-machines/broker'

const [broker = '/tmp/clients.sock', service = 'echo', wantedVersion = '1.0.0'] = process.argv.slice(2)

const { socket, route, endpoint } = await connectClient({ broker, service, wantedVersion })
console.log(`${route}; next time ${endpoint} would do`)
socket.on('data', (chunk) => {
  process.stdout.write(chunk)
  if (`${chunk}`.includes('bye')) socket.destroy()
})
socket.write('bye\n')

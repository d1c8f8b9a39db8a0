import { once } from 'node:events'
import net from 'node:net'
import { expect, test } from 'vitest'
import { queueFacts } from '../../../src/os/listeners.js'
import { connectRaw } from './raw-client.js'
import { BACKLOG, farDeadline, listenerRig, turns, until } from './rig.js'

const echo = (): net.Server => net.createServer((socket) => socket.pipe(socket))

test('a raw connection is served through the drain, which is over when it has ended', async () => {
  const rig = listenerRig()
  const handle = rig.attach(echo())
  await handle.startAccepting()
  expect(queueFacts(rig.bound.fd)?.backlog).toBe(BACKLOG)
  const client = await rig.connect()
  await until(() => handle.connections().open === 1)
  const draining = handle.drain({ deadline: farDeadline() })
  await turns()
  client.send('still there?')
  expect(String((await once(client.socket, 'data'))[0])).toBe('still there?')
  client.socket.end()
  expect(await draining).toEqual({ openConnections: 0, inFlight: 0, idle: 0, remaining: [] })
})

test('raw connections that remain at the deadline are counted and named, and go on after the abort', async () => {
  const rig = listenerRig()
  const handle = rig.attach(echo())
  await handle.startAccepting()
  const client = await rig.connect()
  await until(() => handle.connections().open === 1)
  const drained = await handle.drain({ deadline: performance.now() })
  expect(drained).toMatchObject({ openConnections: 1, inFlight: 1, idle: 0 })
  expect(drained.remaining).toMatchObject([{ peer: `127.0.0.1:${client.socket.localPort}`, reason: 'openStream' }])
  await handle.resume()
  client.send('again')
  expect(String((await once(client.socket, 'data'))[0])).toBe('again')
  expect((await rig.connect()).ended).toBe('open')
  await until(() => handle.connections().open === 2)
  client.socket.end()
  for (const each of [client, await rig.connect()]) each.close()
})

test('a connection that turns up during the drain counts', async () => {
  const rig = listenerRig()
  const server = echo()
  const handle = rig.attach(server)
  await handle.startAccepting()
  const draining = new Promise((resolve) => {
    server.once('connection', () => resolve(handle.drain({ deadline: performance.now() })))
  })
  const client = await connectRaw({ port: rig.port })
  expect(await draining).toMatchObject({ openConnections: 1, inFlight: 1 })
  client.close()
})

test('release leaves raw connections to their own end', async () => {
  const rig = listenerRig()
  const handle = rig.attach(echo())
  await handle.startAccepting()
  const client = await rig.connect()
  await until(() => handle.connections().open === 1)
  await handle.drain({ deadline: performance.now() })
  expect(await handle.release()).toEqual({ idleClosed: 0, withUnread: 0 })
  client.send('to the end')
  expect(String((await once(client.socket, 'data'))[0])).toBe('to the end')
  client.socket.end()
  await client.end()
})

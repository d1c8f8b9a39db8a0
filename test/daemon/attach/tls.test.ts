import { readFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { expect, test } from 'vitest'
import { farDeadline, Gate, listenerRig, until } from './rig.js'

const pem = (name: string): Buffer => readFileSync(new URL(`../../fixtures/tls/${name}.pem`, import.meta.url))
const options = { key: pem('key'), cert: pem('cert') }

test('https: each session counts once, parks, and goes on after the abort', async () => {
  const rig = listenerRig()
  const gate = new Gate()
  const handle = rig.attach(https.createServer(options, gate.handler))
  await handle.startAccepting()
  const [idle, slow] = [await rig.connect({ secure: true }), await rig.connect({ secure: true })]
  idle.get()
  expect((await idle.answer()).status).toBe(200)
  slow.get('/held')
  await gate.holding(1)
  expect(handle.connections()).toEqual({ open: 2, inFlight: 1, idle: 1, parked: 0 })
  const draining = handle.drain({ deadline: farDeadline() })
  await until(() => handle.connections().parked === 1)
  expect(handle.connections()).toEqual({ open: 2, inFlight: 1, idle: 1, parked: 1 })
  idle.get()
  gate.answer('over tls')
  expect(await slow.answer()).toMatchObject({ body: 'over tls', headers: { connection: 'close' } })
  expect(await draining).toMatchObject({ inFlight: 0 })
  expect(idle.waiting).toBe(0)
  await handle.resume()
  expect((await idle.answer()).headers.connection).toBe('keep-alive')
  await until(() => handle.connections().open === 1)
})

test('https: a handshake under way counts as busy and leaves no trace when it fails', async () => {
  const rig = listenerRig()
  const handle = rig.attach(https.createServer(options, new Gate().handler))
  await handle.startAccepting()
  const mute = net.connect(rig.port, '127.0.0.1')
  await until(() => handle.connections().open === 1)
  const drained = await handle.drain({ deadline: performance.now() })
  expect(drained.remaining).toMatchObject([{ reason: 'handshaking' }])
  mute.destroy()
  await until(() => handle.connections().open === 0)
})

import http from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { checkPrivateNode, proveFeatures } from '../../../src/daemon/attach/check-private-node.js'
import { type PrivateFeatures, privateFeatures, trustFeature } from '../../../src/daemon/attach/private-node.js'
import { closeFd, streamPair } from '../../../src/os/fds.js'
import { farDeadline, Gate, listenerRig, turns, until } from './rig.js'

afterEach(() => {
  for (const feature of Object.keys(privateFeatures()) as (keyof PrivateFeatures)[]) trustFeature(feature, true)
})

test('this Node has every private feature, proven on a live connection', async () => {
  const all = { readStop: true, idleParsers: true, closeEvent: true, adoptPaused: true }
  expect(await proveFeatures()).toEqual(all)
  expect(await checkPrivateNode()).toEqual(all)
})

test('the proof notices a feature that is gone', async () => {
  trustFeature('idleParsers', false)
  expect(await proveFeatures()).toMatchObject({ idleParsers: false, readStop: true })
})

test.each(['readStop', 'idleParsers'] as const)(
  'without %s the public fallback parks, waits and resumes',
  async (feature) => {
    trustFeature(feature, false)
    const rig = listenerRig()
    const gate = new Gate()
    const handle = rig.attach(http.createServer(gate.handler))
    await handle.startAccepting()
    const [idle, half] = [await rig.connect(), await rig.connect()]
    for (const client of [idle, half]) {
      client.get()
      await client.answer()
    }
    half.send('GET /half HTTP/1.1\r\n')
    await until(() => handle.connections().inFlight === 1)
    const draining = handle.drain({ deadline: farDeadline() })
    await until(() => handle.connections().parked === 1)
    expect(handle.connections()).toEqual({ open: 2, inFlight: 1, idle: 1, parked: 1 })
    idle.get()
    half.send('Host: test\r\n\r\n')
    expect(await half.answer()).toMatchObject({ body: 'GET /half 0', headers: { connection: 'close' } })
    expect(await draining).toMatchObject({ inFlight: 0 })
    expect(idle.waiting).toBe(0)
    await handle.resume()
    expect((await idle.answer()).status).toBe(200)
  },
)

test.each(['readStop', 'idleParsers', 'adoptPaused'] as const)(
  'without %s connections do not move',
  async (feature) => {
    const rig = listenerRig()
    const handle = rig.attach(http.createServer(new Gate().handler))
    await handle.startAccepting()
    await rig.connect()
    await until(() => handle.connections().open === 1)
    const [near, far] = streamPair()
    const other = rig.attach(http.createServer())
    expect(handle.outgoing().offers(10, false)).toHaveLength(1)
    trustFeature(feature, false)
    if (feature === 'adoptPaused') expect(other.incoming().tryStage(1, near)).toBe(false)
    else {
      expect(handle.outgoing().offers(10, false)).toEqual([])
      closeFd(near)
    }
    closeFd(far)
  },
)

test('without closeEvent a resting server announces close, and everything else holds', async () => {
  trustFeature('closeEvent', false)
  const rig = listenerRig()
  const server = http.createServer(new Gate().handler)
  const announced: string[] = []
  server.on('close', () => announced.push('close'))
  const handle = rig.attach(server)
  await handle.startAccepting()
  await handle.drain({ deadline: farDeadline() })
  await turns()
  expect(announced).toEqual(['close'])
  await handle.resume()
  const client = await rig.connect()
  client.get()
  expect((await client.answer()).status).toBe(200)
})

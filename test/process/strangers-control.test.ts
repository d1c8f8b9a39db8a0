/** Strangers on the control socket and the rendezvous socket of a serving daemon: it goes on, and the next swap commits. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeMessage } from '../../src/wire/handoff.js'
import { pause, until, World } from './harness.js'
import { OTHER_ID, RawPeer } from './raw-peer.js'

/** Short, so that a test can wait for the end of an idle session. */
const daemonPolicy = { sessionIdleMs: 1_000, deadlineSlackMs: 100 }

let world: World
beforeAll(async () => {
  world = await World.start({ daemonPolicy, shared: true })
})
afterAll(() => world[Symbol.asyncDispose]())

const ack = (id: string) => encodeMessage({ type: 'HelloAck', protoVersionChosen: 1, handoffId: id })
const heartbeat = encodeMessage({ type: 'Heartbeat', tsMs: 1n })

/** Service as before, by the same process, and a swap that commits. */
async function expectUnimpressed(incumbent: number): Promise<void> {
  expect(await world.facts()).toEqual({
    accepts: incumbent,
    answers: incumbent,
    holdsLock: [incumbent],
    known: incumbent,
  })
  expect(await world.swap()).toMatchObject({ result: 'committed' })
}

describe('a peer on the control socket is turned away, and nothing else happens, when it', () => {
  test.each<[string, (peer: RawPeer) => void]>([
    ['announces a frame of 4 GiB', (peer) => peer.bytes(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 0]))],
    ['announces a frame that is too short to be one', (peer) => peer.bytes(Buffer.from([1, 0, 0, 0, 1]))],
    ['sends 64 KiB of garbage', (peer) => peer.bytes(Buffer.alloc(64 * 1024, 0xa5))],
    ['names a version above ours', (peer) => peer.ack(peer.id, 2)],
    ['names a version below ours', (peer) => peer.ack(peer.id, 0)],
    [
      'plays a primitive',
      (peer) =>
        peer.say({
          type: 'Hello',
          role: 'successor',
          pid: 1,
          buildId: new Uint8Array(),
          protoMin: 1,
          protoMax: 1,
          capabilities: 0n,
        }),
    ],
    ['acknowledges twice', (peer) => peer.ack().ack()],
    ['prepares before it acknowledged', (peer) => peer.prepare()],
    ['prepares under another id', (peer) => peer.ack().prepare(OTHER_ID)],
    ['seals before it prepared', (peer) => peer.ack().sealRequest()],
    ['commits out of nothing', (peer) => peer.ack().say({ type: 'Commit', handoffId: peer.id })],
    [
      'says what only an incumbent says',
      (peer) => peer.ack().say({ type: 'SealFailed', handoffId: peer.id, error: '', partialState: '' }),
    ],
    ['prepares twice', (peer) => peer.ack().prepare().prepare()],
    ['commits what was not sealed', (peer) => peer.ack().prepare().say({ type: 'Commit', handoffId: peer.id })],
    ['breaks off after half a frame', (peer) => peer.bytes(ack(peer.id).subarray(0, 9)).finish()],
    ['leaves after it prepared', (peer) => peer.ack().prepare().finish()],
    ['leaves after it asked to seal', (peer) => peer.ack().prepare().sealRequest().finish()],
  ])('%s', async (_what, speak) => {
    const incumbent = await world.incumbentPid()
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    speak(peer)
    await peer.closed
    await until(async () => (await world.hello())?.pid === incumbent)
    await expectUnimpressed(incumbent)
  })

  test('says nothing, two hundred times over, and stays', async () => {
    const incumbent = await world.incumbentPid()
    const silent = await RawPeer.dialMany(world.controlSocket, 200)
    await expectUnimpressed(incumbent)
    for (const peer of silent) peer.close()
  })

  test('trickles an acknowledgement byte by byte: it is heard, and keeps nobody waiting', async () => {
    const incumbent = await world.incumbentPid()
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    for (const byte of ack(peer.id)) {
      peer.bytes(Uint8Array.of(byte))
      expect((await world.hello())?.pid).toBe(incumbent)
    }
    peer.bytes(heartbeat)
    await peer.heard('Heartbeat')
    // Its session lies idle: it is closed by the daemon's own clock.
    await peer.closed
    await expectUnimpressed(incumbent)
  })

  test('never reads what it is answered', async () => {
    const incumbent = await world.incumbentPid()
    const peer = (await RawPeer.dial(world.controlSocket)).deaf()
    peer.ack()
    const flood = Buffer.concat(Array.from({ length: 20_000 }, () => heartbeat))
    for (let i = 0; i < 10; i += 1) peer.bytes(flood)
    expect((await world.hello())?.pid).toBe(incumbent)
    expect((await world.root()).pid).toBe(incumbent)
    peer.close()
    await until(async () => (await world.swap()).result === 'committed')
    await expectUnimpressed(await world.incumbentPid())
  })

  test('never stops talking: it is cut off, though it is never idle', async () => {
    const incumbent = await world.incumbentPid()
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    peer.ack()
    const flood = Buffer.concat(Array.from({ length: 2_000 }, () => heartbeat))
    let isOver = false
    void peer.closed.then(() => {
      isOver = true
    })
    while (!isOver) {
      peer.bytes(flood)
      await pause()
    }
    await until(async () => (await world.hello())?.pid === incumbent)
    await expectUnimpressed(incumbent)
  })

  test('holds the session and does nothing: the second supervisor waits no longer than the idle limit', async () => {
    const incumbent = await world.incumbentPid()
    const peer = await RawPeer.dial(world.controlSocket)
    await peer.heard('Hello')
    peer.ack()
    await peer.closed
    await expectUnimpressed(incumbent)
  })
})

describe('a peer of another user', () => {
  const isRoot = process.getuid?.() === 0

  test('cannot reach the sockets at all: they are for their owner alone', () => {
    for (const path of [world.controlSocket, `${world.controlSocket}.fds`]) {
      expect(statSync(path).mode & 0o777).toBe(0o600)
    }
  })

  test('is turned away before a byte is read, even where the path lets it in', async () => {
    const incumbent = await world.incumbentPid()
    const paths = [world.controlSocket, `${world.controlSocket}.fds`]
    const directories = [world.dir, dirname(world.dir)]
    for (const path of paths) chmodSync(path, 0o666)
    for (const path of directories) chmodSync(path, 0o755)
    for (const path of paths) {
      const child = spawn(process.execPath, ['-e', STRANGER, path], {
        // Only root can become somebody else; any other user shows that the way in works at all.
        ...(isRoot && { uid: 65_534, gid: 65_534 }),
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: '/',
      })
      let heard = ''
      child.stdout.setEncoding('utf8').on('data', (text) => {
        heard += text
      })
      await once(child, 'close')
      const isControl = path === world.controlSocket
      expect(heard).toBe(
        isRoot ? 'connected, closed after 0 bytes' : isControl ? expect.stringMatching(/[1-9]/) : heard,
      )
    }
    for (const path of directories) chmodSync(path, 0o700)
    await expectUnimpressed(incumbent)
  })
})

const STRANGER = `
  const socket = require('node:net').connect(process.argv[1])
  let bytes = 0
  socket.on('data', (chunk) => { bytes += chunk.length; socket.end() })
  socket.on('error', (error) => process.stdout.write(error.code))
  socket.on('connect', () => process.stdout.write('connected, '))
  socket.on('close', () => process.stdout.write('closed after ' + bytes + ' bytes'))
  setTimeout(() => socket.end(), 2000).unref()
`

describe('a peer on the rendezvous socket is refused or ignored when it', () => {
  const request = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`)

  test.each<[string, Uint8Array, RegExp]>([
    ['wants what nobody gives', request({ v: 1, want: 'everything' }), /nothing is given for want=\\"everything\\"/],
    ['speaks another version', request({ v: 2, want: 'listeners' }), /only version 1/],
    ['sends no JSON', Buffer.from('give me\n'), /not a line of JSON/],
    ['sends JSON that is no request', Buffer.from('null\n'), /only version 1/],
    ['sends a line without end', Buffer.alloc(64 * 1024, 0x41), /^$/],
    ['leaves in the middle of a line', Buffer.from('{"v":1'), /^$/],
  ])('%s', async (_what, bytes, answer) => {
    const incumbent = await world.incumbentPid()
    expect(await exchange(`${world.controlSocket}.fds`, bytes)).toMatch(answer)
    await expectUnimpressed(incumbent)
  })

  test('says nothing, two hundred times over: a new supervisor still gets the listeners at once', async () => {
    const incumbent = await world.incumbentPid()
    const port = (await world.target()).port
    const path = `${world.controlSocket}.fds`
    const silent = await RawPeer.dialMany(path, 200)
    await world.supervisor.leave()
    await world.supervise()
    expect(await world.target()).toMatchObject({ port })
    for (const peer of silent) peer.close()
    await expectUnimpressed(incumbent)
  })
})

/** Sends, closes that direction, and reads to the end. */
async function exchange(path: string, bytes: Uint8Array): Promise<string> {
  const socket = createConnection(path).setEncoding('utf8')
  let answer = ''
  socket.on('data', (text) => {
    answer += text
  })
  socket.on('error', () => {})
  socket.end(bytes)
  // Not `once`: being reset on unread bytes is an answer, too.
  await new Promise((resolve) => socket.on('close', resolve))
  return answer
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { ByteChannel, type ChannelOptions } from '../../src/os/byte-channel.js'
import { closeFd, dup, streamPair } from '../../src/os/fds.js'
import { native } from '../../src/os/native.js'
import { checkLeaks, codeOf, fixture, until } from './support.js'

checkLeaks()

interface Heard {
  readonly channel: ByteChannel
  readonly log: string[]
  text(): string
}

/** A channel that notes everything it hears, in order. */
function listen(fd: number, options: ChannelOptions = {}): Heard {
  const log: string[] = []
  const parts: Buffer[] = []
  const channel = new ByteChannel(
    fd,
    {
      onData(bytes) {
        parts.push(Buffer.from(bytes))
        if (log.at(-1) !== 'data') log.push('data')
      },
      onEnd: (how) => log.push(how),
      onWriteStalled: () => log.push('stalled'),
    },
    options,
  )
  return { channel, log, text: () => Buffer.concat(parts).toString() }
}
const bytes = (text: string): Uint8Array => Buffer.from(text)
const FRAME = Uint8Array.from([7, 0, 0, 0, 0, 0, 0, 7])
const BEAT = { frame: FRAME, tsOffset: 1, tsBytes: 6, periodMs: 1 }

test('bytes go both ways and the end is seen as soon as one end closes', async () => {
  const [a, b] = streamPair()
  const left = listen(a)
  const right = listen(b)
  expect(left.channel.write(bytes('ping'))).toBe('sent')
  expect(right.channel.write(bytes('pong'))).toBe('sent')
  await until(() => right.text() === 'ping' && left.text() === 'pong')
  left.channel.close()
  left.channel.close()
  await until(() => right.log.includes('eof'))
  expect(right.log).toEqual(['data', 'eof'])
  expect(left.channel.write(bytes('x'))).toBe('peerGone')
  right.channel.close()
  expect(codeOf(() => closeFd(a))).toBe('EBADF')
})

test('a write to a dead peer loses none of its last words, however many they were', async () => {
  const words = 'x'.repeat(150_000)
  for (let round = 0; round < 50; round += 1) {
    const [a, b] = streamPair()
    for (let sent = 0; sent < words.length; ) sent += native.send(b, bytes(words.slice(sent, sent + 10_000)))
    closeFd(b)
    const heard = listen(a)
    expect(heard.channel.write(bytes('are you there?'))).toBe('peerGone')
    expect(heard.channel.write(bytes('hello?'))).toBe('peerGone')
    await until(() => heard.log.includes('eof'))
    expect(heard.text()).toBe(words)
    expect(heard.log).toEqual(['data', 'eof'])
    heard.channel.close()
  }
})

test('a peer that died without reading us is a reset, after its last words', async () => {
  const [a, b] = streamPair()
  const heard = listen(a)
  heard.channel.write(bytes('never read'))
  native.send(b, bytes('last words'))
  closeFd(b)
  await until(() => heard.log.length === 2)
  expect(heard.log).toEqual(['data', 'reset'])
  expect(heard.text()).toBe('last words')
  heard.channel.close()
})

test('the last words of a killed process are read', async () => {
  const [a, b] = streamPair()
  const child = spawn(process.execPath, [fixture('channel-peer.mjs'), 'speak-and-die'], {
    stdio: ['ignore', 'inherit', 'inherit', b],
  })
  closeFd(b)
  const heard = listen(a)
  await once(child, 'exit')
  expect(heard.channel.write(bytes('still there?'))).toBe('peerGone')
  await until(() => heard.log.some((line) => line !== 'data'))
  expect(heard.text()).toBe('y'.repeat(100_000))
  heard.channel.close()
})

test('the end comes only when the last copy of the other end is closed', async () => {
  const [a, b] = streamPair()
  const copy = dup(b)
  const heard = listen(a)
  closeFd(b)
  native.send(copy, bytes('not yet'))
  await until(() => heard.text() === 'not yet')
  expect(heard.log).toEqual(['data'])
  closeFd(copy)
  await until(() => heard.log.includes('eof'))
  heard.channel.close()
})

test('what the kernel does not take at once follows in order', async () => {
  const [a, b] = streamPair()
  const left = listen(a)
  const right = listen(b)
  right.channel.pauseReading()
  const blocks = Array.from({ length: 30 }, (_, i) => Buffer.alloc(100_000, 0x41 + i))
  for (const block of blocks) expect(left.channel.write(block)).toBe('sent')
  expect(left.channel.pendingBytes).toBeGreaterThan(0)
  const flushed = left.channel.flushed()
  right.channel.resumeReading()
  expect(await flushed).toBe(true)
  expect(left.channel.pendingBytes).toBe(0)
  await until(() => right.text().length === 3_000_000)
  expect(right.text()).toBe(Buffer.concat(blocks).toString())
  expect(await left.channel.flushed()).toBe(true)
  left.channel.close()
  expect(await left.channel.flushed()).toBe(false)
  right.channel.close()
})

test('a peer that does not read is stalled after the limit, once, and can still be heard', async () => {
  const [a, b] = streamPair()
  const heard = listen(a, { writeLimitMs: 20 })
  expect(heard.channel.write(new Uint8Array(1 << 20))).toBe('sent')
  expect(await heard.channel.flushed()).toBe(false)
  expect(heard.log).toEqual(['stalled'])
  expect(heard.channel.write(bytes('x'))).toBe('peerGone')
  native.send(b, bytes('sorry, was busy'))
  await until(() => heard.text() === 'sorry, was busy')
  heard.channel.close()
  closeFd(b)
})

test('more than the limit of bytes is a stall at once, not memory', () => {
  const [a, b] = streamPair()
  const heard = listen(a, { writeLimitBytes: 1 << 20 })
  expect(heard.channel.write(new Uint8Array(1 << 20))).toBe('sent')
  expect(heard.channel.write(new Uint8Array(1 << 20))).toBe('peerGone')
  expect(heard.log).toEqual(['stalled'])
  heard.channel.close()
  closeFd(b)
})

test('a paused channel leaves bytes and end in the kernel', async () => {
  const [a, b] = streamPair()
  const heard = listen(a)
  heard.channel.pauseReading()
  native.send(b, bytes('later'))
  closeFd(b)
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  expect(heard.log).toEqual([])
  expect(native.pendingBytes(a)).toBe(5)
  heard.channel.resumeReading()
  await until(() => heard.log.includes('eof'))
  expect(heard.text()).toBe('later')
  heard.channel.close()
})

test('a handler may pause or close the channel in the middle of the data', async () => {
  for (const act of ['pauseReading', 'close'] as const) {
    const [a, b] = streamPair()
    let calls = 0
    const channel = new ByteChannel(a, {
      onData() {
        calls += 1
        channel[act]()
      },
      onEnd: () => {
        calls += 1000
      },
    })
    for (let i = 0; i < 3; i += 1) native.send(b, new Uint8Array(60_000))
    closeFd(b)
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(calls).toBe(1)
    channel.close()
  }
})

test('a process hears the beats of a process whose JavaScript is blocked', async () => {
  const [a, b] = streamPair()
  const child = spawn(process.execPath, [fixture('channel-peer.mjs'), 'count-beats', String(FRAME.length), '20'], {
    stdio: ['ignore', 'inherit', 'inherit', b],
  })
  const exited = once(child, 'exit')
  closeFd(b)
  const heard = listen(a)
  heard.channel.startBeating(BEAT)
  // Blocked until the other process says that it has counted twenty whole frames.
  while (native.pendingBytes(a) === 0) {}
  heard.channel.stopBeating()
  await until(() => heard.text() !== '')
  expect(heard.text()).toBe('20 whole frames')
  expect(heard.channel.beats().sent).toBeGreaterThanOrEqual(20)
  heard.channel.close()
  expect(await exited).toEqual([0, null])
})

test('beats and messages share the socket without mixing', async () => {
  const [a, b] = streamPair()
  const left = listen(a)
  const right = listen(b)
  left.channel.startBeating(BEAT)
  expect(codeOf(() => left.channel.startBeating(BEAT))).toBe('EALREADY')
  const message = Buffer.alloc(50_000, 'm')
  for (let i = 0; i < 40; i += 1) {
    left.channel.write(message)
    await new Promise((resolve) => setImmediate(resolve))
  }
  left.channel.stopBeating()
  expect(await left.channel.flushed()).toBe(true)
  left.channel.close()
  await until(() => right.log.includes('eof'))
  const rest = Buffer.from(right.text(), 'utf8').toString('latin1')
  expect(rest.split('m'.repeat(50_000))).toHaveLength(41)
  right.channel.close()
})

test('beating into a dead peer ends in peerGone, quietly', async () => {
  const [a, b] = streamPair()
  const heard = listen(a)
  closeFd(b)
  heard.channel.startBeating(BEAT)
  await until(() => heard.channel.beats().skipped > 0)
  heard.channel.stopBeating()
  expect(heard.channel.write(bytes('x'))).toBe('peerGone')
  await until(() => heard.log.includes('eof'))
  heard.channel.close()
  heard.channel.stopBeating()
  expect(heard.channel.beats()).toEqual({ sent: 0, skipped: 0 })
})

test('an open channel keeps the process, an unreferenced one that beats does not', async () => {
  for (const [mode, expected] of [
    ['unref', 'ended by itself\n'],
    ['ref', ''],
  ] as const) {
    const child = spawn(process.execPath, ['--import', fixture('../ts.mjs'), fixture('channel-alone.mjs'), mode], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    })
    let out = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk
    })
    if (mode === 'ref') {
      const control = child.stdio[3] as NodeJS.ReadableStream
      await once(control, 'data')
      expect(child.exitCode).toBeNull()
      child.kill('SIGKILL')
    }
    await once(child, 'close')
    expect(out).toBe(expected)
  }
})

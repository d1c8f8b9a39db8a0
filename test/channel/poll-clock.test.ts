import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { pollClock } from '../../src/channel/poll-clock.js'
import { closeFd, streamPair } from '../../src/os/fds.js'
import { native } from '../../src/os/native.js'

/** Blocks the thread, so that timer and data are both due when the loop runs again. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

async function whichComesFirst(arm: (fire: () => void) => void): Promise<string[]> {
  const [ours, theirs] = streamPair()
  const order: string[] = []
  const socket = new Socket({ fd: ours })
  const data = new Promise<void>((resolve) => socket.once('data', () => resolve(void order.push('frame'))))
  const fired = new Promise<void>((resolve) => arm(() => resolve(void order.push('timer'))))
  await new Promise(setImmediate)
  native.send(theirs, Buffer.from('x'))
  block(30)
  await Promise.all([data, fired])
  socket.destroy()
  closeFd(theirs)
  return order
}

test('a frame that waits in the socket is delivered before a timer that expired meanwhile', async () => {
  expect(await whichComesFirst((fire) => void pollClock.setTimeout(fire, 5))).toEqual(['frame', 'timer'])
})

test('an ordinary timer would come first: that is the race this clock removes', async () => {
  expect(await whichComesFirst((fire) => void setTimeout(fire, 5))).toEqual(['timer', 'frame'])
})

test('the frame that was waiting disarms the expired timer: it never fires', async () => {
  const [ours, theirs] = streamPair()
  const socket = new Socket({ fd: ours })
  let fired = false
  const timer = pollClock.setTimeout(() => {
    fired = true
  }, 5)
  const data = new Promise<void>((resolve) =>
    socket.once('data', () => {
      pollClock.clearTimeout(timer)
      resolve()
    }),
  )
  await new Promise(setImmediate)
  native.send(theirs, Buffer.from('x'))
  block(30)
  await data
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  expect(fired).toBe(false)
  socket.destroy()
  closeFd(theirs)
})

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { native } from '../../src/os/native.js'
import { checkLeaks, codeOf, fixture } from '../os/support.js'

checkLeaks()

const { SOCK_STREAM, POLL_READABLE, POLL_WRITABLE } = native.constants

function nextEvent(fd: number, events: number): Promise<{ events: number; failed: boolean }> {
  return new Promise((resolve) => {
    const poll = new native.Poll(fd, (seen, failed) => {
      poll.close()
      resolve({ events: seen, failed })
    })
    poll.start(events)
  })
}

test('tells when there is something to read, and when there is room to write', async () => {
  const [a, b] = native.socketpair(SOCK_STREAM)
  expect(await nextEvent(a, POLL_WRITABLE)).toEqual({ events: POLL_WRITABLE, failed: false })
  const readable = nextEvent(a, POLL_READABLE)
  native.send(b, new Uint8Array(1))
  expect(await readable).toEqual({ events: POLL_READABLE, failed: false })
  native.close(a)
  native.close(b)
})

test('a peer that died with our bytes unread makes the fd fail; the error is still there to be read', async () => {
  const [a, b] = native.socketpair(SOCK_STREAM)
  native.send(a, new Uint8Array(1))
  native.send(b, Buffer.from('last'))
  native.close(b)
  expect((await nextEvent(a, POLL_READABLE)).failed).toBe(true)
  const into = new Uint8Array(8)
  expect(native.recv(a, into)).toBe(4)
  expect(codeOf(() => native.recv(a, into))).toBe('ECONNRESET')
  native.close(a)
})

test('a closed watcher is silent and harmless', async () => {
  const [a, b] = native.socketpair(SOCK_STREAM)
  const poll = new native.Poll(a, () => {
    throw new Error('called after close')
  })
  poll.start(POLL_WRITABLE)
  poll.close()
  poll.close()
  poll.start(POLL_WRITABLE)
  poll.stop()
  poll.ref()
  poll.unref()
  native.close(a)
  native.close(b)
  await new Promise((resolve) => setImmediate(resolve))
})

test('one fd has one watcher; its number may be watched again after close', async () => {
  const [a, b] = native.socketpair(SOCK_STREAM)
  const first = new native.Poll(a, () => {})
  first.start(POLL_READABLE)
  expect(codeOf(() => new native.Poll(a, () => {}))).toBe('EEXIST')
  first.close()
  expect((await nextEvent(a, POLL_WRITABLE)).failed).toBe(false)
  native.close(a)
  native.close(b)
})

test('an exception in the callback is an uncaught exception, as in any other callback of Node', () => {
  const run = spawnSync(process.execPath, [fixture('poll-throws.mjs')], { encoding: 'utf8' })
  expect(run.stdout).toBe('caught: from the callback\n')
  expect(run.status).toBe(0)
})

test('an open watcher keeps the process running, an unreferenced one does not', () => {
  const run = spawnSync(process.execPath, [fixture('poll-unref.mjs')], { encoding: 'utf8' })
  expect(run.stdout).toBe('end of the loop\n')
  expect(run.status).toBe(0)
})

test('a worker thread can end with an open watcher and a beating writer', async () => {
  const worker = new Worker(fileURLToPath(new URL('../fixtures/os/poll-worker.mjs', import.meta.url)))
  const [fds] = (await once(worker, 'message')) as [number[]]
  expect(await worker.terminate()).toBe(1)
  for (const fd of fds) native.close(fd)
})

test('watchers are collected after close: ten thousand leave nothing behind', async () => {
  const [a, b] = native.socketpair(SOCK_STREAM)
  for (let i = 0; i < 10_000; i += 1) {
    const poll = new native.Poll(a, () => {})
    poll.start(POLL_READABLE)
    poll.close()
    if (i % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  expect((await nextEvent(a, POLL_WRITABLE)).failed).toBe(false)
  native.close(a)
  native.close(b)
})

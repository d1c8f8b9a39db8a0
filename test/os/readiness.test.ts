import { expect, test } from 'vitest'
import { openFds } from '../../src/os/fds.js'
import { native } from '../../src/os/native.js'
import { type Watch, watchFd } from '../../src/os/readiness.js'

const { SOCK_STREAM, POLL_READABLE, POLL_WRITABLE, POLL_DISCONNECT } = native.constants

/** A watched end and its peer; `told` resolves at the next word. */
function watched() {
  const [fd, peer] = native.socketpair(SOCK_STREAM)
  let calls = 0
  let wake = () => {}
  const watch: Watch = watchFd(fd, () => {
    calls += 1
    wake()
  })
  return {
    fd,
    peer,
    watch,
    calls: () => calls,
    told: () => new Promise<void>((resolve) => (wake = resolve)),
    close(shared = false) {
      watch.end(shared)
      native.close(fd)
    },
  }
}

/** Everything that is ready has been told by then. */
const turns = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

test('tells once for each time it is wanted, however long the fd stays ready', async () => {
  const { watch, peer, calls, told, close } = watched()
  native.send(peer, Buffer.from('x'))
  watch.want(POLL_READABLE)
  await told()
  await turns()
  expect(calls()).toBe(1)
  watch.want(POLL_READABLE)
  await told()
  expect(calls()).toBe(2)
  close()
  native.close(peer)
})

test('what is wanted can change, and a peer that leaves is told whatever is wanted', async () => {
  const { watch, peer, told, close, calls } = watched()
  watch.want(POLL_READABLE)
  await turns()
  expect(calls()).toBe(0)
  watch.want(POLL_WRITABLE)
  await told()
  watch.want(POLL_DISCONNECT)
  await turns()
  expect(calls()).toBe(1)
  native.close(peer)
  await told()
  close()
})

test('an fd that was given to another process is no longer watched, and its number may be another connection', async () => {
  const { fd, watch, peer, calls, close } = watched()
  const copy = native.dup(fd, 3)
  watch.want(POLL_READABLE)
  close(true)
  const [next, nextPeer] = native.socketpair(SOCK_STREAM)
  native.send(peer, Buffer.from('for the other holder'))
  await turns()
  expect(calls()).toBe(0)
  for (const open of [copy, peer, next, nextPeer]) native.close(open)
})

test('one that is closed by another one of the same moment is not told', async () => {
  const first = watched()
  const second = watched()
  const order: string[] = []
  const copies: number[] = []
  const [a, b] = [first, second].map(({ fd, peer }, n) => {
    native.send(peer, Buffer.from('x'))
    const copy = native.dup(fd, 3)
    copies.push(copy)
    const watch = watchFd(copy, () => {
      order.push(String(n))
      const other = n === 0 ? b : a
      other?.end(false)
    })
    return watch
  })
  a?.want(POLL_READABLE)
  b?.want(POLL_READABLE)
  await turns()
  expect(order).toHaveLength(1)
  for (const copy of copies) native.close(copy)
  for (const one of [first, second]) {
    one.close()
    native.close(one.peer)
  }
})

test('one callback that throws costs the others nothing', async () => {
  const many = Array.from({ length: 600 }, () => native.socketpair(SOCK_STREAM))
  const thrown: unknown[] = []
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => thrown.push(error))
  let calls = 0
  const watches = many.map(([fd], n) =>
    watchFd(fd, () => {
      calls += 1
      if (n === 300) throw new Error('one of many')
    }),
  )
  try {
    for (const [, peer] of many) native.send(peer, Buffer.from('x'))
    for (const watch of watches) watch.want(POLL_READABLE)
    await turns()
    expect(calls).toBe(600)
    expect(thrown).toEqual([new Error('one of many')])
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
    for (const watch of watches) watch.end(false)
    for (const pair of many) for (const fd of pair) native.close(fd)
  }
})

test('nothing is left over', async () => {
  const before = openFds().size
  for (let round = 0; round < 200; round++) {
    const { watch, peer, close, told } = watched()
    native.send(peer, Buffer.from('x'))
    watch.want(POLL_READABLE)
    await told()
    close()
    native.close(peer)
  }
  expect(openFds().size).toBe(before)
})

import { spawnSync } from 'node:child_process'
import { fstatSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { native } from '../../src/os/native.js'
import { checkLeaks, codeOf, fixture } from '../os/support.js'

checkLeaks()

const { SOCK_STREAM, MAX_FDS } = native.constants
const opened: number[] = []
afterEach(() => {
  for (const fd of opened.splice(0)) native.close(fd)
})
function pair(): [number, number] {
  const made = native.socketpair(SOCK_STREAM)
  opened.push(...made)
  return made
}
const bytes = (text: string): Uint8Array => Buffer.from(text)
const inode = (fd: number): number => fstatSync(fd).ino

test('descriptors arrive as the same open files, close-on-exec, in order', () => {
  const [a, b] = pair()
  const [x, y] = pair()
  expect(native.sendmsg(a, bytes('hello'), [x, y, x])).toBe(5)
  const into = new Uint8Array(64)
  const received = native.recvmsg(b, into, MAX_FDS)
  opened.push(...received.fds)
  expect(received).toMatchObject({ count: 5, truncated: false })
  expect(received.fds.map(inode)).toEqual([x, y, x].map(inode))
  expect(received.fds.map((fd) => native.getCloseOnExec(fd))).toEqual([true, true, true])
})

test('253 descriptors fit into one message, 254 are refused', () => {
  const [a, b] = pair()
  expect(MAX_FDS).toBe(253)
  native.sendmsg(a, bytes('x'), Array<number>(253).fill(a))
  const received = native.recvmsg(b, new Uint8Array(1), MAX_FDS)
  opened.push(...received.fds)
  expect(received.fds).toHaveLength(253)
  expect(received.truncated).toBe(false)
  expect(codeOf(() => native.sendmsg(a, bytes('x'), Array<number>(254).fill(a)))).toBe('EINVAL')
})

test('what a receiver has no room for is reported as truncated, and what came is handed out', () => {
  const [a, b] = pair()
  native.sendmsg(a, bytes('x'), [a, a, a, a, a, a])
  const received = native.recvmsg(b, new Uint8Array(1), 2)
  opened.push(...received.fds)
  expect(received.truncated).toBe(true)
  expect(received.fds.length).toBeGreaterThanOrEqual(2)
  expect(received.fds.length).toBeLessThan(6)
})

test('a receiver at its limit of open files sees the truncation and owns exactly what it was told of', () => {
  const [a, b] = pair()
  native.sendmsg(a, bytes('x'), Array<number>(200).fill(a))
  const run = spawnSync(
    'sh',
    ['-c', `ulimit -n 60; exec "$0" "$1"`, process.execPath, fixture('receive-at-limit.mjs')],
    {
      stdio: ['ignore', 'pipe', 'inherit', b],
      encoding: 'utf8',
    },
  )
  const seen = JSON.parse(run.stdout) as { truncated: boolean; fds: number; opened: number }
  expect(seen.truncated).toBe(true)
  expect(seen.fds).toBeGreaterThan(0)
  expect(seen.fds).toBeLessThan(60)
  expect(seen.opened).toBe(seen.fds)
})

test('a receive that asks for no descriptors gets none, and none is left behind', () => {
  const [a, b] = pair()
  native.sendmsg(a, bytes('x'), [a])
  expect(native.recvmsg(b, new Uint8Array(8), 0)).toEqual({ count: 1, fds: [], truncated: true })
})

test('sends never wait and never signal', () => {
  const [a, b] = pair()
  const full = new Uint8Array(1 << 16)
  expect(
    codeOf(() => {
      for (;;) native.send(a, full)
    }),
  ).toBe('EAGAIN')
  expect(codeOf(() => native.recvmsg(a, full, 1))).toBe('EAGAIN')
  native.shutdown(b, native.constants.SHUT_RDWR)
  expect(codeOf(() => native.send(a, full))).toBe('EPIPE')
  expect(codeOf(() => native.sendmsg(a, full, [a]))).toBe('EPIPE')
})

test('an iov of exactly 16 bytes takes 16 bytes and the descriptor, and leaves the rest to the next reader', () => {
  const [a, b] = pair()
  native.sendmsg(a, bytes('0123456789abcdef'), [a])
  native.send(a, bytes('then a frame'))
  const token = new Uint8Array(16)
  const received = native.recvmsg(b, token, 1)
  opened.push(...received.fds)
  expect(received).toMatchObject({ count: 16, truncated: false })
  expect(received.fds).toHaveLength(1)
  expect(Buffer.from(token).toString()).toBe('0123456789abcdef')
  const rest = new Uint8Array(64)
  expect(Buffer.from(rest.subarray(0, native.recv(b, rest))).toString()).toBe('then a frame')
})

test('pidfd_getfd takes a descriptor out of a living process', () => {
  const [a] = pair()
  const pidfd = native.pidfdOpen(process.pid)
  opened.push(pidfd)
  const copy = native.pidfdGetfd(pidfd, a)
  opened.push(copy)
  expect(inode(copy)).toBe(inode(a))
  expect(native.getCloseOnExec(copy)).toBe(true)
  native.pidfdSendSignal(pidfd, 0)
  expect(codeOf(() => native.pidfdOpen(2 ** 22 - 1))).toMatch(/ESRCH|EINVAL/)
})

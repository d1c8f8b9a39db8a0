import { closeSync, openSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  closeFd,
  describeFd,
  dup,
  isCloseOnExec,
  isNonBlocking,
  openFds,
  openFilesLimit,
  pendingBytes,
  setCloseOnExec,
  setNonBlocking,
  streamPair,
} from '../../src/os/fds.js'
import { bindListener } from '../../src/os/listeners.js'
import { native } from '../../src/os/native.js'
import { checkLeaks, codeOf, useTempDir } from './support.js'

checkLeaks()
const dir = useTempDir()

test('a copy is close-on-exec, above stdio, and lives on its own', () => {
  const [a, b] = streamPair()
  const copy = dup(a)
  expect(copy).toBeGreaterThanOrEqual(3)
  expect(isCloseOnExec(copy)).toBe(true)
  closeFd(a)
  native.send(copy, new Uint8Array(3))
  expect(pendingBytes(b)).toBe(3)
  closeFd(copy)
  closeFd(b)
  expect(codeOf(() => closeFd(b))).toBe('EBADF')
})

test('close-on-exec belongs to the fd, non-blocking to everybody who shares the open file', () => {
  const [a, b] = streamPair()
  const copy = dup(a)
  setCloseOnExec(copy, false)
  setNonBlocking(copy)
  expect([isCloseOnExec(a), isCloseOnExec(copy)]).toEqual([true, false])
  expect([isNonBlocking(a), isNonBlocking(copy), isNonBlocking(b)]).toEqual([true, true, false])
  setNonBlocking(a, false)
  expect(isNonBlocking(copy)).toBe(false)
  for (const fd of [a, b, copy]) closeFd(fd)
})

test('an fd is described by what the kernel says it is', () => {
  const [a, b] = streamPair()
  const listener = bindListener({ name: 'x', address: '127.0.0.1:0' })
  const file = openSync(`${dir.path}/file`, 'w')
  const directory = openSync(dir.path, 'r')
  const nothing = openSync('/dev/null', 'r')
  expect(describeFd(file)).toEqual({ fd: file, kind: 'file' })
  expect(describeFd(directory)).toEqual({ fd: directory, kind: 'directory' })
  expect(describeFd(nothing)).toEqual({ fd: nothing, kind: 'character' })
  expect(describeFd(a)).toMatchObject({
    kind: 'socket',
    socket: { type: 'stream', family: 'unix', listening: false, peer: { family: 'unix', path: '' } },
  })
  expect(describeFd(listener.fd)).toMatchObject({
    kind: 'socket',
    socket: { type: 'stream', family: 'IPv4', listening: true, local: { address: '127.0.0.1' }, peer: null },
  })
  listener.close()
  for (const fd of [a, b]) closeFd(fd)
  for (const fd of [file, directory, nothing]) closeSync(fd)
  expect(codeOf(() => describeFd(file))).toBe('EBADF')
})

test('sequenced packets and datagrams are told from streams', () => {
  const { AF_INET, SOCK_DGRAM, SOCK_SEQPACKET } = native.constants
  const [a, b] = native.socketpair(SOCK_SEQPACKET)
  const datagram = native.socket(AF_INET, SOCK_DGRAM)
  expect(describeFd(a).socket?.type).toBe('seqpacket')
  expect(describeFd(datagram).socket?.type).toBe('datagram')
  for (const fd of [a, b, datagram]) closeFd(fd)
})

test('open fds are listed with what they lead to', () => {
  const before = openFds()
  const [a, b] = streamPair()
  const during = openFds()
  expect(during.get(a)).toMatch(/^socket:/)
  expect([...during.keys()].filter((fd) => !before.has(fd))).toEqual(expect.arrayContaining([a, b]))
  closeFd(a)
  closeFd(b)
  expect(openFilesLimit().soft).toBeGreaterThan(during.size)
})

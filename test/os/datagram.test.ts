import { expect, test } from 'vitest'
import { sendDatagram } from '../../src/os/datagram.js'
import { closeFd } from '../../src/os/fds.js'
import { native } from '../../src/os/native.js'
import { checkLeaks, codeOf, useTempDir } from './support.js'

checkLeaks()
const dir = useTempDir()
const { AF_UNIX, SOCK_DGRAM } = native.constants

function receiver(name: string): number {
  const fd = native.socket(AF_UNIX, SOCK_DGRAM)
  native.bindUnix(fd, name)
  return fd
}
function read(fd: number): string {
  const into = new Uint8Array(4096)
  return Buffer.from(into.subarray(0, native.recv(fd, into))).toString()
}

test('a datagram reaches a path, whole', () => {
  const fd = receiver(`${dir.path}/notify`)
  sendDatagram(`${dir.path}/notify`, Buffer.from('READY=1\nSTATUS=serving'))
  expect(read(fd)).toBe('READY=1\nSTATUS=serving')
  closeFd(fd)
})

test.runIf(process.platform === 'linux')('an abstract name is met at its exact length', () => {
  const name = `handoff-test-${process.pid}`
  const fd = receiver(`\0${name}`)
  expect(native.getsockname(fd)).toEqual({ family: 'unix', path: `\0${name}` })
  sendDatagram(`@${name}`, Buffer.from('READY=1'))
  expect(read(fd)).toBe('READY=1')
  expect(codeOf(() => sendDatagram(`@${name}\0`, Buffer.from('x')))).toBe('ECONNREFUSED')
  closeFd(fd)
})

test('nobody there is an error and leaves nothing open', () => {
  expect(codeOf(() => sendDatagram(`${dir.path}/none`, Buffer.from('x')))).toBe('ENOENT')
  expect(codeOf(() => sendDatagram(`${dir.path}/${'x'.repeat(200)}`, Buffer.from('x')))).toBe('ENAMETOOLONG')
})

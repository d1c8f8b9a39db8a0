import { once } from 'node:events'
import { lstatSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { closeFd, describeFd, dup, isCloseOnExec, isNonBlocking } from '../../src/os/fds.js'
import {
  bindListener,
  bindListeners,
  checkListenerNames,
  formatAddress,
  parseAddress,
  queueFacts,
} from '../../src/os/listeners.js'
import type { SocketName } from '../../src/os/native.js'
import { checkLeaks, codeOf, until, useTempDir } from './support.js'

checkLeaks()
const dir = useTempDir()

const portOf = (name: SocketName): number => (name.family === 'IPv4' || name.family === 'IPv6' ? name.port : 0)

describe('addresses', () => {
  test.each([
    ['127.0.0.1:8080', { kind: 'tcp', host: '127.0.0.1', port: 8080 }],
    ['[::1]:80', { kind: 'tcp', host: '::1', port: 80 }],
    ['[::]:0', { kind: 'tcp', host: '::', port: 0 }],
    ['localhost:1', { kind: 'tcp', host: '127.0.0.1', port: 1 }],
    ['8080', { kind: 'tcp', host: null, port: 8080 }],
    [':8080', { kind: 'tcp', host: null, port: 8080 }],
    ['*:8080', { kind: 'tcp', host: null, port: 8080 }],
    ['unix:/run/x.sock', { kind: 'unix', path: '/run/x.sock' }],
    ['/run/x.sock', { kind: 'unix', path: '/run/x.sock' }],
  ])('%s', (text, parsed) => {
    expect(parseAddress(text)).toEqual(parsed)
    expect(parseAddress(formatAddress(parseAddress(text)))).toEqual(parsed)
  })

  test.each([
    '',
    ':',
    'x',
    '127.0.0.1',
    '::1:80',
    '[::1]',
    '[zz]:80',
    '1.2.3:80',
    'host.example:80',
    ':65536',
    ':-1',
    ':1x',
    'unix:x.sock',
  ])('refuses %j', (text) => expect(codeOf(() => parseAddress(text))).toBe('ERR_HANDOFF_USAGE_ADDRESS'))

  test('what the kernel has bound is printed in the same form', () => {
    expect(formatAddress({ family: 'IPv6', address: '::1', port: 5 })).toBe('[::1]:5')
    expect(formatAddress({ family: 'unix', path: '/x' })).toBe('unix:/x')
  })
})

test('names must survive LISTEN_FDNAMES: no colon, nothing empty, each once', () => {
  checkListenerNames(['http', 'http-2', 'a.b_C9'])
  for (const names of [['a:b'], [''], ['a b'], ['ü'], ['x'.repeat(256)], ['a', 'a']]) {
    expect(codeOf(() => checkListenerNames(names))).toBe('ERR_HANDOFF_USAGE_LISTENER_NAME')
  }
})

test('a TCP listener is bound, listening, close-on-exec and blocking, with the real port', () => {
  const listener = bindListener({ name: 'http', address: '127.0.0.1:0' })
  expect(portOf(listener.address)).toBeGreaterThan(0)
  expect(describeFd(listener.fd).socket).toMatchObject({ type: 'stream', listening: true, local: listener.address })
  expect([isCloseOnExec(listener.fd), isNonBlocking(listener.fd)]).toEqual([true, false])
  listener.close()
  listener.close()
  expect(codeOf(() => describeFd(listener.fd))).toBe('EBADF')
})

test('clients connect and wait while nobody accepts; the one who accepts later gets them all (INV-04)', async () => {
  const listener = bindListener({ name: 'http', address: '127.0.0.1:0' })
  const clients = Array.from({ length: 600 }, () => connect(portOf(listener.address), '127.0.0.1'))
  await Promise.all(clients.map((client) => once(client, 'connect')))
  expect(queueFacts(listener.fd)).toEqual({ queued: 600, backlog: 4096 })

  const accepted: Socket[] = []
  const server = createServer((socket) => accepted.push(socket))
  const copy = dup(listener.fd)
  // Positional: the backlog inside of the options object is ignored, and the queue would shrink to 511.
  server.listen({ fd: copy }, 4096)
  await until(() => accepted.length === 600)
  expect(queueFacts(listener.fd)).toEqual({ queued: 0, backlog: 4096 })
  for (const socket of [...clients, ...accepted]) socket.destroy()
  server.close()
  await once(server, 'close')
  expect(describeFd(listener.fd).socket?.listening).toBe(true)
  listener.close()
})

test('the backlog is what was asked for', () => {
  const listener = bindListener({ name: 'http', address: '127.0.0.1:0', backlog: 7 })
  expect(queueFacts(listener.fd)).toEqual({ queued: 0, backlog: 7 })
  listener.close()
})

test('a taken port is one clear error with the kernel’s own behind it, and nothing stays open', () => {
  const listener = bindListener({ name: 'one', address: '127.0.0.1:0' })
  const address = formatAddress(listener.address)
  expect(() => bindListener({ name: 'two', address })).toThrow(
    expect.objectContaining({
      code: 'ERR_HANDOFF_LISTEN',
      happened: `cannot listen on two (${address}): EADDRINUSE: address already in use, bind`,
      cause: expect.objectContaining({ code: 'EADDRINUSE', syscall: 'bind' }),
    }),
  )
  listener.close()
})

test('a port can be bound again at once after its listener had clients', async () => {
  const first = bindListener({ name: 'x', address: '127.0.0.1:0' })
  const client = connect(portOf(first.address), '127.0.0.1')
  client.on('error', () => {})
  await once(client, 'connect')
  const closed = new Promise((resolve) => client.once('close', resolve))
  first.close()
  await closed
  bindListener({ name: 'x', address: formatAddress(first.address) }).close()
})

test('SO_REUSEPORT only on request', () => {
  const shared = bindListener({ name: 'a', address: '127.0.0.1:0', reusePort: true })
  const address = formatAddress(shared.address)
  bindListener({ name: 'b', address, reusePort: true }).close()
  expect(codeOf(() => bindListener({ name: 'c', address }))).toBe('ERR_HANDOFF_LISTEN')
  shared.close()
})

test('no host means every address; v6only leaves the IPv4 port free', async () => {
  const both = bindListener({ name: 'a', address: ':0' })
  const client = connect(portOf(both.address), '127.0.0.1')
  await once(client, 'connect')
  client.destroy()
  both.close()
  if (both.address.family !== 'IPv6') return
  const v6 = bindListener({ name: 'b', address: '[::]:0', v6only: true })
  bindListener({ name: 'c', address: `0.0.0.0:${portOf(v6.address)}` }).close()
  v6.close()
})

test('several listeners come together or not at all', () => {
  const [a, b] = bindListeners([
    { name: 'a', address: '127.0.0.1:0' },
    { name: 'b', address: `unix:${dir.path}/b.sock` },
  ])
  expect(a?.name).toBe('a')
  expect(
    codeOf(() =>
      bindListeners([
        { name: 'c', address: '127.0.0.1:0' },
        { name: 'd', address: formatAddress(a?.address as SocketName) },
      ]),
    ),
  ).toBe('ERR_HANDOFF_LISTEN')
  a?.close()
  b?.close()
  expect(readdirSync(dir.path)).toEqual([])
})

describe('Unix paths', () => {
  test('appear with mode 0600 under their own name only, and go with the listener', async () => {
    const path = `${dir.path}/x.sock`
    const listener = bindListener({ name: 'x', address: path })
    expect(readdirSync(dir.path)).toEqual(['x.sock'])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(listener.address).toEqual({ family: 'unix', path })
    expect(queueFacts(listener.fd)).toBeNull()
    expect([isCloseOnExec(listener.fd), isNonBlocking(listener.fd)]).toEqual([true, false])
    const client = connect(path)
    await once(client, 'connect')
    client.destroy()
    listener.close()
    expect(readdirSync(dir.path)).toEqual([])
  })

  test('a path that a dead process left is taken over', () => {
    const path = `${dir.path}/x.sock`
    const dead = bindListener({ name: 'x', address: path })
    closeFd(dead.fd)
    expect(lstatSync(path).isSocket()).toBe(true)
    const listener = bindListener({ name: 'x', address: path })
    listener.close()
  })

  test('a living one is left alone', () => {
    const path = `${dir.path}/x.sock`
    const living = bindListener({ name: 'x', address: path, backlog: 1 })
    expect(codeOf(() => bindListener({ name: 'y', address: path }))).toBe('ERR_HANDOFF_SOCKET_PATH_BUSY')
    living.close()
  })

  test('what is not a socket is never replaced', () => {
    writeFileSync(`${dir.path}/file`, 'precious')
    symlinkSync(`${dir.path}/file`, `${dir.path}/link`)
    for (const name of ['file', 'link']) {
      expect(codeOf(() => bindListener({ name: 'x', address: `${dir.path}/${name}` }))).toBe(
        'ERR_HANDOFF_SOCKET_PATH_BUSY',
      )
    }
    expect(readdirSync(dir.path)).toEqual(['file', 'link'])
  })

  test('too long for the kernel is said with the number', () => {
    const path = `${dir.path}/${'x'.repeat(200)}`
    expect(() => bindListener({ name: 'x', address: path })).toThrow(
      expect.objectContaining({
        code: 'ERR_HANDOFF_SOCKET_PATH_TOO_LONG',
        happened: expect.stringContaining('the kernel takes 107'),
      }),
    )
  })

  test('the longest legal path works, although its staging name is longer', async () => {
    const path = `${dir.path}/${'x'.repeat(107 - dir.path.length - 1)}`
    expect(path).toHaveLength(107)
    const listener = bindListener({ name: 'x', address: path })
    const client = connect(path)
    await once(client, 'connect')
    client.destroy()
    listener.close()
    expect(readdirSync(dir.path)).toEqual([])
  })

  test('a missing directory is a clear error', () => {
    expect(codeOf(() => bindListener({ name: 'x', address: `${dir.path}/no/x.sock` }))).toBe('ERR_HANDOFF_LISTEN')
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { acceptOn } from '../../src/os/acceptor.js'
import { closeFd, describeFd, isCloseOnExec, isNonBlocking, streamPair } from '../../src/os/fds.js'
import { checkPathIsFree } from '../../src/os/listeners.js'
import { native } from '../../src/os/native.js'
import {
  dialOnce,
  dialUnix,
  peerCredentials,
  restingSocket,
  socketFromFd,
  stageUnixServer,
  startReading,
  sweepStagedSockets,
} from '../../src/os/unix-socket.js'
import { checkLeaks, codeOf, unprivileged, until, useTempDir } from './support.js'

checkLeaks()
const dir = useTempDir()

test('a staged server listens before it is published, and appears in one rename', () => {
  const path = `${dir.path}/c.sock`
  const server = stageUnixServer(path)
  expect(existsSync(path)).toBe(false)
  expect(statSync(server.stagingPath).mode & 0o777).toBe(0o600)
  expect(describeFd(server.fd).socket?.listening).toBe(true)
  expect([isCloseOnExec(server.fd), isNonBlocking(server.fd)]).toEqual([true, true])
  server.publish()
  server.publish()
  expect(readdirSync(dir.path)).toEqual(['c.sock'])
  const outcome = dialOnce(path)
  expect(outcome.ok).toBe(true)
  if (outcome.ok) closeFd(outcome.fd)
  server.close()
  server.close()
  expect(readdirSync(dir.path)).toEqual([])
})

test('a second server takes the path over; the first one, going later, leaves it alone (INV-09)', () => {
  const path = `${dir.path}/c.sock`
  const first = stageUnixServer(path)
  first.publish()
  const second = stageUnixServer(path)
  second.publish()
  first.close()
  expect(readdirSync(dir.path)).toEqual(['c.sock'])
  const outcome = dialOnce(path)
  expect(outcome.ok).toBe(true)
  if (outcome.ok) closeFd(outcome.fd)
  second.close()
  expect(readdirSync(dir.path)).toEqual([])
})

test('from the first server to the last nobody who dials is refused (INV-09)', () => {
  const path = `${dir.path}/c.sock`
  let current = stageUnixServer(path)
  current.publish()
  for (let i = 0; i < 50; i += 1) {
    const next = stageUnixServer(path)
    const before = dialOnce(path)
    next.publish()
    const after = dialOnce(path)
    expect([before.ok, after.ok]).toEqual([true, true])
    for (const outcome of [before, after]) if (outcome.ok) closeFd(outcome.fd)
    current.close()
    current = next
  }
  current.close()
})

test('a staged server that is never published leaves nothing', () => {
  stageUnixServer(`${dir.path}/c.sock`).close()
  expect(readdirSync(dir.path)).toEqual([])
})

test('staging names of dead processes are swept, those of living ones and strangers stay', async () => {
  const child = spawn('true')
  await once(child, 'exit')
  const path = `${dir.path}/c.sock`
  writeFileSync(`${dir.path}/.c.sock.staging-${child.pid}-1`, '')
  writeFileSync(`${dir.path}/.c.sock.staging-mine`, '')
  writeFileSync(`${dir.path}/.other.sock.staging-${child.pid}-1`, '')
  // Dead here, but it answers: a process of another pid namespace.
  const living = native.socket(native.constants.AF_UNIX, native.constants.SOCK_STREAM)
  native.bindUnix(living, `${dir.path}/.c.sock.staging-${child.pid}-2`)
  native.listen(living, 1)
  const server = stageUnixServer(path)
  sweepStagedSockets(path)
  expect(readdirSync(dir.path).sort()).toEqual(
    [
      server.stagingPath.slice(dir.path.length + 1),
      '.c.sock.staging-mine',
      `.c.sock.staging-${child.pid}-2`,
      `.other.sock.staging-${child.pid}-1`,
    ].sort(),
  )
  closeFd(living)
  server.close()
})

test('dialling says what is wrong', async () => {
  const path = `${dir.path}/c.sock`
  expect(await dialUnix(path)).toMatchObject({ ok: false, why: 'absent', error: { code: 'ERR_HANDOFF_DIAL' } })
  const server = stageUnixServer(path, { backlog: 0 })
  server.publish()
  const held: number[] = []
  for (let outcome = dialOnce(path); outcome.ok; outcome = dialOnce(path)) held.push(outcome.fd)
  expect(await dialUnix(path, { timeoutMs: 30 })).toMatchObject({ ok: false, why: 'busy' })

  const aborted = AbortSignal.abort(new Error('no longer wanted'))
  await expect(dialUnix(path, { signal: aborted })).rejects.toThrow('no longer wanted')

  // Room again: a dial that was waiting gets through.
  const waiting = dialUnix(path, { timeoutMs: 60_000 })
  held.push(native.accept(server.fd))
  const outcome = await waiting
  expect(outcome.ok).toBe(true)
  if (outcome.ok) held.push(outcome.fd)

  closeFd(server.fd)
  expect(dialOnce(path)).toMatchObject({ ok: false, why: 'refused' })
  for (const fd of held) closeFd(fd)
  writeFileSync(`${dir.path}/file`, '')
  expect(dialOnce(`${dir.path}/file`)).toMatchObject({ ok: false, why: 'refused' })
  expect(codeOf(() => stageUnixServer(`${dir.path}/${'x'.repeat(120)}`))).toBe('ERR_HANDOFF_SOCKET_PATH_TOO_LONG')
  await expect(dialUnix(`${dir.path}/${'x'.repeat(120)}`)).rejects.toMatchObject({
    code: 'ERR_HANDOFF_SOCKET_PATH_TOO_LONG',
  })
})

test('a path whose mode keeps us out is denied', () => {
  const path = `${dir.path}/c.sock`
  const server = stageUnixServer(path, { mode: 0o000 })
  server.publish()
  chmodSync(dir.path, 0o755)
  expect(unprivileged(() => dialOnce(path))).toMatchObject({ ok: false, why: 'denied' })
  expect(codeOf(() => unprivileged(() => checkPathIsFree(path)))).toBe('ERR_HANDOFF_SOCKET_PATH_BUSY')
  server.close()
})

test('the kernel names the peer, by fd and by net.Socket', async () => {
  const path = `${dir.path}/c.sock`
  const server = stageUnixServer(path)
  server.publish()
  const client = connect(path)
  await once(client, 'connect')
  const accepted = native.accept(server.fd)
  const me = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() }
  expect(peerCredentials(accepted)).toEqual(me)
  expect(peerCredentials(client)).toEqual(me)
  const peer = native.peerPidfd(accepted)
  native.pidfdSendSignal(peer, 0)
  closeFd(peer)
  const socket = socketFromFd(accepted)
  socket.end('bye')
  const [said] = (await once(client, 'data')) as [Buffer]
  expect(said.toString()).toBe('bye')
  client.destroy()
  await Promise.all([once(client, 'close'), once(socket, 'close')])
  expect(() => peerCredentials(client)).toThrow(TypeError)
  server.close()
})

test('the acceptor hands out every connection, pauses, resumes and ends', async () => {
  const path = `${dir.path}/c.sock`
  const server = stageUnixServer(path)
  server.publish()
  const accepted: number[] = []
  const acceptor = acceptOn(server.fd, { onConnection: (fd) => accepted.push(fd) })
  const dialled: number[] = []
  const dial = (): void => {
    const outcome = dialOnce(path)
    if (outcome.ok) dialled.push(outcome.fd)
  }
  for (let i = 0; i < 100; i += 1) dial()
  await until(() => accepted.length === 100)
  expect(accepted.every((fd) => isCloseOnExec(fd) && isNonBlocking(fd))).toBe(true)
  acceptor.pause()
  dial()
  await new Promise((resolve) => setImmediate(resolve))
  expect(accepted).toHaveLength(100)
  acceptor.resume()
  await until(() => accepted.length === 101)
  acceptor.close()
  for (const fd of [...accepted, ...dialled]) closeFd(fd)
  server.close()
})

test('accepting survives a failing accept: the trouble is told, and later connections are taken', async () => {
  // A connected socket is no listener: accept(2) gives EINVAL there, as EMFILE would elsewhere.
  const [a, b] = streamPair()
  native.send(b, new Uint8Array(1))
  const troubles: unknown[] = []
  const acceptor = acceptOn(a, { onConnection: () => {}, onTrouble: (error) => troubles.push(error) })
  await until(() => troubles.length >= 2)
  expect(troubles[0]).toMatchObject({ code: 'EINVAL', syscall: 'accept' })
  acceptor.close()
  closeFd(a)
  closeFd(b)
})

test('a resting socket leaves every byte and the end in the kernel until it is started', async () => {
  const [near, far] = streamPair()
  native.send(far, Buffer.from('hello'))
  const socket = restingSocket(near)
  const heard: string[] = []
  socket.setEncoding('utf8')
  // Several turns of the loop: a socket that reads would have read.
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  expect(native.pendingBytes(near)).toBe(5)
  expect(socket.bytesRead).toBe(0)
  closeFd(far)
  startReading(socket)
  socket.on('data', (text: string) => heard.push(text))
  await once(socket, 'close')
  expect(heard).toEqual(['hello'])
})

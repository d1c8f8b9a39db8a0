import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, fstatSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { closeFd, streamPair } from '../../src/os/fds.js'
import { bindListener } from '../../src/os/listeners.js'
import { native } from '../../src/os/native.js'
import { isAlive, processStartTime, spawnWithFds, watchProcessExit } from '../../src/os/processes.js'
import { checkLeaks, fixture, useTempDir } from './support.js'

checkLeaks()
const dir = useTempDir()

async function output(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = ''
  for await (const chunk of stream ?? []) text += chunk
  return text
}

test('descriptors stand at 3, 4, … in the order given, whatever their numbers were here', async () => {
  const listeners = [0, 1, 2, 3].map((i) => bindListener({ name: `l${i}`, address: '127.0.0.1:0' }))
  const [ours, theirs] = streamPair()
  // Crossed on purpose: numbers that collide with their targets must not overwrite each other.
  const fds = [...listeners.map((listener) => listener.fd).reverse(), theirs, theirs]
  const started = await spawnWithFds({
    file: process.execPath,
    args: [fixture('fd-inodes.mjs')],
    fds,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const seen = JSON.parse(await output(started.child.stdout)) as { [fd: string]: number }
  expect(await started.exited).toEqual({ code: 0, signal: null })
  expect(fds.map((_, i) => seen[3 + i])).toEqual(fds.map((fd) => fstatSync(fd).ino))
  // Nothing of ours beyond them: every other socket stayed behind.
  const ourInodes = [...listeners.map((listener) => listener.fd), ours, theirs].map((fd) => fstatSync(fd).ino)
  const extra = Object.entries(seen).filter(([fd, ino]) => Number(fd) >= 3 + fds.length && ourInodes.includes(ino))
  expect(extra).toEqual([])
  for (const listener of listeners) listener.close()
  closeFd(ours)
  closeFd(theirs)
})

test('a spawn that executes nothing says why', async () => {
  writeFileSync(`${dir.path}/plain`, 'x')
  writeFileSync(`${dir.path}/script`, '#!/no/such/interpreter\n')
  chmodSync(`${dir.path}/script`, 0o755)
  const [a, b] = streamPair()
  for (const [file, cwd, reason] of [
    ['/no/such/program', undefined, 'no such file'],
    ['no-such-program-on-path', undefined, 'no such file'],
    [`${dir.path}/script`, undefined, 'the interpreter in its #! line does not exist'],
    [`${dir.path}/plain`, undefined, 'EACCES'],
    [`${dir.path}/plain/program`, undefined, 'ENOTDIR'],
    [process.execPath, `${dir.path}/none`, 'its working directory'],
  ] as const) {
    await expect(spawnWithFds({ file, fds: [a], ...(cwd === undefined ? {} : { cwd }) })).rejects.toMatchObject({
      code: 'ERR_HANDOFF_SPAWN',
      happened: expect.stringContaining(reason),
    })
  }
  closeFd(a)
  closeFd(b)
})

test('a name on PATH, environment, working directory and a script with a shebang', async () => {
  writeFileSync(`${dir.path}/script`, '#!/bin/sh\necho "$GREETING from $(pwd -P) $1"\n')
  chmodSync(`${dir.path}/script`, 0o755)
  const started = await spawnWithFds({
    file: 'script',
    args: ['arg'],
    env: { PATH: `${dir.path}:/bin:/usr/bin`, GREETING: 'hello' },
    cwd: dir.path,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  expect(await output(started.child.stdout)).toBe(`hello from ${dir.path} arg\n`)
})

test('the end of a child is its code or its signal, and a kill after it does nothing', async () => {
  const left = await spawnWithFds({ file: 'sh', args: ['-c', 'exit 7'] })
  expect(await left.exited).toEqual({ code: 7, signal: null })
  expect(left.kill('SIGTERM')).toBe(false)
  const killed = await spawnWithFds({ file: 'sleep', args: ['60'] })
  expect(killed.kill('SIGKILL')).toBe(true)
  expect(await killed.exited).toEqual({ code: null, signal: 'SIGKILL' })
  expect(isAlive(killed.pid)).toBe(false)
})

test('the end of a process that is not our child is noticed', async () => {
  // The shell starts it, prints its pid and leaves: from then on it is nobody's, or init's.
  const shell = spawn('sh', ['-c', 'sleep 60 >/dev/null 2>&1 & echo $!'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = Number(await output(shell.stdout))
  expect(isAlive(pid)).toBe(true)
  const startTime = processStartTime(pid)
  const watch = watchProcessExit(pid, { startTime })
  const second = watchProcessExit(pid)
  second.cancel()
  second.cancel()
  process.kill(pid, 'SIGKILL')
  await watch.exited
  watch.cancel()
  // A zombie that nobody reaps is dead all the same.
  expect(isAlive(pid)).toBe(false)
})

test('watching a child takes nothing from its exit event', async () => {
  const child = await spawnWithFds({ file: 'sleep', args: ['60'] })
  const watch = watchProcessExit(child.pid)
  child.kill('SIGTERM')
  await watch.exited
  expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' })
})

test('a process that is gone, or whose pid another one bears now, has ended already', async () => {
  const child = spawn('true')
  await once(child, 'exit')
  await watchProcessExit(child.pid as number).exited
  await watchProcessExit(process.pid, { startTime: '1' }).exited
  expect(isAlive(child.pid as number)).toBe(false)
  expect(processStartTime(child.pid as number)).toBeNull()
})

test('a living process has a start time that does not change, and pid 1 is alive for everybody', () => {
  const own = processStartTime(process.pid)
  expect(own).toMatch(/^\d+$/)
  expect(processStartTime(process.pid)).toBe(own)
  expect([isAlive(process.pid), isAlive(1)]).toEqual([true, true])
})

test('a watch that is not referenced does not keep the process', async () => {
  const child = spawn(
    process.execPath,
    ['--import', fixture('../ts.mjs'), fixture('watch-unref.mjs'), String(process.pid)],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('signals go to the process behind a pidfd, not to whoever bears the pid later', async () => {
  const child = await spawnWithFds({ file: 'sleep', args: ['60'] })
  const pidfd = native.pidfdOpen(child.pid)
  native.pidfdSendSignal(pidfd, 9)
  expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' })
  expect(() => native.pidfdSendSignal(pidfd, 9)).toThrow(expect.objectContaining({ code: 'ESRCH' }))
  closeFd(pidfd)
})

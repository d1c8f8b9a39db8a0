import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, { chmodSync, existsSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, expect, test } from 'vitest'
import { LOCK_FILE, PID_FILE, readPidFile, tryLockDataDir } from '../../src/os/data-dir-lock.js'
import { isCloseOnExec } from '../../src/os/fds.js'
import { checkLeaks, codeOf, fixture, unprivileged, useTempDir } from './support.js'

checkLeaks()
const dir = useTempDir()
const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
})

function lock() {
  const attempt = tryLockDataDir(dir.path)
  if (!attempt.held) throw new Error('held by somebody else')
  return attempt.lock
}

/** Another process that locks the directory and says so; `how` is the code that it uses. */
async function holder(how: 'native' | 'source'): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--import', fixture('../ts.mjs'), fixture('lock-holder.mjs'), how, dir.path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

test('one holder at a time; the pidfile names it; release lets the next one in', () => {
  const first = lock()
  expect(readFileSync(`${dir.path}/${PID_FILE}`, 'utf8')).toBe(`${process.pid}\n`)
  expect(first.warning).toBeNull()
  expect(isCloseOnExec(first.fd)).toBe(true)
  expect(tryLockDataDir(dir.path)).toEqual({ held: false, holderPid: process.pid, holderAlive: true })
  first.release()
  first.release()
  expect(existsSync(`${dir.path}/${PID_FILE}`)).toBe(false)
  expect(existsSync(`${dir.path}/${LOCK_FILE}`)).toBe(true)
  lock().release()
})

test.each(['native', 'source'] as const)(
  'a lock of another process is seen, whichever code asked the kernel for it (%s)',
  async (how) => {
    const child = await holder(how)
    expect(tryLockDataDir(dir.path)).toEqual({
      held: false,
      holderPid: how === 'source' ? child.pid : null,
      holderAlive: true,
    })
    const exited = once(child, 'exit')
    child.stdin?.end()
    await exited
    lock().release()
  },
)

test('after SIGKILL the lock is free at the exit event, and the old pidfile is no obstacle', async () => {
  const child = await holder('source')
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  expect(readPidFile(dir.path)).toBe(child.pid)
  const mine = lock()
  expect(readPidFile(dir.path)).toBe(process.pid)
  mine.release()
})

test('a child does not inherit the lock (INV-01)', async () => {
  const mine = lock()
  const child = spawn('sleep', ['60'])
  children.push(child)
  await once(child, 'spawn')
  mine.release()
  lock().release()
})

test('the lock file is never replaced: the same inode through all holders', async () => {
  lock().release()
  const { ino } = statSync(`${dir.path}/${LOCK_FILE}`)
  const child = await holder('source')
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  lock().release()
  expect(statSync(`${dir.path}/${LOCK_FILE}`).ino).toBe(ino)
})

test('a pidfile of a dead process does not break a lock that the kernel says is held', async () => {
  const gone = spawn('true')
  await once(gone, 'exit')
  await holder('native')
  writeFileSync(`${dir.path}/${PID_FILE}`, `${gone.pid}\n`)
  expect(tryLockDataDir(dir.path)).toEqual({ held: false, holderPid: gone.pid, holderAlive: false })
})

test('a pidfile is a hint: garbage in it, or no room for it, changes nothing', () => {
  for (const garbage of ['', 'x\n', '-1\n', '0\n', '99999999999\n', '12 34\n']) {
    writeFileSync(`${dir.path}/${PID_FILE}`, garbage)
    expect(readPidFile(dir.path)).toBeNull()
    lock().release()
  }
  mkdirSync(`${dir.path}/${PID_FILE}`)
  const mine = lock()
  expect(mine.warning).toMatchObject({ code: 'ERR_HANDOFF_FILE' })
  expect(tryLockDataDir(dir.path)).toMatchObject({ held: false, holderPid: null, holderAlive: true })
  mine.release()
})

test('the pidfile of the next holder survives a late release', () => {
  const mine = lock()
  writeFileSync(`${dir.path}/${PID_FILE}`, '1\n')
  mine.release()
  expect(readPidFile(dir.path)).toBe(1)
})

test('a directory that cannot be locked is one clear error', () => {
  expect(codeOf(() => tryLockDataDir(`${dir.path}/missing`))).toBe('ERR_HANDOFF_LOCK_DIR')
  writeFileSync(`${dir.path}/file`, '')
  expect(codeOf(() => tryLockDataDir(`${dir.path}/file`))).toBe('ERR_HANDOFF_LOCK_DIR')
  mkdirSync(`${dir.path}/blocked`)
  mkdirSync(`${dir.path}/blocked/${LOCK_FILE}`)
  expect(codeOf(() => tryLockDataDir(`${dir.path}/blocked`))).toBe('ERR_HANDOFF_LOCK_DIR')
  chmodSync(dir.path, 0o555)
  expect(codeOf(() => unprivileged(() => tryLockDataDir(dir.path)))).toBe('ERR_HANDOFF_LOCK_DIR')
  chmodSync(dir.path, 0o755)
})

test('a lock file that vanished while it was being locked is not taken for a lock (INV-01)', () => {
  const { openSync } = fs
  fs.openSync = (...args: Parameters<typeof openSync>) => {
    const fd = openSync(...args)
    if (String(args[0]).endsWith(LOCK_FILE)) unlinkSync(args[0])
    return fd
  }
  syncBuiltinESMExports()
  try {
    expect(codeOf(() => tryLockDataDir(dir.path))).toBe('ERR_HANDOFF_LOCK_DIR')
  } finally {
    fs.openSync = openSync
    syncBuiltinESMExports()
  }
  lock().release()
})

test('without fs-ext the addon asks the kernel for the same lock', async () => {
  const child = spawn(
    process.execPath,
    ['--import', fixture('../ts.mjs'), fixture('lock-without-fs-ext.mjs'), dir.path],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const exited = once(child, 'exit')
  const [said] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  expect(JSON.parse(said.toString())).toEqual({ via: 'native', second: { held: false }, again: 'native' })
  await exited
  unlinkSync(`${dir.path}/${LOCK_FILE}`)
})

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tryLockDataDir } from '../../src/os/data-dir-lock.js'
import { holderOf, lockPathOf } from '../../src/os/lock-holder.js'

test('the kernel tells who holds the lock, and that it is free', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holder-'))
  const attempt = tryLockDataDir(dir)
  if (!attempt.held) throw new Error('a fresh directory is locked')
  expect(lockPathOf(process.pid)).toBe(attempt.lock.path)
  expect(holderOf(attempt.lock.path)).toBe(process.pid)
  attempt.lock.release()
  expect(holderOf(attempt.lock.path)).toBeNull()
  expect(lockPathOf(process.pid)).toBeNull()
  rmSync(dir, { recursive: true, force: true })
})

test('a process that is gone, or a path that is not there, is nobody', () => {
  expect(lockPathOf(2 ** 30)).toBeNull()
  expect(holderOf('/nowhere')).toBeNull()
})

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sweepScratch } from '../../src/daemon/rehearsal.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sweep-'))
  vi.stubEnv('TMPDIR', dir)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(dir, { recursive: true })
})

test('scratch of a dead process is swept; that of a living one, and what others made, stays', () => {
  // Above the largest pid_max there is (proc(5)): no process bears it.
  const names = [
    'handoff-rehearsal-5000000-abc',
    `handoff-rehearsal-${process.pid}-abc`,
    'handoff-demo-1',
    'handoff-rehearsal-',
  ]
  for (const name of names) mkdirSync(join(dir, name, 'd'), { recursive: true })
  sweepScratch()
  expect(readdirSync(dir).sort()).toEqual(names.slice(1).sort())
})

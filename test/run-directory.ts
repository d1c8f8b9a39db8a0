/**
 * Vitest's global setup: one temporary directory and two variables in the environment for the whole run, inherited by every
 * process that a test starts, so that test/leftovers.test.ts can find what was left behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export default function setup(): () => void {
  // Short: socket paths below it must stay within 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'hm-'))
  const before = process.env.TMPDIR
  process.env.TMPDIR = directory
  process.env.HANDOFF_TEST_RUN = directory
  // Once through the code is enough where nobody looks at the clock.
  process.env.KV_WARM_UP ??= '3'
  return () => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    rmSync(directory, { recursive: true, force: true })
  }
}

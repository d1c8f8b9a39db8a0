import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkPolicy } from '../../machines/handoff/policy.js'
import { rehearse } from '../../src/daemon/rehearsal.js'
import { openFds } from '../../src/os/fds.js'

const { policy } = checkPolicy({})
const told: string[] = []
const log = pino({ level: 'debug' }, { write: (line: string) => void told.push(line) })
const before = process.env.TMPDIR
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'r-'))
  process.env.TMPDIR = dir
  told.length = 0
})
afterEach(() => {
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  rmSync(dir, { recursive: true, force: true })
})

const sockets = () => [...openFds().values()].filter((target) => /socket|handoff/.test(target)).length

test('a rehearsal leaves no file, no descriptor and no word, and this process serves on (INV-06)', async () => {
  await rehearse(policy, log)
  const open = sockets()
  const listeners = process.listenerCount('SIGTERM')
  await rehearse(policy, log)
  // A closed poll handle goes with the next turn of the loop.
  await new Promise((resolve) => setImmediate(resolve))
  expect(sockets()).toBeLessThanOrEqual(open)
  expect(process.listenerCount('SIGTERM')).toBe(listeners)
  expect(readdirSync(dir)).toEqual([])
  expect(told).toEqual([])
})

test('without a place for temporary files there is no rehearsal, and nothing fails', async () => {
  process.env.TMPDIR = join(dir, 'missing')
  await rehearse(policy, log)
  expect(told).toHaveLength(1)
  expect(told[0]).toContain('no rehearsal')
})

test('a path that is too long for a socket is no obstacle either', async () => {
  process.env.TMPDIR = mkdtempSync(join(dir, 'x'.repeat(100)))
  await rehearse(policy, log)
  expect(told[0]).toContain('no rehearsal')
  expect(readdirSync(process.env.TMPDIR)).toEqual([])
})

/** Runs after all other tests, see vitest.config.ts: whatever they started, opened or wrote is gone. */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { sweepWarmUps } from '../examples/kv-warm.js'
import { sweepScratch } from '../src/daemon/rehearsal.js'
import { markedProcesses } from './process/facts.js'

const run = process.env.HANDOFF_TEST_RUN as string

test('no process that any test started is left', () => {
  expect(run).toBeTruthy()
  // This very process and vitest's own helpers are alive on purpose.
  const ours = new Set([process.pid, process.ppid])
  const left = markedProcesses('HANDOFF_TEST_RUN', run).filter(({ pid, ppid }) => !ours.has(pid) && !ours.has(ppid))
  expect(left).toEqual([])
})

test('no socket file, no data, no temporary directory that any test made is left', async () => {
  // Tests kill processes in the middle of a rehearsal or warm-up; the next one sweeps what they could not remove.
  sweepScratch()
  await sweepWarmUps()
  expect(readdirSync(run)).toEqual([])
})

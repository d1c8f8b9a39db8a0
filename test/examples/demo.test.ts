import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { DemoReport } from '../../examples/demo/report.js'

const program = fileURLToPath(new URL('../../dist/examples/demo/main.js', import.meta.url))

function demo(...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  return { child, exited: once(child, 'exit'), stdout: text(child.stdout), stderr: text(child.stderr) }
}

test('good swaps commit, each broken build is rolled back for its own reason, and the clients notice nothing', async () => {
  const run = demo('--swaps', '2', '--seconds', '1', '--json')
  const [status] = await run.exited
  const story = await run.stderr
  expect(status, story).toBe(0)
  const report: DemoReport = JSON.parse(await run.stdout)
  expect(report).toMatchObject({ ok: true, committed: 2, rolledBack: 5, unexpected: 0 })
  expect(report.clients).toMatchObject({ refused: 0, reset: 0, failed: 0, writesLost: 0, writesDuplicated: 0 })
  expect(report.clients.requests).toBeGreaterThan(100)
  expect(report.clients.writesAcknowledged).toBeGreaterThan(10)
  expect(new Set(report.steps.map(({ kind }) => kind)).size).toBe(6)
  expect(story.trim().split('\n')).toHaveLength(7)
  expect(story).not.toContain('\u001b')
})

test('an interrupted demo takes everything it started with it', async () => {
  const child = spawn(process.execPath, [program, '--swaps', '50', '--seconds', '60'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const [firstLine] = (await once(createInterface({ input: child.stderr }), 'line')) as [string]
  const daemon = Number(/pid (\d+)/.exec(firstLine)?.[1])
  expect(isAlive(daemon)).toBe(true)
  child.kill('SIGINT')
  expect(await exited).toEqual([130, null])
  expect(isAlive(daemon)).toBe(false)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a wrong flag is answered with the usage and exit status 64', async () => {
  const run = demo('--swap', '3')
  expect(await run.exited).toEqual([64, null])
  expect(await run.stderr).toContain('usage: npm run demo')
  expect(await run.stdout).toBe('')
})

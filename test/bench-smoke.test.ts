/** The benchmarks run, whatever they measure here: a table that nobody can make any more proves nothing. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Row } from './bench/table.js'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const bench = (...args: string[]) => run('bench/main.ts', ...args)

function run(file: string, ...args: string[]) {
  const program = ['--import', at('fixtures/ts.mjs'), at(file)]
  return spawnSync(process.execPath, [...program, ...args], { encoding: 'utf8' })
}

test('gap, load and parts: each gives its rows, every one with a figure, and no request is lost', () => {
  const tiny = ['--rounds', '1', '--warm-up', '1', '--load-seconds', '1', '--rate', '200']
  const { status, stdout, stderr } = bench('--json', '--only', 'gap,load,parts', ...tiny)
  expect(stderr).toContain('commit')
  expect(status).toBe(0)
  const { rows } = JSON.parse(stdout) as { rows: Row[] }
  expect([...new Set(rows.map(({ bench }) => bench))]).toEqual(['gap', 'load', 'codec', 'fd-passing'])
  expect(rows.filter(({ ours }) => !Number.isFinite(ours))).toEqual([])
  const gap = rows.find(({ what }) => what === 'hooks empty, journal on: total')
  expect(gap?.base).toBeGreaterThan(0)
  expect(gap?.ours).toBeGreaterThan(0)
  expect(rows.find(({ what }) => what.endsWith('lost'))?.ours).toBe(0)
}, 180_000)

test('a benchmark that does not exist is named, with those that do', () => {
  const { status, stderr } = bench('--only', 'gaps')
  expect(status).toBe(64)
  expect(stderr).toMatch(/no such benchmark: gaps; there are gap, /)
})

test('so is a peer', () => {
  const { status, stderr } = run('bench/peers.ts', '--only', 'handoff,apache')
  expect(status).toBe(64)
  expect(stderr).toMatch(/no such peer: apache; there are handoff, kv; /)
})

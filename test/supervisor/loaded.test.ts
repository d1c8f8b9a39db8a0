/** A supervisor lives as long as its machine does: what it does not use is not in its memory. */
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { compiledProgram } from '../process/compiled.js'

const LOOK = `
const { Module } = await import('node:module')
for (const door of process.argv.slice(1)) await import(door)
const files = Object.keys(Module._cache)
const addons = process.report.getReport().sharedObjects.filter((path) => path.endsWith('.node'))
console.log(JSON.stringify({ builtins: process.moduleLoadList, files, addons }))`

function loadedBy(...doors: string[]): { builtins: string[]; files: string[]; addons: string[] } {
  const urls = doors.map((door) => pathToFileURL(compiledProgram(door)).href)
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', LOOK, ...urls], {
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

test('a supervisor without systemd, metrics or inspection loads none of them, and no exploration', () => {
  const { builtins, files, addons } = loadedBy('src/cli/run-supervisor.js', 'src/supervisor/create-supervisor.js')
  expect(builtins).toContain('NativeModule net')
  expect(builtins).not.toContain('NativeModule http')
  const packages = new Set(files.map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]))
  expect(packages).toContain('pino')
  for (const name of ['node-unix-socket', '@xstate/graph', 'prom-client', 'ws', 'fs-ext'])
    expect(packages).not.toContain(name)
  expect(addons.map((path) => path.replace(/^.*\//, ''))).toEqual(['handoff_native.node'])
})

test('the look sees what is loaded: the metrics bring their HTTP server', () => {
  expect(loadedBy('src/observe/metrics-server.js').builtins).toContain('NativeModule http')
})

/** A supervisor lives as long as its machine does: what it does not use is not in its memory. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { useTempDir } from '../os/support.js'
import { compiledProgram } from '../process/compiled.js'

const dir = useTempDir()
const look = fileURLToPath(new URL('../fixtures/bundle-look.cjs', import.meta.url))

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

interface Seen {
  readonly builtins: string[]
  readonly files: string[]
  readonly isOptimized: boolean
}

function lastLine(text: string): Seen {
  return JSON.parse(text.trim().split('\n').at(-1) ?? '')
}

// What is hot is optimized at once or never, however busy the machine is.
const FLAGS = ['--allow-natives-syntax', '--no-concurrent-recompilation', '--require', look]

test('the supervisor that people start is one file, without the ES module loader, log threads or optimizing compilers', async () => {
  const config = `${dir.path}/handoff.toml`
  writeFileSync(
    config,
    [
      `control_socket = "${dir.path}/c"`,
      `trigger_socket = "${dir.path}/t"`,
      `binary = "${process.execPath}"`,
      // It never answers; a supervisor that waits for it has loaded all that it needs.
      'args = ["-e", "setInterval(() => {}, 1000)"]',
      'listeners = [{ name = "http", addr = "127.0.0.1:0" }]',
    ].join('\n'),
  )
  const bundle = compiledProgram('src/cli/bundle/handoff-supervisor.cjs')
  const child = spawn(process.execPath, [...FLAGS, bundle, '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stderr })) if (line.includes('a primitive was started')) break
  child.stderr.resume()
  child.kill('SIGTERM')
  await exited
  const { builtins, files, isOptimized } = lastLine(stdout)
  expect(files.filter((file) => file !== look)).toEqual([bundle, expect.stringMatching(/handoff_native\.node$/)])
  expect(builtins).toContain('NativeModule net')
  for (const name of ['worker_threads', 'http', 'internal/deps/cjs-module-lexer/lexer'])
    expect(builtins).not.toContain(`NativeModule ${name}`)
  expect(isOptimized).toBe(false)
})

test('this look would see an optimized function', () => {
  const { stdout } = spawnSync(process.execPath, [...FLAGS, '-e', '0'], { encoding: 'utf8' })
  expect(lastLine(stdout).isOptimized).toBe(true)
})

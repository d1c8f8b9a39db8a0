/** From spawn to the successor's Hello: bare Node that writes one byte, ours as it is installed, and ours in one bundled file. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { bindListener } from '../../src/os/listeners.js'
import type { BenchOptions } from './options.js'
import { median, type Row, row } from './table.js'
import { ROOT } from './trees.js'

const daemonSource = (tree: string) => `
import { createServer } from 'node:net'
import { serveDaemon } from ${JSON.stringify(join(tree, 'dist/src/daemon/index.js'))}
const [controlSocket, dataDir] = process.argv.slice(2)
await serveDaemon({
  controlSocket,
  dataDir,
  open({ listeners }) {
    listeners.http.attach(createServer())
    return { seal() {}, close() {} }
  },
})`

interface Variant {
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

export async function benchStart({ trees, rounds, warmUp, nodes }: BenchOptions): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'b-'))
  // The addon and the packages are found from here.
  const cache = mkdtempSync(join(ROOT, 'node_modules', '.cache', 'bench-'))
  const listener = bindListener({ name: 'http', address: { kind: 'tcp', host: '127.0.0.1', port: 0 }, backlog: 16 })
  try {
    const variants = await writeVariants(cache, trees.ours, trees.before)
    const rows: Row[] = []
    for (const node of nodes) {
      const samples: Record<string, number[]> = {}
      for (let round = 0; round < rounds + warmUp; round += 1) {
        for (const [name, variant] of Object.entries(variants)) {
          const ms = await toFirstWord(node, variant, listener.fd, dir)
          if (round >= warmUp) samples[name] = [...(samples[name] ?? []), ms]
        }
      }
      rows.push(...rowsOf(await versionOf(node), samples))
    }
    return rows
  } finally {
    for (const made of [dir, cache]) rmSync(made, { recursive: true, force: true })
  }
}

function rowsOf(version: string, { bare = [], before, ...ours }: Record<string, number[]>): Row[] {
  return Object.entries(ours).map(([name, samples]) =>
    row(
      'start',
      `${version}: ${name}`,
      'ms',
      { base: bare, ours: samples, ...(before && name === 'installed' && { before }) },
      `bare + ${(median(samples) - median(bare)).toFixed(1)} ms`,
    ),
  )
}

async function writeVariants(cache: string, ours: string, before: string | null): Promise<Record<string, Variant>> {
  const program = (name: string, tree: string): string => {
    writeFileSync(join(cache, name), daemonSource(tree))
    return join(cache, name)
  }
  const installed = program('installed.mjs', ours)
  const bundled = join(cache, 'bundled.mjs')
  await build({
    entryPoints: [installed],
    outfile: bundled,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['fs-ext', '*.node'],
    // pino is CommonJS and asks for Node's modules by require().
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    logLevel: 'error',
  })
  mkdirSync(join(cache, 'compile-cache'))
  const env = { NODE_COMPILE_CACHE: join(cache, 'compile-cache') }
  return {
    bare: { args: ['-e', "require('node:fs').writeSync(4, 'x')"] },
    installed: { args: [installed] },
    ...(before && { before: { args: [program('before.mjs', before)] } }),
    bundled: { args: [bundled] },
    'bundled, compile cache': { args: [bundled], env },
  }
}

async function toFirstWord(node: string, { args, env }: Variant, listenerFd: number, dir: string): Promise<number> {
  const began = performance.now()
  const child = spawn(node, [...args, join(dir, 's'), join(dir, 'd')], {
    stdio: ['ignore', 'ignore', 'inherit', listenerFd, 'pipe'],
    env: {
      ...process.env,
      ...env,
      LISTEN_FDS: '1',
      LISTEN_FDNAMES: 'http',
      HANDOFF_ROLE: 'successor',
      HANDOFF_SOCK_FD: '4',
      HANDOFF_LOG_LEVEL: 'silent',
    },
  })
  const exited = once(child, 'exit')
  const channel = child.stdio[4] as NodeJS.ReadableStream
  await Promise.race([once(channel, 'data'), exited])
  const ms = performance.now() - began
  // Compile caches are written at an orderly end, which the closed channel brings.
  ;(channel as unknown as { destroy(): void }).destroy()
  await exited
  return ms
}

async function versionOf(node: string): Promise<string> {
  const child = spawn(node, ['--version'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text] = (await once(child.stdout, 'data')) as [Buffer]
  return `node ${text.toString().trim()}`
}

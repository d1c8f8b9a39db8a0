/**
 * Handoff against reconnect against a plain connect, side by side: broker and backend in processes of their own, rounds
 * interleaved so that a busy moment of the machine hits all three alike.
 *
 * The floor is the same exchange between bare Node processes (broker-floor/): the same frames and calls, no machine, no policy,
 * nothing encoded, nothing checked. What it takes, the wire takes.
 *
 * All are quiet: a log line costs a wake-up of whoever reads it, and a handoff has more to tell than a reconnect.
 *
 * A sample is what a caller waits for: from `connect` to the first answered byte of the service. Run it compiled:
 *   node --import ./test/fixtures/ts.mjs test/bench/broker.ts [samples]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectClient } from '../../src/broker/connect-client.js'
import { floorClient } from './broker-floor/client.js'

const samples = Number(process.argv[2] ?? 2_000)
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'hb-bench-'))
const path = (name: string): string => join(directory, name)

async function start(program: string, ...args: string[]) {
  const child = spawn(process.execPath, ['--import', here('../fixtures/ts.mjs'), here(program), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdout.setEncoding('utf8')
  for (let seen = ''; !seen.includes('ready\n'); ) seen += (await once(child.stdout, 'data'))[0]
  child.stdout.resume()
  return child
}

function answered(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.write('?')
  })
}

const through = async (adopt: boolean): Promise<void> => {
  const { socket, route } = await connectClient({ broker: path('b'), service: 'kv', wantedVersion: '1.0.0', adopt })
  if ((route === 'handlePassed') !== adopt) throw new Error(`the client went by ${route}`)
  await answered(socket)
}
const floor = floorClient(path('fb'), path('fp'))
const WAYS: Readonly<Record<string, () => Promise<void>>> = {
  'plain connect': () => answered(connect(path('p'))),
  reconnect: () => through(false),
  handoff: () => through(true),
  'floor reconnect': async () => answered(await floor.reconnect()),
  'floor handoff': async () => answered(await floor.handoff()),
}

/** `count` samples of one way, `concurrent` at a time, ms each. */
async function measure(way: () => Promise<void>, count: number, concurrent: number): Promise<number[]> {
  const times: number[] = []
  let left = count
  const worker = async () => {
    while (left-- > 0) {
      const started = performance.now()
      await way()
      times.push(performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: concurrent }, worker))
  return times
}

function row(name: string, concurrent: number, times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) =>
    `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(3)} ms`
  return `${name.padEnd(16)} ${String(concurrent).padStart(3)} at once   p50 ${at(0.5).padStart(10)}   p99 ${at(0.99).padStart(10)}   n ${sorted.length}`
}

writeFileSync(
  path('broker.toml'),
  `socket = "${path('b')}"\ncontrol_socket = "${path('c')}"\ndata_dir = "${path('d')}"\n[services.kv]\nversion = "1.0.0"\nbackend = "${path('p')}"\nhandoff = "${path('h')}"\n[policy]\nhello_rate_limit = 1000000\n`,
)
const children = [
  await start('../fixtures/broker/backend.mjs', path('p'), path('h'), 'quiet'),
  await start('../fixtures/broker/broker.mjs', path('broker.toml'), 'quiet'),
  await start('broker-floor/backend.mjs', path('fp'), path('fh')),
  await start('broker-floor/broker.mjs', path('fb'), path('fh'), path('fp')),
]
try {
  for (const concurrent of [1, 100]) {
    const times: Record<string, number[]> = Object.fromEntries(Object.keys(WAYS).map((name) => [name, []]))
    for (const way of Object.values(WAYS)) await measure(way, 1_000, concurrent)
    const rounds = 20
    for (let round = 0; round < rounds; round++) {
      for (const [name, way] of Object.entries(WAYS)) {
        times[name]?.push(...(await measure(way, Math.ceil(samples / rounds), concurrent)))
      }
    }
    for (const [name, measured] of Object.entries(times)) console.log(row(name, concurrent, measured))
  }
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
}

/**
 * Handoff against reconnect against a plain connect, side by side: broker and backend in processes of their own, rounds
 * interleaved so that a busy moment of the machine hits all three alike.
 *
 * The floor is the same exchange between bare Node processes (broker-floor/): the same frames and calls, no machine, no policy,
 * nothing encoded, nothing checked. What it takes, the wire takes.
 *
 * All are quiet: a log line costs a wake-up of whoever reads it, and a handoff has more to tell than a reconnect.
 *
 * A sample is what a caller waits for: from `connect` to the first answered byte of the service. Beside it stands what it cost
 * in the client, the broker and the backend: CPU of all threads in µs, and how often the main thread went to sleep. Linux only.
 * Run it compiled:
 *   node --import ./test/fixtures/ts.mjs test/bench/broker.ts [samples] [warm-up of each way]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectClient } from '../../src/broker/connect-client.js'
import { floorClient } from './broker-floor/client.js'

const samples = Number(process.argv[2] ?? 2_000)
const warmUp = Number(process.argv[3] ?? 1_000)
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

interface Cost {
  readonly cpuNs: number
  readonly sleeps: number
}

/** Of a process until now. A thread that ends takes its share along; the ones that work here stay. */
function costOf(pid: number): Cost {
  let cpuNs = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    cpuNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  }
  const status = readFileSync(`/proc/${pid}/task/${pid}/status`, 'utf8')
  return { cpuNs, sleeps: Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]) }
}

const costs = (pids: readonly number[]): Cost[] => pids.map(costOf)

function costRow(name: string, count: number, spent: readonly Cost[]): string {
  const each = (of: (cost: Cost) => number, digits: number) =>
    spent.map((cost) => (of(cost) / count).toFixed(digits).padStart(6)).join(' ')
  const all = spent.reduce((sum, { cpuNs }) => sum + cpuNs, 0) / count / 1e3
  return `${name.padEnd(16)} CPU µs ${each(({ cpuNs }) => cpuNs / 1e3, 0)}  all ${all.toFixed(0).padStart(5)}   sleeps ${each(({ sleeps }) => sleeps, 2)}`
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
const backend = await start('../fixtures/broker/backend.mjs', path('p'), path('h'), 'quiet')
const broker = await start('../fixtures/broker/broker.mjs', path('broker.toml'), 'quiet')
const floorBackend = await start('broker-floor/backend.mjs', path('fp'), path('fh'))
const floorBroker = await start('broker-floor/broker.mjs', path('fb'), path('fh'), path('fp'))
const children = [backend, broker, floorBackend, floorBroker]
const ours = [broker.pid as number, backend.pid as number]
const floors = [floorBroker.pid as number, floorBackend.pid as number]
try {
  for (const concurrent of [1, 100]) {
    const times: Record<string, number[]> = Object.fromEntries(Object.keys(WAYS).map((name) => [name, []]))
    const spent: Record<string, Cost[]> = {}
    for (const way of Object.values(WAYS)) await measure(way, warmUp, concurrent)
    const rounds = 20
    for (let round = 0; round < rounds; round++) {
      for (const [name, way] of Object.entries(WAYS)) {
        const pids = [process.pid, ...(name.startsWith('floor') ? floors : ours)]
        const before = costs(pids)
        times[name]?.push(...(await measure(way, Math.ceil(samples / rounds), concurrent)))
        const sums = spent[name] ?? pids.map(() => ({ cpuNs: 0, sleeps: 0 }))
        spent[name] = costs(pids).map((now, i) => ({
          cpuNs: (sums[i] as Cost).cpuNs + now.cpuNs - (before[i] as Cost).cpuNs,
          sleeps: (sums[i] as Cost).sleeps + now.sleeps - (before[i] as Cost).sleeps,
        }))
      }
    }
    for (const [name, measured] of Object.entries(times)) console.log(row(name, concurrent, measured))
    console.log(`${' '.repeat(24)}client broker backend`)
    for (const [name, cost] of Object.entries(spent)) console.log(costRow(name, times[name]?.length ?? 0, cost))
  }
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
}

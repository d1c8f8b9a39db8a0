#!/usr/bin/env node
/**
 * `npm run demo:broker`: clients reach a service through a broker while the broker is upgraded and killed and the backend
 * is restarted and killed; then it tells how many connections were adopted, fell back, or failed (none).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connectClient } from 'handoff-machines/broker'
import { createSupervisor, type Supervisor } from 'handoff-machines/supervisor'
import { pino } from 'pino'

const CLIENTS = 16
/** A client that meets a dead process asks again: this often, after this long, ms. */
const TRIES = 100
const AGAIN_MS = 20

const directory = await mkdtemp(join(tmpdir(), 'handoff-broker-demo-'))
const path = (name: string) => join(directory, name)
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

const counts = { handlePassed: 0, brokerNegotiated: 0, cachedEndpoint: 0, asked_again: 0, failed: 0 }
const latencies: { handlePassed: number[]; brokerNegotiated: number[] } = { handlePassed: [], brokerNegotiated: [] }
let going = true

try {
  let backend = await startBackend()
  const supervisor = await startBroker()
  const clients = Array.from({ length: CLIENTS }, client)
  const steps: [string, () => Promise<unknown>][] = [
    ['clients connect', async () => {}],
    ['broker upgraded', () => swap(supervisor)],
    ['backend killed and started again', async () => (backend = await restartBackend(backend, 'SIGKILL'))],
    ['broker killed, started again by its supervisor', async () => killBroker(supervisor)],
    ['backend stopped in order and started again', async () => (backend = await restartBackend(backend, 'SIGTERM'))],
    ['broker upgraded once more', () => swap(supervisor)],
  ]
  for (const [title, run] of steps) {
    await run()
    await wait(700)
    tell(`${title.padEnd(50)} adopted ${counts.handlePassed}, fell back ${counts.brokerNegotiated}`)
  }
  going = false
  await Promise.all(clients)
  await supervisor.stop()
  backend.kill('SIGTERM')
  await once(backend, 'exit')
  report()
} finally {
  await rm(directory, { recursive: true, force: true })
}
process.exit(counts.failed === 0 && counts.handlePassed > 0 ? 0 : 1)

/** Connects, asks, checks the answer, leaves; and begins again. */
async function client(): Promise<void> {
  while (going) {
    for (let tries = 1; ; tries++) {
      try {
        await ask()
        break
      } catch {
        // Whoever died took this try with it; nothing of it was served.
        counts.asked_again++
        if (tries === TRIES) {
          counts.failed++
          break
        }
        await wait(AGAIN_MS)
      }
    }
  }
}

async function ask(): Promise<void> {
  const started = performance.now()
  const { socket, route } = await connectClient({
    broker: path('clients.sock'),
    service: 'echo',
    wantedVersion: '1.0.0',
  })
  try {
    socket.write('ping\n')
    let seen = ''
    for await (const chunk of socket) {
      seen += chunk
      if (seen.endsWith('ping\n')) break
    }
    if (!seen.endsWith('ping\n')) throw new Error('the service left')
  } finally {
    socket.destroy()
  }
  counts[route]++
  if (route !== 'cachedEndpoint') latencies[route].push(performance.now() - started)
}

async function startBroker(): Promise<Supervisor> {
  const config = [
    `socket = "${path('clients.sock')}"`,
    `control_socket = "${path('control.sock')}"`,
    `data_dir = "${path('data')}"`,
    '[services.echo]',
    'version = "1.0.0"',
    `backend = "${path('echo.sock')}"`,
    `handoff = "${path('echo-handoff.sock')}"`,
    '[policy]',
    'hello_rate_limit = 1000000',
    // A demo has no thirty seconds to show that a dead endpoint is left alone.
    'breaker_window_ms = 200',
  ]
  await writeFile(path('broker.toml'), `${config.join('\n')}\n`)
  const supervisor = createSupervisor({
    controlSocket: path('control.sock'),
    binary: process.execPath,
    args: [here('../src/cli/handoff.js'), 'broker', '--config', path('broker.toml'), '--log-level', 'silent'],
    env: [],
    listeners: [{ name: 'clients', addr: `unix:${path('clients.sock')}` }],
    policy: {},
    allowedUids: [],
    allowedBinaries: [],
    log: pino({ level: 'silent' }),
  })
  await supervisor.start()
  return supervisor
}

async function swap(supervisor: Supervisor): Promise<void> {
  const { result, reason } = await supervisor.swap()
  if (result !== 'committed') throw new Error(`the upgrade ended as ${result}: ${reason}`)
}

async function killBroker(supervisor: Supervisor): Promise<void> {
  const pid = supervisor.status().incumbent?.pid
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
}

async function startBackend(): Promise<ChildProcess> {
  // A killed one left its plain socket behind; the handoff endpoint looks after itself.
  await rm(path('echo.sock'), { force: true })
  const child = spawn(process.execPath, [here('./broker-backend.js'), path('echo.sock'), path('echo-handoff.sock')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

async function restartBackend(backend: ChildProcess, signal: NodeJS.Signals): Promise<ChildProcess> {
  backend.kill(signal)
  await once(backend, 'exit')
  return await startBackend()
}

function report(): void {
  const row = (name: string, times: number[]) => {
    const sorted = times.sort((a, b) => a - b)
    const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2).padStart(8)
    return `${name.padEnd(12)}${String(sorted.length).padStart(8)}   p50 ${at(0.5)} ms   p99 ${at(0.99)} ms`
  }
  console.log(row('adopted', latencies.handlePassed))
  console.log(row('fell back', latencies.brokerNegotiated))
  console.log(
    `${'asked again'.padEnd(12)}${String(counts.asked_again).padStart(8)}   after a kill, before anything was served`,
  )
  console.log(`${'failed'.padEnd(12)}${String(counts.failed).padStart(8)}`)
}

/** stdout is the result, stderr the story. */
function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

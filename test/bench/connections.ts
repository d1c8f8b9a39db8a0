/**
 * What clients on established connections feel while programs are swapped under them, by number of connections.
 *
 *     node --import ./test/fixtures/ts.mjs test/bench/connections.ts [--connections 0,1000,10000] [--swaps 10] [--rps 2000] [--late] [--json]
 *
 * Each run: so many keep-alive connections, requests spread over all of them, plus 20 that ask all the time; the swaps, one
 * of them with a seal that fails, one with a successor killed after the cut. Any FIN, reset, status but 200, or counter
 * value that is missing or doubled fails the run. `--late` attaches the server in `open` instead of `prepare`. The cutover
 * is what the supervisor measures from PrepareHandoff to the successor's answer: drain, seal, open, verify.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { createSupervisor } from '../../src/supervisor/create-supervisor.js'
import type { SwapOutcome } from '../../src/supervisor/types.js'
import { compiledCopy } from '../process/compiled.js'
import { quantile } from './table.js'

const PROBES = 20
const REQUEST = Buffer.from('GET /fast HTTP/1.1\r\nHost: bench\r\n\r\n')
/** Part of a swap's window after its verdict, ms: what clients feel just after it. */
const SETTLE_MS = 400
const program = fileURLToPath(new URL('../fixtures/connection-daemon.mjs', import.meta.url))

interface Window {
  readonly latencies: number[]
  readonly errors: string[]
}
interface Summary {
  readonly requests: number
  readonly closed: number
  readonly wrongCounts: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '0,1000,10000' },
      swaps: { type: 'string', default: '10' },
      rps: { type: 'string', default: '2000' },
      late: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const rows = []
  for (const connections of values.connections.split(',').map(Number)) {
    rows.push(await run(connections, Number(values.swaps), Number(values.rps), values.late))
  }
  if (values.json) console.log(JSON.stringify(rows, null, 2))
  else {
    console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${values.rps} requests/s`)
    console.table(rows)
  }
  process.exit(rows.every(({ errors, closed, 'counts wrong': wrong }) => errors + closed + wrong === 0) ? 0 : 1)
}

async function run(connections: number, swaps: number, rps: number, late: boolean) {
  const dir = mkdtempSync(join(tmpdir(), 'handoff-bench-'))
  mkdirSync(join(dir, 'data'))
  const args = (...flags: string[]): string[] => [
    program,
    ...['--data-dir', join(dir, 'data'), '--control-socket', join(dir, 'control.sock')],
    ...(late ? [] : ['--early']),
    ...flags,
  ]
  const supervisor = createSupervisor({
    controlSocket: join(dir, 'control.sock'),
    binary: process.execPath,
    args: args(),
    env: [['HANDOFF_COMPILED', compiledCopy()]],
    listeners: [{ name: 'http', addr: '127.0.0.1:0' }],
    policy: { deadlineMs: 30_000 },
    allowedUids: [],
    allowedBinaries: [],
    log: pino({ level: 'info' }, pino.destination({ dest: join(dir, 'supervisor.log'), sync: true })),
  })
  await supervisor.start()
  const port = Number(supervisor.status().listeners[0]?.address.split(':').at(-1))
  const load = new Load(port, connections, rps)
  try {
    await load.ready
    await sleep(1_000)
    const quiet = await load.window()
    const windows: Window[] = []
    const outcomes: SwapOutcome[] = []
    for (let swap = 0; swap < swaps; swap++) {
      // The third program cannot seal the first time, so the swap after it is undone; the one after that dies at work.
      const flags = swap === 2 ? ['--seal-fails'] : swap === 4 ? ['--crash-in-open'] : []
      const outcome = await supervisor.swap({ args: args(...flags) })
      const expected = swap === 3 || swap === 4 ? 'rolledBack' : 'committed'
      if (outcome.result !== expected) throw new Error(`swap ${swap}: ${outcome.result}, ${outcome.reason}`)
      await sleep(SETTLE_MS)
      const window = await load.window()
      windows.push(window)
      outcomes.push(outcome)
      // stderr tells the story, swap by swap.
      const phases = outcome.phases.map(({ name, ms }) => `${name} ${Math.round(ms)}`).join(' ')
      console.error(
        `${connections}: ${outcome.result} p99 ${Math.round(quantile(window.latencies, 0.99))} max ${Math.round(quantile(window.latencies, 1))} ms | ${phases}`,
      )
    }
    const { closed, requests, wrongCounts } = await load.finish()
    const good = outcomes.flatMap((outcome) => (outcome.result === 'committed' ? [cutoverMs(outcome)] : []))
    const all = windows.flatMap(({ latencies }) => latencies)
    const ms = (value: number): number => Math.round(value * 10) / 10
    return {
      connections,
      swaps,
      requests,
      errors: [quiet, ...windows].flatMap(({ errors }) => errors).length,
      closed,
      'counts wrong': wrongCounts,
      'cutover p50 ms': ms(quantile(good, 0.5)),
      'cutover max ms': ms(Math.max(...good)),
      'quiet p99 ms': ms(quantile(quiet.latencies, 0.99)),
      'p99 ms': ms(quantile(all, 0.99)),
      'max ms': ms(quantile(all, 1)),
    }
  } finally {
    load.end()
    await supervisor.stop()
    rmSync(dir, { recursive: true })
  }
}

const CUTOVER = new Set(['drain', 'seal', 'open', 'verify'])
const cutoverMs = ({ phases }: SwapOutcome): number =>
  phases.reduce((sum, { name, ms }) => sum + (CUTOVER.has(name) ? ms : 0), 0)

/** The clients' end, seen from the bench. */
class Load {
  readonly #child: ChildProcess
  readonly ready: Promise<unknown>

  constructor(port: number, connections: number, rps: number) {
    const own = fileURLToPath(import.meta.url)
    this.#child = fork(own, ['clients', String(port), String(connections), String(rps)], {
      execArgv: process.execArgv,
      serialization: 'advanced',
    })
    this.ready = this.#hear()
  }

  async window(): Promise<Window> {
    this.#child.send('window')
    return (await this.#hear()) as Window
  }

  async finish(): Promise<Summary> {
    this.#child.send('finish')
    return (await this.#hear()) as Summary
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }

  async #hear(): Promise<unknown> {
    const listening = new AbortController()
    const exited = once(this.#child, 'exit', listening).then(() => Promise.reject(new Error('the clients have ended')))
    exited.catch(() => {})
    try {
      const [message] = await Promise.race([once(this.#child, 'message', listening), exited])
      return message
    } finally {
      listening.abort()
    }
  }
}

/** The clients' process. */
async function clients(port: number, connections: number, rps: number): Promise<void> {
  let latencies: number[] = []
  let errors: string[] = []
  let closed = 0
  const counts: number[] = []
  let stopping = false

  class Client {
    #askedAt = 0
    #closed = false
    #heard = ''
    constructor(
      readonly socket: net.Socket,
      readonly onAnswer: () => void,
    ) {
      socket.setNoDelay(true)
      socket.on('data', (bytes: Buffer) => this.#onData(bytes))
      socket.on('error', (error) => errors.push(String(error)))
      socket.on('close', () => {
        if (!stopping) closed++
        this.#closed = true
      })
    }

    get idle(): boolean {
      return this.#askedAt === 0 && !this.#closed
    }

    get waits(): boolean {
      return this.#askedAt > 0 && !this.#closed
    }

    ask(): void {
      this.#askedAt = performance.now()
      this.socket.write(REQUEST)
    }

    #onData(bytes: Buffer): void {
      this.#heard += bytes.toString('latin1')
      const headEnd = this.#heard.indexOf('\r\n\r\n')
      if (headEnd < 0) return
      const length = Number(/content-length: (\d+)/i.exec(this.#heard)?.[1] ?? Number.NaN)
      if (this.#heard.length < headEnd + 4 + length) return
      if (!this.#heard.startsWith('HTTP/1.1 200')) errors.push(this.#heard.slice(0, 40))
      counts.push(Number(this.#heard.slice(headEnd + 4).split(' ')[1]))
      latencies.push(performance.now() - this.#askedAt)
      this.#askedAt = 0
      this.#heard = ''
      this.onAnswer()
    }
  }

  const open = async (onAnswer: (client: Client) => void): Promise<Client> => {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const client: Client = new Client(socket, () => onAnswer(client))
    return client
  }
  const probes: Client[] = []
  for (let i = 0; i < PROBES; i++) {
    probes.push(await open((client) => setTimeout(() => !stopping && client.ask(), 10)))
  }
  const many: Client[] = []
  while (many.length < connections) {
    const batch = Array.from({ length: Math.min(100, connections - many.length) }, () => open(() => {}))
    many.push(...(await Promise.all(batch)))
  }
  for (const client of probes) client.ask()
  let next = 0
  let owed = 0
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    owed = Math.min(rps, owed + ((now - last) * rps) / 1000)
    last = now
    if (many.length === 0 || stopping) return
    for (let looked = 0; owed >= 1 && looked < many.length; looked++) {
      const client = many[next++ % many.length] as Client
      if (!client.idle) continue
      client.ask()
      owed--
    }
  }, 2)

  process.on('message', async (message) => {
    if (message === 'window') {
      process.send?.({ latencies, errors })
      latencies = []
      errors = []
    } else {
      stopping = true
      while ([...probes, ...many].some(({ waits }) => waits)) await sleep(5)
      counts.sort((a, b) => a - b)
      const wrongCounts = counts.filter((count, index) => count !== index + 1).length
      process.send?.({ requests: counts.length, closed, wrongCounts })
    }
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.('ready')
}

if (process.argv[2] === 'clients')
  await clients(Number(process.argv[3]), Number(process.argv[4]), Number(process.argv[5]))
else await main()

/** The client process of the demo: its own event loop, so that it feels the daemon's pauses and no others. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Target } from './http-client.js'
import { freshClient, jsonNumber, KeptConnection, keepAliveClient, type Load, sendOnce, writer } from './load.js'
import type { FromClients, ToClients } from './messages.js'
import { socketClient } from './socket-client.js'
import { StallMeter } from './stall.js'
import { Counters } from './tally.js'
import { WriteLedger } from './write-ledger.js'

/** Pause of a client between an answer and its next request, ms: enough load to meet every phase, half of a slow core. */
const THINK_MS = 15
const FRESH_CLIENTS = 6
const KEEP_ALIVE_CLIENTS = 12
const WRITERS = 6
const SOCKET_CLIENTS = 6
/** Clients whose requests are still being answered when a swap begins. */
const SLOW_CLIENTS = 2
const SLOW_PATH = '/slow?ms=10'

const stopping = new AbortController()
const counters = new Counters()
const stall = new StallMeter(() => performance.now())
const ledger = new WriteLedger(counters)

process.once('message', (message: ToClients) => {
  if (message.type === 'start') run(message.target).catch(giveUp)
})
// Ctrl-C reaches the whole group; the demo decides when this process ends.
process.on('SIGINT', () => {})
// The demo is gone: nobody is left to report to.
process.once('disconnect', () => process.exit(1))

async function run(target: Target): Promise<void> {
  const load: Load = { target, counters, stall, ledger, stop: stopping.signal }
  const loops = [
    ...repeat(FRESH_CLIENTS, () => freshClient(load, THINK_MS)),
    ...repeat(KEEP_ALIVE_CLIENTS, () => keepAliveClient(load, THINK_MS)),
    ...repeat(SLOW_CLIENTS, () => keepAliveClient(load, THINK_MS, SLOW_PATH)),
    ...repeat(SOCKET_CLIENTS, () => socketClient(load, THINK_MS)),
    ...repeat(WRITERS, (i) => writer(load, THINK_MS, `writer${i}`)),
  ]
  const finish = new Promise<void>((resolve) => {
    process.on('message', (message: ToClients) => {
      if (message.type === 'window') endWindow()
      if (message.type === 'finish') resolve()
    })
  })
  while (counters.read().requests < loops.length) await sleep(10)
  stall.takeLongest()
  say({ type: 'running' })
  // A loop ends early only by a fault of the demo itself, which must not look like a quiet run.
  await Promise.race([finish, Promise.all(loops).then(() => Promise.reject(new Error('the clients stopped early')))])
  stopping.abort()
  await Promise.all(loops)
  await verify(load)
  say({ type: 'finished', tally: counters.read() })
}

/** Ends one measured window and begins the next. */
function endWindow(): void {
  say({ type: 'window', longestPauseMs: stall.takeLongest(), requests: counters.read().requests })
}

async function verify(load: Load): Promise<void> {
  await ledger.verify(() => {
    const connection = new KeptConnection(load)
    return (key) => connection.send({ method: 'GET', path: `/kv/${key}` })
  })
  const root = await sendOnce(load.target, { method: 'GET', path: '/' })
  counters.add('writesUnanswered', jsonNumber(root, 'revision') - ledger.acknowledgedWrites)
}

function say(message: FromClients): void {
  process.send?.(message)
}

function repeat<T>(times: number, make: (index: number) => T): T[] {
  return Array.from({ length: times }, (_, i) => make(i + 1))
}

function giveUp(error: unknown): never {
  console.error('demo clients:', error)
  process.exit(1)
}

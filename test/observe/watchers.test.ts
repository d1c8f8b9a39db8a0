/** Fifty who watch, two of whom have stopped reading: swaps under load go as without them, and nothing piles up. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { openRelay, type Relay } from '../../src/observe/relay.js'
import { memoryOf } from '../../src/os/memory.js'
import { Clients, UNHARMED } from '../supervisor/clients.js'
import { Rig } from '../supervisor/rig.js'

const EACH = 25
const SWAPS = 3
/** Far above what both queues of a slow viewer may hold (2 MB), far below what a leak of fifty would cost, bytes. */
const ROOM = 64_000_000

let rig: Rig | null = null
let relay: Relay | null = null
const viewers: WebSocket[] = []
const watchers: Socket[] = []
afterEach(async () => {
  for (const viewer of viewers.splice(0)) viewer.terminate()
  for (const watcher of watchers.splice(0)) watcher.destroy()
  await relay?.close()
  await rig?.end()
})

/** As `handoff watch` does it. */
async function watch(path: string, counts: number[], at: number): Promise<Socket> {
  const socket = createConnection(path)
  watchers.push(socket)
  await once(socket, 'connect')
  socket.write('{"v":1,"cmd":"watch"}\n')
  counts[at] = 0
  socket.on('data', (chunk) => {
    counts[at] = (counts[at] ?? 0) + chunk.length
  })
  await once(socket, 'data')
  return socket
}

/** As the page does it. */
async function view(url: string, counts: number[], at: number): Promise<WebSocket> {
  const socket = new WebSocket(url)
  viewers.push(socket)
  await once(socket, 'open')
  counts[at] = 0
  socket.on('message', () => {
    counts[at] = (counts[at] ?? 0) + 1
  })
  return socket
}

test('with 50 watchers, one of each kind stopped: every swap commits, no client notices, memory is bounded', async () => {
  const made = await Rig.create({ env: { HANDOFF_INSPECT: '1' }, toml: 'deadline_secs = 60\nboot_secs = 30' })
  rig = made
  const log = pino({ level: 'silent' })
  relay = await openRelay({ port: 0, socketPath: `${made.controlSocket}.inspect`, pages: new Map(), log })
  await made.start()
  const seen: number[] = []
  const viewed: number[] = []
  const address = new URL(relay.pageUrl)
  const url = `ws://${address.host}/watch?${address.hash.slice(1)}`
  for (let i = 0; i < EACH; i++) {
    await watch(made.trigger, seen, i)
    await view(url, viewed, i)
  }
  watchers[0]?.pause()
  viewers[0]?.pause()
  const supervisor = made.supervisor?.pid as number
  const before = { supervisor: memoryOf(supervisor)?.rss ?? 0, relay: process.memoryUsage().rss }
  const [silent, stopped] = [seen[0], viewed[0]]

  const clients = new Clients(made.port)
  await clients.answered()
  for (let i = 0; i < SWAPS; i++) {
    made.build(`v${i + 2}`)
    expect(await made.swap()).toMatchObject({ result: 'committed' })
    await clients.answered()
  }
  const tally = await clients.finish()
  const after = { supervisor: memoryOf(supervisor)?.rss ?? 0, relay: process.memoryUsage().rss }
  const grown = (role: 'supervisor' | 'relay') => after[role] - before[role]
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
  console.log(
    `${2 * EACH} watchers, 2 of them stopped, ${SWAPS} swaps, ${tally.requests} requests: refused ${tally.refused}, reset ${tally.reset}, ` +
      `writes lost ${tally.writesLost}; supervisor ${mb(after.supervisor)} (${mb(grown('supervisor'))} more), relay ${mb(grown('relay'))} more`,
  )
  expect(tally).toMatchObject(UNHARMED)
  expect(grown('supervisor')).toBeLessThan(ROOM)
  // Whoever read has seen it all happen; whoever stopped has seen nothing more.
  expect(seen.slice(1).every((bytes) => bytes > (silent ?? 0))).toBe(true)
  expect(viewed.slice(1).every((messages) => messages > 100)).toBe(true)
  expect([seen[0], viewed[0]]).toEqual([silent, stopped])
}, 300_000)

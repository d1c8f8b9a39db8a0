/** Open-loop clients: a request is sent when it is due, whatever became of the ones before it, and timed from when it was due. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface LoadOptions {
  readonly port: number
  readonly requestsPerSecond: number
  readonly seconds: number
  /** PUT goes to the key-value daemon; peers that only answer get GET alone. */
  readonly writes: boolean
  readonly path: string
}

export interface LoadResult {
  /** Ms from the moment it was due, of each answered request. */
  readonly latencies: number[]
  /** Longest time in which not one answer came, ms. */
  readonly longestStall: number
  /** Requests that got no answer with status 200. */
  readonly lost: number
  /** Idle connections that the server closed. */
  readonly closed: number
  readonly synRetransmits: number
  readonly listenOverflows: number
}

const IDLE_CONNECTIONS = 50
/** Requests go out in bunches this often, ms: a timer is not more exact. */
const TICK_MS = 5
const KINDS = 3
/** A request that nobody answers by then is lost, ms: what accepted its connection may be gone without closing it. */
const REQUEST_MS = 5_000

export async function load(options: LoadOptions, meanwhile: () => Promise<unknown>): Promise<LoadResult> {
  const { port, requestsPerSecond, seconds, writes, path } = options
  const kept = new Agent({ keepAlive: true, maxSockets: 64 })
  const fresh = new Agent({ keepAlive: false })
  const idle = await openIdle(port)
  let closed = 0
  for (const socket of idle) socket.on('close', () => (closed += 1))
  const before = kernelCounters()
  const latencies: number[] = []
  let [lost, longestStall, sent] = [0, 0, 0]
  const began = performance.now()
  let lastAnswer = began
  const open = new Set<Promise<void>>()

  const send = (nth: number, due: number): Promise<void> =>
    new Promise((resolve) => {
      const put = writes && nth % KINDS === 2
      const asked = request(
        {
          port,
          host: '127.0.0.1',
          agent: nth % KINDS === 0 ? fresh : kept,
          method: put ? 'PUT' : 'GET',
          path: put ? `/kv/${nth % 100}` : path,
          timeout: REQUEST_MS,
        },
        (answer) => {
          answer.resume()
          answer.on('close', () => {
            const now = performance.now()
            if (answer.complete && answer.statusCode === 200) {
              latencies.push(now - due)
              longestStall = Math.max(longestStall, now - lastAnswer)
              lastAnswer = now
            } else lost += 1
            resolve()
          })
        },
      )
      asked.on('timeout', () => asked.destroy())
      asked.on('error', () => {
        lost += 1
        resolve()
      })
      asked.end(put ? 'value' : undefined)
    })

  const middle = sleep((seconds * 1000) / 3).then(meanwhile)
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) * requestsPerSecond) / 1000)
    for (; sent < due; sent += 1) {
      const one = send(sent, began + (sent * 1000) / requestsPerSecond)
      open.add(one)
      void one.then(() => open.delete(one))
    }
    await sleep(TICK_MS)
  }
  await middle
  await Promise.all(open)
  const closedByServer = closed
  const after = kernelCounters()
  for (const socket of idle) socket.destroy()
  kept.destroy()
  fresh.destroy()
  return {
    latencies,
    longestStall,
    lost,
    closed: closedByServer,
    synRetransmits: after.synRetransmits - before.synRetransmits,
    listenOverflows: after.listenOverflows - before.listenOverflows,
  }
}

/** Each has had one answer: a keep-alive connection between two requests. */
async function openIdle(port: number): Promise<Socket[]> {
  return await Promise.all(
    Array.from(
      { length: IDLE_CONNECTIONS },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n'))
          socket.once('data', () => resolve(socket))
          socket.on('error', reject)
        }),
    ),
  )
}

/** Of the whole machine, since it booted; 0 where the kernel does not tell. */
function kernelCounters(): { synRetransmits: number; listenOverflows: number } {
  let lines: string[] = []
  try {
    lines = readFileSync('/proc/net/netstat', 'utf8').split('\n')
  } catch {}
  const [names, values] = lines.filter((line) => line.startsWith('TcpExt:')).map((line) => line.split(' '))
  const value = (name: string) => Number(values?.[names?.indexOf(name) ?? -1] ?? 0)
  return { synRetransmits: value('TCPSynRetrans'), listenOverflows: value('ListenOverflows') }
}

/** Keep-alive clients that send every shape of request on one connection each, and count what comes back. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { connectRaw, GET, type RawClient } from './raw-client.js'

export interface Torture {
  /** Answers received, all clients together. */
  readonly answers: number
  /** Every answer's counter value, to be found once each. */
  readonly counts: readonly number[]
  readonly problems: readonly string[]
  /** Resolves when that many more answers have come. */
  more(answers: number): Promise<void>
  /** Ends every client after its current round. */
  stop(): Promise<void>
}

type Round = (client: RawClient) => Promise<number>

const BODY = 'x'.repeat(2_000)
const POST = (extra = ''): string =>
  `POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: ${BODY.length}\r\n${extra}\r\n`

async function send(client: RawClient, ...parts: string[]): Promise<void> {
  for (const part of parts) {
    client.send(part)
    await nextTurn()
  }
}

/** Each returns how many answers it expects. */
const ROUNDS: readonly Round[] = [
  async (client) => {
    client.get('/fast')
    return 1
  },
  async (client) => {
    client.send(GET('/fast') + GET('/slow') + GET('/fast'))
    return 3
  },
  async (client) => {
    const head = GET('/fast')
    await send(client, head.slice(0, 7), head.slice(7, 20), head.slice(20))
    return 1
  },
  async (client) => {
    await send(client, POST(), BODY.slice(0, 500), BODY.slice(500))
    return 1
  },
  async (client) => {
    client.get('/slow')
    return 1
  },
  async (client) => {
    client.send(GET('/big') + GET('/big'))
    return 2
  },
  // A slow reader: what it has asked for fills the queues of both ends before it looks.
  async (client) => {
    client.socket.pause()
    client.send(GET('/big').repeat(4))
    for (let turn = 0; turn < 50; turn++) await nextTurn()
    client.socket.resume()
    return 4
  },
  async (client) => {
    client.get('/chunked')
    return 1
  },
  async (client) => {
    const chunk = `3e8\r\n${BODY.slice(0, 1_000)}\r\n`
    await send(
      client,
      'POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n',
      chunk,
      `${chunk}0\r\n\r\n`,
    )
    return 1
  },
  async (client) => {
    client.send(POST('Expect: 100-continue\r\n'))
    const { status } = await client.answer()
    if (status !== 100) throw new Error(`status ${status} instead of 100`)
    client.send(BODY)
    return 1
  },
]

export async function torture(clients: number, port: number): Promise<Torture> {
  const counts: number[] = []
  const problems: string[] = []
  const waiters: { at: number; resolve: () => void }[] = []
  let stopped = false
  const one = async (client: RawClient, first: number): Promise<void> => {
    for (let round = first; !stopped; round++) {
      const act = ROUNDS[round % ROUNDS.length] as Round
      const expected = await act(client)
      for (let count = 0; count < expected; count++) {
        const answer = await client.answer()
        const count = answer.body.split(' ')[1]
        if (count === 'sealed') problems.push(`round ${round}: in flight when the data was sealed`)
        else counts.push(Number(count))
        if (answer.status !== 200) problems.push(`round ${round}: status ${answer.status}`)
        if (answer.headers.connection !== 'keep-alive') problems.push(`round ${round}: ${answer.headers.connection}`)
      }
      for (const waiter of waiters.filter(({ at }) => counts.length >= at)) {
        waiters.splice(waiters.indexOf(waiter), 1)
        waiter.resolve()
      }
    }
    client.close()
  }
  const connections = await Promise.all(Array.from({ length: clients }, () => connectRaw({ port })))
  const running = connections.map((client, index) =>
    one(client, index).catch((error: unknown) => {
      problems.push(`client ${index}: ${error}`)
      for (const waiter of waiters.splice(0)) waiter.resolve()
    }),
  )
  return {
    counts,
    problems,
    get answers() {
      return counts.length
    },
    more: (answers) => new Promise((resolve) => waiters.push({ at: counts.length + answers, resolve })),
    async stop() {
      stopped = true
      await Promise.all(running)
    },
  }
}

/** WebSockets and raw TCP move with the program too, at safe points that their protocols name. */
import { once } from 'node:events'
import net from 'node:net'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { Scene } from './connection-scene.js'
import { until } from './harness.js'

/** Says a line at a time and keeps every answer; an end is an answer, too. */
class LineClient {
  readonly answers: string[] = []
  ended = false
  #heard = ''
  private constructor(readonly socket: net.Socket) {
    socket.on('data', (bytes: Buffer) => {
      const parts = (this.#heard + bytes.toString('latin1')).split('\n')
      this.#heard = parts.pop() ?? ''
      this.answers.push(...parts)
    })
    for (const event of ['end', 'error', 'close']) {
      socket.on(event, () => {
        this.ended = true
      })
    }
  }

  static async connect(port: number): Promise<LineClient> {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new LineClient(socket)
  }

  async ask(line: string): Promise<string> {
    const at = this.answers.length
    this.socket.write(line)
    await until(() => this.answers.length > at || this.ended)
    return this.answers[at] ?? 'no answer'
  }
}

async function connectWebSocket(port: number, options = {}): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false, ...options })
  await once(socket, 'open')
  return socket
}

async function ask(socket: WebSocket, ...fragments: string[]): Promise<string> {
  const answered = once(socket, 'message')
  for (const [index, fragment] of fragments.entries()) socket.send(fragment, { fin: index === fragments.length - 1 })
  return String((await answered)[0])
}

test('raw connections go on with the session that the old program had, half a line included', async () => {
  await using scene = await Scene.start()
  const client = await LineClient.connect(await scene.port('line'))
  expect((await client.ask('one\n')).split(' ').slice(1)).toEqual(['1', '1', '3'])
  client.socket.write('half a ')
  for (const [flags, result] of [
    [['--seal-fails'], 'committed'],
    [[], 'rolledBack'],
    [['--crash-in-open'], 'rolledBack'],
    [[], 'committed'],
  ] as const) {
    expect((await scene.swap(...flags)).result).toBe(result)
  }
  scene.world.forgiveFiles()
  const answer = (await client.ask('line\n')).split(' ')
  expect(answer).toEqual([String(await scene.world.incumbentPid()), '2', '2', '11'])
  client.socket.destroy()
})

test('WebSockets stay open over swaps and rollbacks, with what the daemon remembers of each', async () => {
  await using scene = await Scene.start()
  const port = await scene.port()
  const sockets = await Promise.all(Array.from({ length: 20 }, () => connectWebSocket(port)))
  const closed: number[] = []
  for (const socket of sockets) socket.on('close', (code) => closed.push(code))
  let stopped = false
  let counts: number[] = []
  const talk = async (socket: WebSocket, index: number): Promise<void> => {
    for (let said = 1; !stopped; said++) {
      const fragments = index % 3 === 0 ? ['a'.repeat(20_000), 'b'.repeat(3)] : ['c'.repeat(20_003)]
      const [, count, seen, length] = (await ask(socket, ...fragments)).split(' ').map(Number)
      expect([seen, length]).toEqual([said, 20_003])
      counts.push(count as number)
    }
  }
  const talking = Promise.all(sockets.map(talk))
  for (const [flags, result] of [
    [['--seal-fails'], 'committed'],
    [[], 'rolledBack'],
    [['--early'], 'committed'],
    [['--crash-in-open'], 'rolledBack'],
    [[], 'committed'],
  ] as const) {
    const enough = counts.length + 100
    await Promise.race([until(() => counts.length >= enough), talking])
    expect((await scene.swap(...flags)).result).toBe(result)
  }
  scene.world.forgiveFiles()
  stopped = true
  await talking
  expect(closed).toEqual([])
  counts = counts.sort((a, b) => a - b)
  expect(counts).toEqual(counts.map((_, index) => index + 1))
  for (const socket of sockets) socket.terminate()
})

test('a WebSocket that compresses cannot move: it is told to come back', async () => {
  await using scene = await Scene.start(['--deflate'])
  const port = await scene.port()
  const compressing = await connectWebSocket(port, { perMessageDeflate: true })
  expect(compressing.extensions).toContain('permessage-deflate')
  const plain = await connectWebSocket(port)
  await ask(compressing, 'x')
  await ask(plain, 'x')
  const closed = once(compressing, 'close')
  const outcome = await scene.swap()
  expect(outcome).toMatchObject({ result: 'committed', connections: { moved: 1, staying: { upgraded: 1 } } })
  const [code, reason] = await closed
  expect([code, String(reason)]).toEqual([1012, expect.stringMatching(/^restarting, reconnect in \d{1,2} ms$/)])
  expect((await ask(plain, 'x')).split(' ')[2]).toBe('2')
  expect(scene.logged('handoff.moved')).toMatchObject([{ moved: 1, staying: { upgraded: 1 } }])
  plain.terminate()
})

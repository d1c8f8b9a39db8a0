/** Established connections move with the program: a real supervisor, real daemons, and clients that see every FIN. */
import { expect, test } from 'vitest'
import { FdSocket } from '../../src/os/fd-socket.js'
import { closeFd } from '../../src/os/fds.js'
import { dialUnix } from '../../src/os/unix-socket.js'
import type { SwapOutcome } from '../../src/supervisor/types.js'
import type { ConnectionTally } from '../../src/wire/connection-tally.js'
import { connectMany, connectRaw } from '../daemon/attach/raw-client.js'
import { torture } from '../daemon/attach/torture.js'
import { applied, NODES, ROUNDS, Scene, upTo } from './connection-scene.js'
import { gone, until } from './harness.js'

test(
  'clients of every shape stay connected over good swaps, failed seals and successors killed after the cut',
  async () => {
    await using scene = await Scene.start()
    const load = await torture(30, await scene.port())
    await load.more(200)
    const fds: number[] = []
    const told: (number | undefined)[] = []
    const hop = async (flags: string[], result: SwapOutcome['result']): Promise<void> => {
      const outcome = await scene.swap(...flags)
      expect([outcome.result, outcome.reason]).toEqual([result, result === 'committed' ? null : expect.any(String)])
      if (outcome.connections !== undefined) told.push(countOf(outcome.connections))
      await load.more(200)
      expect(load.problems).toEqual([])
      fds.push(await scene.openFds())
    }
    for (let round = 0; round < Math.max(ROUNDS, NODES.length); round++) {
      await hop(['--seal-fails'], 'committed')
      await hop([], 'rolledBack')
      await hop(['--crash-in-open'], 'rolledBack')
      await hop(['--early'], 'committed')
    }
    // Each of the thirty moved or stayed, at every cut that held; of a swap that was taken back there is nothing to tell.
    expect(told).toEqual(Array.from({ length: fds.length / 2 }, () => 30))
    scene.world.forgiveFiles()
    await load.stop()
    expect(load.problems).toEqual([])
    expect(applied(load.counts)).toEqual(upTo(load.counts.length))
    // A request may hold a descriptor or two more at one look than at another; a leak would grow by thirty a swap.
    expect(Math.max(...fds) - Math.min(...fds)).toBeLessThan(15)
    const adopted = scene.logged('handoff.adopted').map(({ connections }) => connections)
    expect(adopted).toEqual(adopted.map(() => 30))
  },
  ROUNDS * 120_000,
)

const countOf = ({ moved, staying }: ConnectionTally): number =>
  Object.values(staying).reduce((sum, count) => sum + count, moved)

test('clients that come and go while programs are swapped see no error either', async () => {
  await using scene = await Scene.start()
  const port = await scene.port()
  let stopped = false
  let answers = 0
  const worker = async (): Promise<void> => {
    while (!stopped) {
      const client = await connectRaw({ port })
      for (let request = 0; request < 3; request++) {
        client.get('/fast')
        expect((await client.answer()).status).toBe(200)
        answers++
      }
      client.close()
    }
  }
  const workers = Promise.all(Array.from({ length: 8 }, worker))
  for (let hop = 0; hop < 4; hop++) {
    expect((await scene.swap()).result).toBe('committed')
    const enough = answers + 50
    await Promise.race([until(() => answers >= enough), workers])
  }
  stopped = true
  await workers
})

test('an answer that outlasts the drain is finished by the old program; its connection follows, and that program goes', async () => {
  await using scene = await Scene.start([], { drainGraceMs: 50 })
  const port = await scene.port()
  const streaming = await connectRaw({ port })
  const resting = await connectRaw({ port })
  resting.get('/fast')
  await resting.answer()
  const old = await scene.world.incumbentPid()
  streaming.get('/stream')
  await until(() => streaming.socket.bytesRead > 0)
  expect((await scene.swap()).result).toBe('committed')
  scene.world.openGate('gate-stream')
  expect((await streaming.answer()).body).toMatch(new RegExp(`^${old} 2 .*end$`))
  const pid = await scene.world.incumbentPid()
  // Its client holds the connection open, and the old program ends all the same: nobody needs it any more.
  await gone(old)
  streaming.get('/fast')
  expect((await streaming.answer()).body).toBe(`${pid} 3`)
  expect(streaming.ended).toBe('open')
  streaming.close()
  resting.get('/fast')
  expect((await resting.answer()).body).toBe(`${pid} 4`)
  expect(resting.ended).toBe('open')
  // The old program has ended: it has said all. On a busy machine the one that rests may come too late for the cut as well.
  const sum = (event: string, count: string) => scene.logged(event).reduce((all, line) => all + Number(line[count]), 0)
  expect(sum('handoff.movedLate', 'moved')).toBeGreaterThan(0)
  expect(sum('handoff.moved', 'moved') + sum('handoff.movedLate', 'moved')).toBe(2)
  expect(sum('handoff.adopted', 'connections') + sum('handoff.adoptedLate', 'connections')).toBe(2)
  resting.close()
})

test('what a successor has read ends with it: the incumbent reads on behind nobody (INV-15)', async () => {
  await using scene = await Scene.start([], { probationMs: 600_000 })
  const port = await scene.port()
  const old = await scene.world.incumbentPid()
  const half = await connectRaw({ port })
  half.get('/fast')
  await half.answer()
  const swap = scene.swap()
  await until(async () => (await scene.world.status()).swap?.phase === 'probation')
  const successor = (await scene.world.hello())?.pid as number
  // Its second half would be a request of its own to whoever reads on: the body of one is another's request.
  const body = 'GET /fast HTTP/1.1\r\nHost: test\r\n\r\n'
  half.send(`POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`)
  expect(await half.answer()).toMatchObject({ status: 100 })
  process.kill(successor, 'SIGKILL')
  half.send(body)
  expect((await swap).result).toBe('rolledBack')
  await expect(half.answer()).rejects.toThrow('ended')
  expect(scene.logged('handoff.lost')).toMatchObject([{ connections: 1 }])
  const fresh = await connectRaw({ port })
  fresh.get('/fast')
  expect((await fresh.answer()).body).toMatch(new RegExp(`^${old} `))
  fresh.close()
})

test('who asks for connections and never takes them delays no swap, and keeps no client from moving', async () => {
  await using scene = await Scene.start()
  const clients = await connectMany(50, { port: await scene.port() })
  for (const client of clients) client.get('/fast')
  await Promise.all(clients.map((client) => client.answer()))
  const dialled = await dialUnix(`${scene.world.controlSocket}.fds`)
  if (!dialled.ok) throw dialled.error
  const mute = new FdSocket(dialled.fd)
  await mute.sendWithFds(Buffer.from('{"v":1,"want":"connections","room":1000}\n'), [])
  const hear = () => mute.readLine(100_000)
  // Ticket keys come first, and are taken; the connections are not.
  let offered = await hear()
  while (offered?.fds.length === 0) {
    await mute.sendWithFds(Buffer.from('{"ok":true}\n'), [])
    offered = await hear()
  }
  expect(offered?.fds).toHaveLength(50)
  expect((await scene.swap()).result).toBe('committed')
  for (const client of clients) client.get('/fast')
  const pid = String(await scene.world.incumbentPid())
  const answers = await Promise.all(clients.map((client) => client.answer()))
  expect(answers.filter(({ body }) => body.split(' ')[0] !== pid)).toEqual([])
  // What it was given are copies, which it may close without anybody noticing.
  for (const fd of offered?.fds ?? []) closeFd(fd)
  mute.close()
  await until(() => scene.logged('handoff.moved').length > 0)
  expect(scene.logged('handoff.moved')).toMatchObject([{ moved: 50, staying: {} }])
  for (const client of clients) client.close()
})

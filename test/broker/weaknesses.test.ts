/** The weaknesses of the original, one test or more each, by number. None of them may be ours. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { serveBackend, serveBroker } from '../../src/broker/index.js'
import { closeFd, openFds, streamPair } from '../../src/os/fds.js'
import { native } from '../../src/os/native.js'
import { dialOnce, stageUnixServer } from '../../src/os/unix-socket.js'
import { envelopeBytes, offerBytes } from '../../src/wire/broker/envelope.js'
import { frameBytes } from '../../src/wire/broker/framing.js'
import { adminReplyCodec, adminRequestCodec, frameCodec } from '../../src/wire/broker/messages.js'
import { later } from './cleanup.js'
import { accept, exchange, hello, type RawOffer, readFrame, readReply } from './raw.js'
import { ask, listenPipe, pathsIn, privateDirectory, readUntil, setup } from './support.js'

const malformedAdmin = frameBytes(
  frameCodec.encode({ envelopeVersion: 1, payloadProtocol: 0xad01, payload: Buffer.from('ff', 'hex') }),
)

describe('W1 nothing a client does ends the broker', () => {
  test.each<[string, Uint8Array | null, 'end' | 'destroy']>([
    ['connects and closes', null, 'destroy'],
    ['half-closes at once', null, 'end'],
    ['sends a valid Hello and closes', hello(), 'destroy'],
    ['sends part of a header and closes', Buffer.from([1, 5]), 'destroy'],
    ['half-closes within a header', Buffer.from([1, 5]), 'end'],
    ['half-closes within a body', frameBytes(Buffer.alloc(50)).subarray(0, 20), 'end'],
    ['sends a malformed admin payload and closes', malformedAdmin, 'destroy'],
    ['sends another framing version', Buffer.from('0200000000', 'hex'), 'end'],
    ['announces 4 GiB', Buffer.from('01ffffffff', 'hex'), 'end'],
    ['sends noise', Buffer.from('01030000000fffff', 'hex'), 'end'],
  ])('a client that %s', async (_, bytes, then) => {
    const { paths, connect: open } = await setup()
    for (let round = 0; round < 8; round++) await exchange(paths.broker, bytes, then)
    const { socket, route } = await open()
    expect(route).toBe('handlePassed')
    expect(await ask(socket, 'still here')).toBe('adopted:still here')
  })
})

describe('W2 no client waits for another', () => {
  test('silent clients and a silent backend hold nobody else', async () => {
    const patient = { ackTimeoutMs: 50_000, handoffBudgetMs: 55_000, goTimeoutMs: 60_000 }
    const other = pathsIn(privateDirectory())
    await listenPipe(other.pipe, (socket) => socket.end('plain'))
    const second = await serveBackend({ endpoint: other.handoff, onConnection: (socket) => socket.end('adopted') })
    later(() => second.close())
    const offers: RawOffer[] = []
    const { paths, connect: open } = await setup({
      raw: (offer) => offers.push(offer),
      broker: {
        policy: patient,
        services: (name) => ({
          version: '1.2.3',
          backendPipe: other.pipe,
          handoffEndpoint: name === 'kv' ? paths.handoff : other.handoff,
        }),
      },
    })
    const silent = Array.from({ length: 20 }, () => connect(paths.broker))
    const held = Array.from({ length: 20 }, () => open({ policy: { readyTimeoutMs: 60_000 } }))
    const { socket } = await open({ service: 'lively' })
    expect(await readUntil(socket, 'adopted')).toBe('adopted')
    for (const waiting of silent) waiting.destroy()
    for (const offer of offers) offer.close()
    for (const { route } of await Promise.all(held)) expect(route).toBe('brokerNegotiated')
  })

  test('a trickled ACK stretches nothing', async () => {
    const timers: NodeJS.Timeout[] = []
    later(() => timers.forEach(clearInterval))
    const { connect: open, report } = await setup({
      broker: { policy: { ackTimeoutMs: 200, handoffBudgetMs: 400 } },
      raw: (offer) => {
        const bytes = accept(offer)
        let at = 0
        const trickle = (): void => {
          try {
            if (at < bytes.length - 1) offer.send(bytes.subarray(at, ++at))
          } catch {
            // The broker has given up by then.
          }
        }
        timers.push(setInterval(trickle, 10))
      },
    })
    const { socket, route } = await open({ policy: { readyTimeoutMs: 60_000 } })
    expect(route).toBe('brokerNegotiated')
    expect(await ask(socket, 'x')).toBe('plain:x')
    expect(await report('fellBack')).toMatchObject({ stage: 'ack', reason: 'timeout' })
  })

  test('a silent client is let go when its time is over', async () => {
    const { paths, report } = await setup({ broker: { policy: { helloTimeoutMs: 50 } } })
    expect(await exchange(paths.broker, null)).toHaveLength(0)
    expect(await report('ended')).toMatchObject({ failure: { stage: 'hello', reason: 'timeout' } })
  })
})

describe('W3 EVENT comes first', () => {
  test('a service that speaks first is adopted every time', async () => {
    const { connect: open, broker } = await setup({ serve: (socket) => socket.end('220 ready\r\n') })
    for (let round = 0; round < 100; round++) {
      const { socket, route } = await open()
      expect(route).toBe('handlePassed')
      expect(await readUntil(socket, '\n')).toBe('220 ready\r\n')
      socket.destroy()
    }
    expect(broker.counters()).toMatchObject({ adopted: 100 })
  })
})

describe('W4 what the broker gives up, nobody adopts', () => {
  test('an ACK after the deadline meets a connection that has ended', async () => {
    let late: RawOffer | undefined
    const { connect: open, report } = await setup({
      broker: { policy: { ackTimeoutMs: 50, handoffBudgetMs: 100 } },
      raw: (offer) => {
        late = offer
      },
    })
    const { route } = await open()
    expect(route).toBe('brokerNegotiated')
    await report('fellBack')
    const { passed } = late as RawOffer
    expect(native.recv(passed, Buffer.alloc(8))).toBe(0)
    expect(() => native.send(passed, Buffer.from('x'))).toThrow('EPIPE')
  })

  test('a backend of ours that had promised lets go when the broker withdraws', async () => {
    const paths = pathsIn(privateDirectory())
    const dropped: unknown[] = []
    const backend = await serveBackend({
      endpoint: paths.handoff,
      onConnection: () => dropped.push('adopted'),
      observe: (report) => dropped.push(report),
    })
    later(() => backend.close())
    const { handoff, client } = offerTo(paths.handoff)
    await readable(handoff)
    // The ACK is there and stays unread: closing takes the connection back.
    closeFd(handoff)
    await until(() => dropped.length > 0)
    expect(dropped).toMatchObject([{ kind: 'dropped', fault: 'withdrawn' }])
    expect(native.recv(client, Buffer.alloc(1))).toBe(0)
    closeFd(client)
  })
})

describe('W5 no handoff for those who do not want one', () => {
  test('a client that does not adopt never says that it could', async () => {
    const { connect: open, backend, broker } = await setup()
    const { socket, route, negotiated } = await open({ adopt: false })
    expect(route).toBe('brokerNegotiated')
    expect(negotiated?.handlePassedToken).toHaveLength(0)
    expect(negotiated?.serverCapabilities).toBe(0n)
    expect(await ask(socket, 'x')).toBe('plain:x')
    expect(backend?.counters()).toEqual({})
    expect(broker.counters()).toEqual({ 'hello{handoff=false}': 1 })
  })

  test('a client that hung up costs the backend nothing', async () => {
    const { paths, backend, report } = await setup()
    // Hello and the end are there before the broker reads: nobody is left when it has answered.
    const { fd } = dialOnce(paths.broker) as { fd: number }
    native.send(fd, hello())
    closeFd(fd)
    expect(await report('fellBack')).toMatchObject({ reason: 'hungUp' })
    expect(backend?.counters()).toEqual({})
  })
})

describe('W6 ids, limits and stores live as long as the broker', () => {
  test('every connection has an id of its own', async () => {
    const { connect: open } = await setup()
    const ids: (bigint | undefined)[] = []
    for (let round = 0; round < 5; round++) ids.push((await open()).negotiated?.connectionId)
    expect(ids).toEqual([1n, 2n, 3n, 4n, 5n])
  })

  test('one process is limited over all its connections', async () => {
    const { paths } = await setup({ broker: { policy: { helloRateLimit: 3, helloRateWindowMs: 600_000 } } })
    const codes: unknown[] = []
    for (let round = 0; round < 5; round++) {
      const { reply } = readReply(await exchange(paths.broker, hello({ clientCapabilities: 0n }))) ?? {}
      codes.push(reply?.refused?.code ?? 'negotiated')
    }
    expect(codes).toEqual(['negotiated', 'negotiated', 'negotiated', 4, 4])
  })
})

describe('W7 a dead handoff endpoint is left alone', () => {
  test('after eight failures clients take the baseline path at once', async () => {
    const { connect: open, broker, reports } = await setup({ backend: false })
    for (let round = 0; round < 12; round++) {
      const { socket, route } = await open()
      expect(route).toBe('brokerNegotiated')
      socket.destroy()
    }
    await until(() => reports.filter(({ kind }) => kind === 'fellBack').length === 12)
    expect(broker.counters()).toMatchObject({
      'fellBack{stage=dial,reason=unreachable}': 8,
      'fellBack{stage=screen,reason=breakerOpen}': 4,
      'breaker{open=true}': 1,
    })
  })

  test('it is tried again when its window is over', async () => {
    const { connect: open, broker } = await setup({
      backend: false,
      broker: { policy: { breakerFailures: 1, breakerWindowMs: 50 } },
    })
    await open()
    await until(() => broker.counters()['breaker{open=false}'] === 1)
    await open()
    await until(() => broker.counters()['fellBack{stage=dial,reason=unreachable}'] === 2)
  })
})

describe('W8 nobody else gets a word in', () => {
  test('sockets are 0600 in a directory that must be 0700', async () => {
    const { paths } = await setup()
    for (const path of [paths.broker, paths.handoff]) expect(statSync(path).mode & 0o777).toBe(0o600)
    const open = pathsIn(privateDirectory())
    chmodSync(dirname(open.broker), 0o755)
    const services = {}
    await expect(serveBroker({ controlSocket: open.broker, services })).rejects.toThrow('0755')
    await expect(serveBackend({ endpoint: open.handoff, onConnection() {} })).rejects.toThrow('0755')
    expect(readdirSync(dirname(open.broker))).toEqual([])
  })

  test('a token in the offer that is not the one beside the descriptor is refused', async () => {
    const paths = pathsIn(privateDirectory())
    const backend = await serveBackend({ endpoint: paths.handoff, onConnection() {} })
    later(() => backend.close())
    const { handoff, client } = offerTo(paths.handoff, { offered: Buffer.alloc(16, 2) })
    await readable(handoff)
    expect(native.recv(client, Buffer.alloc(1))).toBe(0)
    await until(() => backend.counters()['dropped{fault=rejected}'] === 1)
    closeFd(handoff)
    closeFd(client)
  })

  test('a token that was offered before is not taken twice (INV-21)', async () => {
    const paths = pathsIn(privateDirectory())
    const backend = await serveBackend({ endpoint: paths.handoff, onConnection: (socket) => socket.destroy() })
    later(() => backend.close())
    for (const outcome of ['adopted', 'dropped{fault=rejected}']) {
      const { handoff, client } = offerTo(paths.handoff)
      await readable(handoff)
      native.recv(handoff, Buffer.alloc(256))
      closeFd(handoff)
      await until(() => backend.counters()[outcome] === 1)
      closeFd(client)
    }
  })

  // The kernel's word on a foreign uid needs a foreign user: only root can become one here.
  test.runIf(process.geteuid?.() === 0)('a peer of a user that is not allowed hears nothing', async () => {
    // Outside of this run's own temporary directory, which other users cannot enter.
    const directory = mkdtempSync('/tmp/hb-open-')
    later(() => rmSync(directory, { recursive: true, force: true }))
    chmodSync(directory, 0o755)
    const controlSocket = `${directory}/b`
    const { report } = await setup({ broker: { controlSocket, requirePrivateDirectory: false } })
    chmodSync(controlSocket, 0o777)
    const script = `const s=require('net').connect(${JSON.stringify(controlSocket)},()=>s.write('x'));let n=0;s.on('data',d=>n+=d.length);s.on('error',()=>{});s.on('close',()=>process.exit(n===0?7:8))`
    const child = spawn(process.execPath, ['-e', script], { uid: 65_534, gid: 65_534, stdio: 'ignore', cwd: '/' })
    const code = await new Promise((resolve) => child.once('exit', resolve))
    expect(code).toBe(7)
    expect(await report('peerRejected')).toMatchObject({ uid: 65_534 })
  })
})

describe('W9 a withdrawal is certain', () => {
  test('a client is free at once although a silent backend holds its connection', async () => {
    const held: RawOffer[] = []
    const { connect: open } = await setup({
      broker: { policy: { ackTimeoutMs: 30, handoffBudgetMs: 60 } },
      raw: (offer) => held.push(offer),
    })
    // Longer than this test may take: only the end of the connection can bring the client back.
    const { socket, route } = await open({ policy: { readyTimeoutMs: 60_000 } })
    expect(route).toBe('brokerNegotiated')
    expect(await ask(socket, 'x')).toBe('plain:x')
    expect(held).toHaveLength(1)
  })

  test('a broker that dies before EVENT takes the connection back', async () => {
    const paths = pathsIn(privateDirectory())
    const adopted: unknown[] = []
    const backend = await serveBackend({ endpoint: paths.handoff, onConnection: (socket) => adopted.push(socket) })
    later(() => backend.close())
    // Gone with the offer still under way.
    const { handoff, client } = offerTo(paths.handoff, { offered: null })
    closeFd(handoff)
    await until(() => Object.keys(backend.counters()).length > 0)
    expect(backend.counters()).toEqual({ 'dropped{fault=brokerLeft}': 1 })
    expect(adopted).toEqual([])
    closeFd(client)
  })
})

describe('W10 what a crash leaves behind is replaced, what lives is not', () => {
  test('a stale socket file is no obstacle', async () => {
    const paths = pathsIn(privateDirectory())
    for (const path of [paths.broker, paths.handoff]) {
      const server = stageUnixServer(path)
      server.publish()
      // As after SIGKILL: the file stays, nobody listens.
      native.close(server.fd)
    }
    const broker = await serveBroker({ controlSocket: paths.broker, services: {} })
    const backend = await serveBackend({ endpoint: paths.handoff, onConnection() {} })
    expect(existsSync(paths.broker)).toBe(true)
    await Promise.all([broker.close(), backend.close()])
    expect(existsSync(paths.broker) || existsSync(paths.handoff)).toBe(false)
  })

  test('a living broker, and a file that is no socket, stay', async () => {
    const { paths } = await setup()
    await expect(serveBroker({ controlSocket: paths.broker, services: {} })).rejects.toMatchObject({
      code: 'ERR_HANDOFF_SOCKET_PATH_BUSY',
    })
    const file = `${paths.broker}.txt`
    writeFileSync(file, 'mine')
    await expect(serveBroker({ controlSocket: file, services: {} })).rejects.toMatchObject({
      code: 'ERR_HANDOFF_SOCKET_PATH_BUSY',
    })
  })
})

describe('W11 handoffs run side by side', () => {
  test('a hundred clients are handed over at once', async () => {
    // No clock ends a handoff here, however busy the machine is.
    const patient = { ackTimeoutMs: 40_000, dialTimeoutMs: 40_000, handoffBudgetMs: 50_000, goTimeoutMs: 60_000 }
    const { connect: connectOne, broker } = await setup({ broker: { policy: patient }, backend: { policy: patient } })
    const open = () => connectOne({ policy: { readyTimeoutMs: 60_000 } })
    const clients = await Promise.all(Array.from({ length: 100 }, () => open()))
    const answers = await Promise.all(clients.map(({ socket }, n) => ask(socket, `q${n};`)))
    expect(answers).toEqual(clients.map((_, n) => `adopted:q${n};`))
    expect(broker.counters()).toMatchObject({ adopted: 100 })
  })
})

describe('W12 the backend gets every byte behind Hello', () => {
  test.each([1, 7, 64, 20_000])('%d pipelined bytes', async (count) => {
    const { paths } = await setup({ serve: (socket) => collect(socket, count) })
    const behind = Buffer.alloc(count, 'abcdefg')
    const answer = await exchange(paths.broker, Buffer.concat([hello(), behind]))
    const { rest } = readReply(answer) as { rest: Buffer }
    // EVENT, then what the service says about what it has read.
    expect(rest.subarray(-count).equals(behind)).toBe(true)
  })
})

describe('a backend with plain reads', () => {
  // The broker takes up Hello in one turn or in two, and watches the client differently in each.
  test.each(['with the connection', 'later'])('gets a socket that blocks, when Hello comes %s', async (when) => {
    const blocking: boolean[] = []
    const { paths, broker } = await setup({
      raw: (offer) => {
        blocking.push(!native.getNonBlocking(offer.passed))
        offer.send(accept(offer))
      },
    })
    const dialled = dialOnce(paths.broker)
    if (!dialled.ok) throw dialled.error
    later(() => closeFd(dialled.fd))
    if (when === 'later') await until(() => broker.connections() === 1)
    native.send(dialled.fd, hello())
    await until(() => broker.counters().adopted === 1)
    expect(blocking).toEqual([true])
  })
})

describe('W13 exactly one stream socket', () => {
  const backendWith = async () => {
    const paths = pathsIn(privateDirectory())
    const adopted: Socket[] = []
    const backend = await serveBackend({ endpoint: paths.handoff, onConnection: (socket) => adopted.push(socket) })
    later(() => backend.close())
    return { paths, backend, adopted }
  }
  const passing = (path: string, fds: readonly number[], bytes = Buffer.alloc(16, 1)): void => {
    const { fd } = dialOnce(path) as { fd: number }
    later(() => closeFd(fd))
    native.sendmsg(fd, bytes, fds)
    native.send(fd, offerBytes({ token: bytes, serviceName: 'kv', correlationId: 1n }))
  }

  test.each<[string, () => { fds: number[]; mine: number[] }, string]>([
    ['none', () => ({ fds: [], mine: [] }), 'notOneDescriptor'],
    ['two', () => pairs(1, 2), 'notOneDescriptor'],
    ['seventeen', () => pairs(9, 17), 'notOneDescriptor'],
    ['a listener', () => only(listener()), 'notAStreamSocket'],
    [
      'a datagram socket',
      () => only(native.socket(native.constants.AF_UNIX, native.constants.SOCK_DGRAM)),
      'notAStreamSocket',
    ],
    [
      'a TCP socket',
      () => only(native.socket(native.constants.AF_INET, native.constants.SOCK_STREAM)),
      'notAStreamSocket',
    ],
  ])('%s is refused, and closed', async (_, make, fault) => {
    const { paths, backend, adopted } = await backendWith()
    const { fds, mine } = make()
    const before = openFds().size
    passing(paths.handoff, fds)
    await until(() => backend.counters()[`dropped{fault=${fault}}`] === 1)
    // One more than before: the dialling end that this test holds.
    await until(() => openFds().size === before + 1)
    for (const fd of mine) closeFd(fd)
    expect(adopted).toEqual([])
  })
})

describe('W14 readiness, not polling', () => {
  test('an idle handoff arms no timer shorter than its deadlines', async () => {
    const armed: number[] = []
    const { setTimeout: real } = globalThis
    const { connect: open } = await setup({ raw: (offer) => held.push(offer) })
    const held: RawOffer[] = []
    globalThis.setTimeout = ((fn: () => void, ms?: number) => {
      armed.push(ms ?? 0)
      return real(fn, ms)
    }) as typeof setTimeout
    later(() => {
      globalThis.setTimeout = real
    })
    const waiting = open()
    await until(() => held.length === 1)
    expect(Math.min(...armed.filter((ms) => ms !== UNTIL_MS))).toBeGreaterThanOrEqual(500)
    held[0]?.close()
    held[0]?.closePassed()
    await waiting
  })
})

describe('W15 operators see what clients do not', () => {
  test('every outcome is counted by stage and reason, and the metrics verb tells them', async () => {
    const { connect: open, broker, paths, report } = await setup({ backend: { accepts: () => false } })
    expect((await open()).route).toBe('brokerNegotiated')
    expect(await report('fellBack')).toMatchObject({
      service: 'kv',
      stage: 'ack',
      reason: 'rejected',
      error: 'backend refused the connection',
    })
    await until(() => broker.counters()['fellBack{stage=ack,reason=rejected}'] === 1)
    const request = adminRequestCodec.encode({ verb: 9 })
    const bytes = await exchange(
      paths.broker,
      envelopeBytes({ kind: 0, payloadProtocol: 0xad01 }, request, { requestId: 3n }),
    )
    const { frame } = readFrame(bytes) as { frame: { payload: Uint8Array; requestId: bigint } }
    const { body, kind } = adminReplyCodec.decode(frame.payload)
    expect([frame.requestId, kind]).toEqual([3n, 2])
    expect(body).toContain('handoff_broker_fell_back_total{stage="ack",reason="rejected"} 1\n')
    expect(body.endsWith('# EOF\n')).toBe(true)
  })
})

// ---- a broker by hand ----

/** Passes one end of a pair; returns the other one, and the handoff connection. `offered: null` sends no offer. */
function offerTo(path: string, { offered = Buffer.alloc(16, 1) }: { offered?: Buffer | null } = {}) {
  const { fd: handoff } = dialOnce(path) as { fd: number }
  const [client, passed] = streamPair()
  native.sendmsg(handoff, Buffer.alloc(16, 1), [passed])
  if (offered !== null) native.send(handoff, offerBytes({ token: offered, serviceName: 'kv', correlationId: 1n }))
  closeFd(passed)
  return { handoff, client }
}

const UNTIL_MS = 2
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, UNTIL_MS))
}
const readable = (fd: number): Promise<void> => until(() => native.pendingBytes(fd) > 0)

function collect(socket: Socket, count: number): void {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => {
    chunks.push(chunk)
    const all = Buffer.concat(chunks)
    if (all.length >= count) socket.end(all)
  })
}

function pairs(count: number, used: number): { fds: number[]; mine: number[] } {
  const mine = Array.from({ length: count }, () => streamPair()).flat()
  return { fds: mine.slice(0, used), mine }
}
const only = (fd: number) => ({ fds: [fd], mine: [fd] })
function listener(): number {
  const server = stageUnixServer(pathsIn(privateDirectory()).pipe)
  later(() => server.unpublish())
  return server.fd
}

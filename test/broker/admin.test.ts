/** Admin verbs, service definitions and the identity probe, over real sockets. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  answeringProbes,
  askBroker,
  ownIdentity,
  probeIdentity,
  readServiceDefinition,
  serviceDefinitionDirectory,
  writeServiceDefinition,
} from '../../src/broker/index.js'
import { later } from './cleanup.js'
import { ask, echo, listenPipe, privateDirectory, setup } from './support.js'

describe('admin verbs', () => {
  test('tell how the broker stands, for people and for programs', async () => {
    const { connect: open, paths, report } = await setup()
    await open()
    await report('adopted')
    const words = await askBroker(paths.broker, 'status')
    expect(words).toMatchObject({ exitCode: 0, contentType: 'text/plain; charset=utf-8' })
    expect(words.body.split('\n')).toEqual(expect.arrayContaining(['accepting true', 'counters.adopted 1']))
    const dump = await askBroker(paths.broker, 'dump', { json: true })
    expect(dump.contentType).toBe('application/json')
    expect(JSON.parse(dump.body)).toMatchObject({
      socket: paths.broker,
      pid: process.pid,
      tokens: 0,
      services: { kv: { healthy: true, version: '1.2.3', answers: 'yes', handoffsInFlight: 0, breakerOpen: false } },
      policy: { handoffBudgetMs: 1_500 },
    })
    const config = await askBroker(paths.broker, 'config', { json: true })
    expect(JSON.parse(config.body)).toMatchObject({ socket: paths.broker, services: ['kv'] })
    expect((await askBroker(paths.broker, 'listInstances')).body).toBe(`instances ${paths.broker} pid ${process.pid}`)
    expect((await askBroker(paths.broker, 'healthz')).body).toBe('ok')
    expect((await askBroker(paths.broker, 'readyz')).body).toBe('ready')
    expect((await askBroker(paths.broker, 'diagnose')).exitCode).toBe(0)
  })

  test('name a backend that does not answer, and a service there is not', async () => {
    const dead = { version: '1.2.3', backendPipe: join(privateDirectory(), 'nobody') }
    const { paths } = await setup({ broker: { services: { dead } } })
    const health = await askBroker(paths.broker, 'backendHealth', { json: true, service: 'dead' })
    expect([health.exitCode, JSON.parse(health.body)]).toEqual([
      1,
      { dead: { healthy: false, version: '1.2.3', backend: dead.backendPipe, answers: 'absent' } },
    ])
    const unknown = await askBroker(paths.broker, 'backendHealth', { service: 'nil' })
    expect([unknown.exitCode, unknown.body]).toEqual([1, 'nil.healthy false\nnil.problem no such service'])
    const diagnosis = await askBroker(paths.broker, 'diagnose')
    expect(diagnosis).toMatchObject({ exitCode: 1 })
    expect(diagnosis.body).toContain(`problems dead: ${dead.backendPipe} is absent`)
  })

  test('a breaker that is open is a problem that diagnose names', async () => {
    const { connect, paths, report } = await setup({ backend: false, broker: { policy: { breakerFailures: 1 } } })
    expect((await connect()).route).toBe('brokerNegotiated')
    await report('breaker')
    const { body, exitCode } = await askBroker(paths.broker, 'diagnose')
    expect(exitCode).toBe(1)
    expect(body).toContain('kv: handoffs failed, clients reconnect until the breaker closes')
  })

  test('SHUTDOWN is answered first, and refused where nobody listens for it', async () => {
    const plain = await setup()
    expect((await askBroker(plain.paths.broker, 'shutdown')).exitCode).toBe(1)
    let asked = (_ms: number) => {}
    const heard = new Promise<number>((resolve) => {
      asked = resolve
    })
    const { paths } = await setup({ broker: { onShutdown: (ms) => asked(ms) } })
    const answer = await askBroker(paths.broker, 'shutdown', { drainDeadlineMs: 700 })
    expect(answer).toMatchObject({ body: 'shutting down', exitCode: 0 })
    expect(await heard).toBe(700)
  })

  test('a broker that is not there, and a socket that is none, are told', async () => {
    const nobody = join(privateDirectory(), 'nobody')
    await expect(askBroker(nobody, 'status')).rejects.toMatchObject({ code: 'ERR_HANDOFF_BROKER_UNREACHABLE' })
    const path = join(privateDirectory(), 'junk')
    await listenPipe(path, (socket) => socket.end(Buffer.from([1, 1, 0, 0, 0, 255])))
    await expect(askBroker(path, 'status')).rejects.toMatchObject({ code: 'ERR_HANDOFF_BROKER_PEER_PROTOCOL' })
  })
})

describe('service definitions', () => {
  const define = (directory: string, fields: object = {}) =>
    writeServiceDefinition(directory, { serviceName: 'kv', binaryPath: '/usr/bin/kv', ...fields })

  test('decide which versions may be asked for, read again at every Hello', async () => {
    const definitions = join(privateDirectory(), 'services')
    define(definitions)
    const { connect } = await setup({ broker: { definitions } })
    expect((await connect()).route).toBe('handlePassed')
    define(definitions, { minVersion: '2.0.0' })
    await expect(connect()).rejects.toMatchObject({ message: expect.stringContaining('below min_version') })
    define(definitions, { versionAllowList: ['9.9.9'] })
    await expect(connect()).rejects.toMatchObject({ message: expect.stringContaining('not in the allow list') })
    define(definitions, { labels: { 'handoff.enabled': 'false' } })
    expect((await connect()).route).toBe('brokerNegotiated')
  })

  test.each<[string, (directory: string) => void, RegExp]>([
    ['is missing', () => {}, /serviceUnknown/],
    [
      'is about another service',
      (directory) => writeFileSync(join(directory, 'kv.servicedef'), named('other')),
      /internal/,
    ],
    [
      'names no absolute program',
      (directory) => writeFileSync(join(directory, 'kv.servicedef'), named('kv')),
      /internal/,
    ],
    [
      'does not decode',
      (directory) => writeFileSync(join(directory, 'kv.servicedef'), Buffer.alloc(9, 255)),
      /internal/,
    ],
    [
      'lies where others may write',
      (directory) => {
        define(directory)
        chmodSync(directory, 0o777)
      },
      /internal/,
    ],
  ])('one that %s refuses its service, and tells the operator why', async (_, spoil, code) => {
    const definitions = join(privateDirectory(), 'services')
    mkdirSync(definitions, { mode: 0o700 })
    spoil(definitions)
    const { connect, reports } = await setup({ broker: { definitions } })
    await expect(connect()).rejects.toMatchObject({ message: expect.stringMatching(code) })
    const faults = reports.flatMap((report) =>
      report.kind === 'fault' ? [(report.error as { code: string }).code] : [],
    )
    expect(faults).toEqual(code.source === 'internal' ? ['ERR_HANDOFF_BROKER_USAGE_DEFINITION'] : [])
  })

  test('lie where other brokers of version 1 look for them', () => {
    expect(serviceDefinitionDirectory({ RUNNING_PROCESS_SERVICE_DEF_DIR: '/d', XDG_CONFIG_HOME: '/x' })).toBe('/d')
    expect(serviceDefinitionDirectory({ XDG_CONFIG_HOME: '/x' })).toBe('/x/running-process/services')
    expect(serviceDefinitionDirectory({})).toMatch(/\/\.config\/running-process\/services$/)
  })

  test('what was written reads back, as bare protobuf', () => {
    const directory = join(privateDirectory(), 'services')
    const file = define(directory, { minVersion: '1.0.0', labels: { team: 'storage' } })
    expect(readFileSync(file).subarray(0, 4)).toEqual(Buffer.from([0x0a, 2, 0x6b, 0x76]))
    expect(readServiceDefinition(directory, 'kv')).toMatchObject({ minVersion: '1.0.0', labels: { team: 'storage' } })
    expect(readServiceDefinition(directory, 'other')).toBeNull()
    expect(readServiceDefinition(directory, '../kv')).toBeNull()
    expect(() => define(directory, { serviceName: '../x' })).toThrow(/no service name/)
  })
})

/** A definition without a program. */
const named = (name: string): Buffer => Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)])

describe('the identity probe', () => {
  async function probed() {
    const path = join(privateDirectory(), 'p')
    const identity = await ownIdentity({ path })
    await listenPipe(
      path,
      answeringProbes(identity, (socket) => echo(socket, 'plain')),
    )
    return { path, identity }
  }

  test('tells who serves an endpoint', async () => {
    const { path, identity } = await probed()
    const found = await probeIdentity(path, { timeoutMs: 60_000 })
    expect(found).toEqual({ ...identity, exeSha256: Buffer.from(identity.exeSha256) })
    expect(found).toMatchObject({ pid: process.pid, exePath: process.execPath, ipcEndpoint: { namespaceId: 'shared' } })
    expect(found.exeSha256).toHaveLength(32)
  })

  test('costs the service nothing: other first bytes reach it whole, framed or not', async () => {
    const { path } = await probed()
    for (const question of ['hello', '\u0001\u0005\u0000\u0000\u0000abcde', '\u0001\u00ff\u00ff\u00ff\u00ffxyz']) {
      const socket = connect(path)
      later(() => socket.destroy())
      expect(await ask(socket, question)).toBe(`plain:${question}`)
    }
  })

  test('is answered by nobody, in time, or with something else', async () => {
    const fails = { code: 'ERR_HANDOFF_BROKER_PROBE' }
    await expect(probeIdentity(join(privateDirectory(), 'nobody'))).rejects.toMatchObject(fails)
    for (const behave of [
      (socket: Socket) => socket.resume(),
      (socket: Socket) => socket.end(),
      (socket: Socket) => socket.end('junk'),
      (socket: Socket) => socket.end(Buffer.from([1, 0, 0, 0, 0])),
    ]) {
      const path = join(privateDirectory(), 'p')
      await listenPipe(path, behave)
      await expect(probeIdentity(path, { timeoutMs: 50 })).rejects.toMatchObject(fails)
    }
  })
})

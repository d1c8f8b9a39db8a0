import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DgramSocket } from 'node-unix-socket'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { closeFd } from '../../src/os/fds.js'
import { bindListener } from '../../src/os/listeners.js'
import { systemdNotify } from '../../src/os/systemd-notify.js'
import { Clients, UNHARMED } from './clients.js'
import { Rig, until } from './rig.js'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  vi.useRealTimers()
})

/** systemd's end of NOTIFY_SOCKET. */
function systemd(): { path: string; told: string[]; has(text: string): Promise<string> } {
  const dir = mkdtempSync(join(tmpdir(), 'handoff-notify-'))
  const path = join(dir, 'notify')
  const socket = new DgramSocket()
  const told: string[] = []
  socket.on('data', (bytes: Buffer) => told.push(bytes.toString('utf8')))
  socket.bind(path)
  ends.push(() => {
    socket.close()
    rmSync(dir, { recursive: true, force: true })
  })
  return { path, told, has: (text) => until(() => told.find((message) => message.includes(text))) }
}

async function rig(...args: Parameters<typeof Rig.create>): Promise<Rig> {
  const made = await Rig.create(...args)
  ends.push(() => made.end())
  return made
}

describe('the notify protocol', () => {
  test('says each thing in its own datagram, to a path, and forgets the variables', async () => {
    const { path, told } = systemd()
    const env: Record<string, string | undefined> = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '4000', WATCHDOG_PID: '7' }
    const notify = await systemdNotify(env, 7)
    expect(env).toEqual({})
    notify.ready('pid 1 serves\nreally')
    notify.status('swapping')
    notify.reloading()
    notify.extend(1500.2)
    notify.stopping('bye')
    await until(() => (told.includes('WATCHDOG=1') && told.length >= 6 ? true : null))
    notify.close()
    expect(told.filter((message) => message !== 'WATCHDOG=1')).toEqual([
      'READY=1\nSTATUS=pid 1 serves really',
      'STATUS=swapping',
      expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/),
      'EXTEND_TIMEOUT_USEC=1501000',
      'STOPPING=1\nSTATUS=bye',
    ])
  })

  test('a watchdog that is meant for another process, no socket, a socket nobody reads: nothing happens', async () => {
    vi.useFakeTimers()
    const gone = { NOTIFY_SOCKET: '/nowhere/at/all', WATCHDOG_USEC: '1000', WATCHDOG_PID: '7' }
    for (const env of [gone, { NOTIFY_SOCKET: '@handoff-nobody-reads-this' }, {}, { NOTIFY_SOCKET: 'vsock:2' }]) {
      const notify = await systemdNotify(env as NodeJS.ProcessEnv, 8)
      notify.ready('fine')
      expect(vi.getTimerCount()).toBe(0)
      notify.close()
    }
  })

  test('to an abstract name, whose address has exactly its length', async () => {
    const name = `handoff-test-${process.pid}`
    const reader = spawn('python3', [
      '-c',
      `import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind("\\0${name}")
print("bound",flush=True); print(s.recv(100).decode(),flush=True)`,
    ])
    ends.push(() => void reader.kill('SIGKILL'))
    let said = ''
    reader.stdout.on('data', (chunk) => {
      said += chunk
    })
    await until(() => (said.includes('bound') ? true : null))
    const notify = await systemdNotify({ NOTIFY_SOCKET: `@${name}` })
    notify.ready('ok')
    await once(reader, 'exit')
    expect(said).toBe('bound\nREADY=1\nSTATUS=ok\n')
  })
})

describe('the supervisor as a service', () => {
  test('READY when somebody serves, STATUS and more time in a swap, RELOADING, STOPPING; the program knows nothing of it', async () => {
    const { path, told, has } = systemd()
    const made = await rig({ env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' } })
    await made.start()
    const { pid } = await made.get()
    expect(await has('READY=1')).toContain(`STATUS=pid ${pid} serves, build v1`)
    await has('WATCHDOG=1')
    expect(environmentOf(pid)).not.toMatch(/NOTIFY_SOCKET|WATCHDOG/)
    const before = told.length
    made.build('v2', 'slow-open=200')
    const swapped = await made.swap()
    await has('build v2; last swap: committed')
    expect(swapped.result).toBe('committed')
    expect(told.slice(before).join('\n')).toMatch(/swap: open[\s\S]*EXTEND_TIMEOUT_USEC=10000000/)
    made.supervisor?.kill('SIGHUP')
    const reloading = told.indexOf(await has('RELOADING=1'))
    await until(() => told.slice(reloading).find((message) => message.startsWith('READY=1')))
    const exited = once(made.supervisor as NonNullable<typeof made.supervisor>, 'exit')
    made.supervisor?.kill('SIGTERM')
    await exited
    await has('STOPPING=1')
  })

  test('sockets of a socket unit are its listeners, named in the config or not, and stay open over every restart', async () => {
    const made = await rig({ listeners: () => '[{ name = "http", addr = "127.0.0.1:1" }]' })
    const sockets = ['http', 'extra'].map((name) => bindListener({ name, address: '127.0.0.1:0' }))
    ends.push(() => {
      for (const { fd } of sockets) closeFd(fd)
    })
    const ports = sockets.map(({ address }) => (address as { port: number }).port)
    made.port = ports[0] as number
    // LISTEN_PID is the service's own, which nobody knows before it runs; systemd sets it between fork and exec.
    const activation = { LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:extra' }
    const start = () => made.start({ env: activation, fds: sockets.map(({ fd }) => fd) })
    await start()
    const addresses = (await made.status()).listeners.map(({ name, address }) => `${name} ${address}`)
    expect(addresses).toEqual([`http 127.0.0.1:${ports[0]}`, `extra 127.0.0.1:${ports[1]}`])
    const clients = new Clients(made.port)
    await clients.answered()
    await made.killSupervisor()
    await start()
    made.build('v2')
    expect(await made.swap()).toMatchObject({ result: 'committed' })
    expect(await clients.finish()).toMatchObject(UNHARMED)
    expect(made.told()).not.toContain('is bound anew')
  })

  test('the example unit is one that systemd would take', () => {
    const unit = readFileSync(new URL('../../examples/handoff.service', import.meta.url), 'utf8')
    expect(unit).toMatch(/^Type=notify$/m)
    expect(unit).toMatch(/^KillMode=process$/m)
    for (const line of unit.split('\n')) expect(line).toMatch(/^($|#|\[\w+\]$|[A-Z][A-Za-z]+=\S)/)
  })
})

const environmentOf = (pid: number): string => readFileSync(`/proc/${pid}/environ`, 'latin1')

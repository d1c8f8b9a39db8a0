import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { doctorReport, run } from '../../src/cli/doctor.js'
import { CHECKS, examine, type Facts } from '../../src/cli/doctor-checks.js'
import { gatherFacts, limitOf } from '../../src/cli/doctor-facts.js'
import { native } from '../../src/os/native.js'
import { parseConfig } from '../../src/supervisor/config.js'
import { FakeIo } from './support.js'

const toml = (more = '') =>
  `control_socket = "/run/kv/c.sock"\ntrigger_socket = "/run/kv/t.sock"\nbinary = "node"\njournal = "/run/kv/j"\n${more}`
const config = parseConfig(toml('listeners = [{ name = "http", addr = "127.0.0.1:8080" }]\n'), '/etc/handoff.toml')

const healthy: Facts = {
  config,
  somaxconn: 4096,
  nofile: { soft: 1024, hard: 524_288 },
  openFds: 100,
  dataDir: { path: '/var/lib/kv', fileSystem: 'ext4' },
  socketDirs: [{ path: '/run/kv', mode: 0o40700, uid: 1000, sticky: false }],
  uid: 1000,
  killMode: 'mixed',
  init: { name: 'systemd', isSupervisor: false },
  caught: ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGCHLD'],
  nodeOptions: '',
  clockStepMs: 0.2,
}

describe('each check can fail, and says what to do', () => {
  test('on a healthy machine nothing is found', () => {
    const findings = examine(healthy)
    expect(findings.filter(({ grade }) => grade !== 'ok')).toEqual([])
    expect(new Set(findings.map(({ id }) => id)).size).toBe(CHECKS.length)
  })

  const long = `/run/${'x'.repeat(88)}`
  test.each<[string, string, Partial<Facts>, RegExp]>([
    ['backlog', 'warning', { somaxconn: 128 }, /somaxconn=4096/],
    ['backlog', 'unknown', { somaxconn: null }, /manual/],
    ['descriptors', 'failure', { nofile: { soft: 200, hard: 4096 } }, /ulimit -n 264/],
    ['data-dir', 'failure', { dataDir: { path: '/mnt', fileSystem: 'nfs4' } }, /local file system/],
    ['data-dir', 'failure', { dataDir: { path: '/mnt', fileSystem: 'fuse.sshfs' } }, /local file system/],
    ['data-dir', 'unknown', { dataDir: null }, /when it runs/],
    [
      'socket-path',
      'failure',
      { config: { ...config, controlSocket: `${long}/c.sock`, triggerSocket: '/t' } },
      /shorter/,
    ],
    [
      'socket-directory',
      'failure',
      { socketDirs: [{ path: '/d', mode: 0o40777, uid: 1000, sticky: false }] },
      /chmod 700/,
    ],
    [
      'socket-directory',
      'failure',
      { socketDirs: [{ path: '/d', mode: 0o40700, uid: 1001, sticky: false }] },
      /chown 1000/,
    ],
    ['kill-mode', 'failure', { killMode: 'control-group' }, /KillMode=mixed/],
    ['kill-mode', 'failure', { killMode: 'none' }, /KillMode=mixed/],
    ['pid-1', 'warning', { init: { name: 'node', isSupervisor: true } }, /--init/],
    ['signals', 'warning', { nodeOptions: '--inspect=0.0.0.0:9229' }, /NODE_OPTIONS/],
    ['signals', 'failure', { caught: ['SIGCHLD'] }, /listeners/],
    ['signals', 'warning', { caught: ['SIGTERM', 'SIGUSR2'] }, /without it/],
    ['clock', 'warning', { clockStepMs: -3_600_000 }, /slewed/],
    ['journal', 'warning', { config: parseConfig(toml().replace(/journal.*\n/, ''), '/x') }, /journal/],
  ])('%s: %s', (id, grade, change, todo) => {
    const found = examine({ ...healthy, ...change }).filter((finding) => finding.grade !== 'ok')
    expect(found).toEqual([expect.objectContaining({ id, grade, todo: expect.stringMatching(todo) })])
  })

  test('a sticky directory, as /tmp is, is safe though others may write there', () => {
    const socketDirs = [{ path: '/tmp', mode: 0o41777, uid: 0, sticky: true }]
    expect(examine({ ...healthy, socketDirs }).every(({ grade }) => grade === 'ok')).toBe(true)
  })
})

describe('handoff doctor', () => {
  let dir: string
  let io: FakeIo
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'doctor-'))
    io = new FakeIo()
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))
  const write = (control: string) => {
    const file = join(dir, 'handoff.toml')
    writeFileSync(file, `control_socket = "${control}"\ntrigger_socket = "t"\nbinary = "node"\njournal = "j"\n`)
    return file
  }

  test('looks at this machine without a supervisor; 0 when nothing stands in the way', async () => {
    expect(await run(['--config', write('c'), '--json'], io)).toBe(0)
    const findings = JSON.parse(io.stdout) as { id: string; grade: string }[]
    expect(findings.map(({ id }) => id)).toContain('socket-directory')
    expect(findings.filter(({ grade }) => grade === 'failure')).toEqual([])
  })

  test('1 when something does, and the report names the cure below it', async () => {
    const room = 103 - dir.length - 1
    expect(await run(['--config', write('x'.repeat(room))], io)).toBe(1)
    expect(io.stdout).toMatch(/failure +socket-path .* bytes, the kernel takes 107\n +do: choose a shorter directory/)
  })

  test('colour only where it is wanted', () => {
    const [finding] = examine({ ...healthy, killMode: 'none' }).filter(({ grade }) => grade === 'failure')
    expect(doctorReport(finding === undefined ? [] : [finding], false)).not.toContain('\x1b')
    expect(doctorReport(finding === undefined ? [] : [finding], true)).toContain('\x1b[31;1m')
  })

  test('the limit of descriptors is that of the program, not that of the shell that asks', async () => {
    const child = spawn('sh', ['-c', 'ulimit -n 77; echo set; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] })
    await once(child.stdout, 'data')
    expect(limitOf(child.pid as number)).toEqual({ soft: 77, hard: 77 })
    child.stdin.end()
    await once(child, 'exit')
    expect(limitOf(child.pid as number)).toBeNull()
  })

  test('facts of a living process: its descriptors, its signals', async () => {
    const status = { pid: process.pid, incumbent: { pid: process.pid } } as never
    const facts = await gatherFacts(config, status)
    expect(facts.openFds).toBeGreaterThan(3)
    expect(facts.nofile).toEqual(native.limitNofile())
    expect(facts.caught).toEqual(expect.arrayContaining(['SIGINT', 'SIGTERM']))
  })
})
